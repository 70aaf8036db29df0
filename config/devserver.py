"""`manage.py up`: the whole site on this machine, as children of one process that knows no Django.

It chooses the addresses and secrets that the settings are read from, so it runs before them; and it stays
small and single-threaded, so that nothing the site does can take it down.
"""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from environ import Env

from config import home as kept
from config.children import end_strangers
from config.embedded import Unavailable, postgres_binaries, short_folder, unprivileged_account, valkey_binary
from config.gate import sign
from config.home import Home, HomeRefused
from config.port import PortRefused, listen, wanted_port
from config.postgres import Postgres, end_leftovers
from config.programs import beat, poller, preparation, web, worker
from config.readiness import watch
from config.supervisor import Child, Stopped, Supervisor, say
from config.valkey import Valkey
from runs import slices

ROOT = Path(__file__).resolve().parent.parent
# In all, everything ends within five seconds of being asked to.
GRACE_SECONDS, WORK_SECONDS, BROKER_SECONDS, DATABASE_SECONDS = 2, 3.4, 0.6, 10.0
NAME = "up"


def main(arguments: Sequence[str]) -> int:
    """Run the site until it is asked to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    # Whatever reads our output line by line (`make up | tee log`) is to see each line at once.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        home = Home(Path(os.environ.get("HEADWAY_HOME") or ROOT / "var").resolve())
        return Site(home=home, port=wanted_port()).run(reset=options.reset)
    except (HomeRefused, PortRefused, Unavailable) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reset", action="store_true", help="first remove everything that `up` kept in $HEADWAY_HOME"
    )


def lane_slots() -> dict[str, int]:
    """How many slots each lane's worker has, by the settings. Raises `Unavailable` for one that is wrong."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        from config import settings
    except ImproperlyConfigured as error:
        raise Unavailable(str(error)) from error
    return settings.LANE_SLOTS


class Site:
    """The children of one site and the order they come and go in."""

    def __init__(self, *, home: Home, port: int) -> None:
        self.home = home
        self.supervisor = Supervisor(on_change=self._write_quickstart)
        self.port = port
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.sockets: Path | None = None
        self.ready = threading.Event()
        self.announced = False

    def run(self, *, reset: bool) -> int:
        """Start everything, wait to be asked, stop everything."""
        if reset and os.environ.get("DATABASE_URL"):
            raise Unavailable(
                "--reset removes the database that `up` made in HEADWAY_HOME, but DATABASE_URL names another: "
                "empty that one yourself, or unset DATABASE_URL."
            )
        self._clear(reset=reset)
        self.supervisor.listen()
        slices.shorten()  # for all of the site, whose bulk workers then take it back
        self._open_port()
        try:
            self._start()
            self._announce()
            self.supervisor.wait(lambda: False)
        except Stopped:
            return 0
        finally:
            self._stop()
        return 0

    # --- Starting -----------------------------------------------------------------------------------
    def _clear(self, *, reset: bool) -> None:
        """End what a killed `up` left in this home; with `reset`, remove all it kept."""
        end_strangers(self._mark())
        end_leftovers(self.home / kept.POSTGRES)
        self.home.remove_sockets()
        self.home.forget(kept.ENVIRONMENT, kept.QUICKSTART)
        if reset:
            self.home.reset()

    def _open_port(self) -> None:
        self.listener = listen(self.port)
        wanted, self.port = self.port, self.listener.getsockname()[1]
        if self.port != wanted:
            say(NAME, f"Port {wanted} is taken: using {self.port} instead.")

    def _mark(self) -> tuple[str, str]:
        """The variable by which every process of this home's site is known."""
        return "HEADWAY_UP", str(self.home.path)

    def _start(self) -> None:
        """Services, then what the first page needs, then the rest: the web answers first.

        The web server and the preparation import the site while the database is still being made.
        """
        account = unprivileged_account(owner_of=self.home / kept.POSTGRES)
        self.sockets = short_folder(prefix="headway-", account=account)
        self.home.link_sockets(self.sockets)
        self._plan_services(self.sockets)
        building = self.postgres.begin() if self.postgres else None
        self._set_environment()
        self.slots = lane_slots()
        if self.valkey:
            self.supervisor.run(Child(program=self.valkey.program()))
        migrated = self.sockets / "migrated"
        preparing = Child(program=preparation(migrated), restarts=False)
        self.supervisor.run(preparing)
        first = Child(program=web(self.listener, migrated), pass_fds=[self.listener.fileno()])
        self.supervisor.run(first)
        if self.postgres:
            self.postgres.finish(building)
            self.supervisor.run(Child(program=self.postgres.program(), before=self.postgres.clear_leftovers))
        for child in (first, *self._lanes(migrated)):
            if child.process is None:
                self.supervisor.run(child)
            self._until(partial(self._has_loaded, child, migrated), preparing)
        self._until(migrated.exists, preparing)
        threading.Thread(target=watch, args=(self.port, self.ready), daemon=True).start()
        self._until(lambda: preparing.code == 0, preparing)
        self._until(self.ready.is_set, preparing)

    def _plan_services(self, sockets: Path) -> None:
        """PostgreSQL and Valkey of our own, unless the environment names others."""
        data = self.home / kept.POSTGRES
        if not os.environ.get("DATABASE_URL"):
            account = unprivileged_account(owner_of=data)
            self.postgres = Postgres(
                data=data, sockets=sockets, binaries=postgres_binaries(), account=account
            )
        if not os.environ.get("BROKER_URL"):
            self.valkey = Valkey(sockets=sockets, binary=valkey_binary())

    def _set_environment(self) -> None:
        """What every child is told; what is set already wins, but for whose children they are."""
        mark, home = self._mark()
        os.environ[mark] = home
        chosen = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "HEADWAY_HOME": str(self.home.path),
            "HEADWAY_DEMO": "1",
            "HEADWAY_STOP_GRACE_SECONDS": str(GRACE_SECONDS),
            "PUBLIC_URL": self.url,
            "SECRET_KEY": self.home.secret_key(),
            "HEADWAY_VAULT_KEYS": self.home.vault_key(),
            **({"DATABASE_URL": self.postgres.url} if self.postgres else {}),
            **({"BROKER_URL": self.valkey.url} if self.valkey else {}),
        }
        for name, value in chosen.items():
            os.environ[name] = os.environ.get(name) or value
        kept.keep(self.home / kept.ENVIRONMENT, {name: os.environ[name] for name in chosen})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _lanes(self, migrated: Path) -> Iterator[Child]:
        """The workers, those that a first trigger needs first, beat, and the poller."""
        for name, lanes in (("high", "high"), ("default", "default"), ("bulk", "bulk")):
            slots = self.slots[name] or os.cpu_count() or 1
            yield Child(program=worker(name, lanes=lanes, slots=slots, migrated=migrated))
        yield Child(program=beat(migrated=migrated))
        yield Child(program=poller(migrated=migrated))

    @staticmethod
    def _has_loaded(child: Child, migrated: Path) -> bool:
        """Whether the next one may start: this one leaves its CPU, or there is nothing to spare one for."""
        return migrated.exists() or (child.process is not None and sign(migrated, child.process.pid).exists())

    def _until(self, condition: Callable[[], bool], preparing: Child) -> None:
        """Wait for `condition`; without a prepared database there is no use in going on."""
        self.supervisor.wait(lambda: condition() or bool(preparing.code))
        if preparing.code:
            raise Unavailable("The site could not be prepared; the lines above say why.")

    # --- Running ------------------------------------------------------------------------------------
    def _announce(self) -> None:
        """Print how to get in and keep the same in a file."""
        self.announced = True
        self._write_quickstart(self.supervisor.pids())
        access = kept.read(self.home / kept.ACCESS)
        curl = f"curl -H 'Authorization: Bearer {access['api_key']}' {self.url}/api/jobs"
        if Env().bool("HEADWAY_DEMO"):
            curl = (
                f"curl -X POST -H 'Authorization: Bearer {access['api_key']}' "
                f"-H 'Content-Type: application/json' -d '{{}}' {self.url}/api/jobs/noop/trigger"
            )
        for line in (
            "",
            f"Headway is ready at {self.url}",
            f"  Log in as   {access['admin_user']}   {access['admin_password'] or '(the password you set)'}",
            f"  API key     {access['api_key']}",
            f"  Try         {curl}",
            "  Ctrl-C stops it.",
            "",
        ):
            say(NAME, line)

    def _write_quickstart(self, pids: Mapping[str, int]) -> None:
        if self.announced:
            kept.keep(
                self.home / kept.QUICKSTART,
                {"url": self.url, **kept.read(self.home / kept.ACCESS), "pids": pids},
            )

    # --- Stopping -----------------------------------------------------------------------------------
    def _stop(self) -> None:
        """End what works on the data, then the broker, then the database, cleanly."""
        say(NAME, "Stopping …")
        if self.postgres and self.announced:
            # Meanwhile, because the database is last and has little time left.
            self.supervisor.run(Child(program=self.postgres.checkpoint(), restarts=False))
        last = ("checkpoint", "valkey", "postgres")
        names = [child.program.name for child in self.supervisor.children]
        self.supervisor.stop([name for name in names if name not in last], seconds=WORK_SECONDS)
        self.supervisor.stop(["checkpoint", "valkey"], seconds=BROKER_SECONDS)
        self.supervisor.stop(["postgres"], seconds=DATABASE_SECONDS)
        self.home.forget(kept.ENVIRONMENT, kept.QUICKSTART)
        self.home.remove_sockets(self.sockets)
        say(NAME, "Stopped.")

"""A pytest plugin: real servers for this test session, private, started when first needed, gone at its end.

Loaded by `-p tests.servers` before anything reads the settings. The addresses are chosen at once and the
servers start with the first test that asks for them, so a test of a pure module costs nothing. Each
pytest process (each worker of pytest-xdist too) has its own, so sessions may run side by side. Whatever
`DATABASE_URL` the developer's shell has is not touched.
"""

import atexit
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest

from config.children import Program, end, start, wait_until
from config.embedded import postgres_binaries, short_base, short_folder, unprivileged_account, valkey_binary
from config.postgres import Postgres
from config.valkey import Valkey
from tests import template

PREFIX = "headway-test-"
# Durability is off here and nowhere else: these clusters live for one session.
POSTGRES_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@dataclass(kw_only=True)
class Servers:
    """PostgreSQL and Valkey of this session; tests may stop and start them to see what happens."""

    folder: Path
    postgres: Postgres
    valkey: Valkey
    owner: int = field(default_factory=os.getpid)
    processes: dict[str, Popen[bytes]] = field(default_factory=dict)
    is_migrated: bool = False

    def start(self) -> None:
        """Start both and wait until they answer; the test database is there already if `is_migrated`."""
        self.is_migrated = template.copy_to(self.postgres.data)
        building = self.postgres.begin()
        self.start_valkey()
        self.postgres.finish(building)
        self.start_postgres()

    def start_postgres(self, *, seconds: float = 30) -> None:
        # After a kill, orphaned backends may still hold the cluster for a moment.
        self.postgres.clear_leftovers()
        self._run(self.postgres.program())
        assert wait_until(self.postgres.is_ready, seconds=seconds), self.log("postgres")

    def start_valkey(self) -> None:
        self._run(self.valkey.program())
        assert wait_until(self.valkey.is_ready, seconds=30), self.log("valkey")

    def _run(self, program: Program) -> None:
        with (self.folder / f"{program.name}.log").open("ab") as log:
            self.processes[program.name] = start(program, output=log)

    def copy_database(self, template: str, name: str) -> None:
        """Makes a database like `template`, from which everybody is thrown out for that."""
        with psycopg.connect(self.postgres.url, autocommit=True) as admin:
            # A thread that an earlier test left, such as a slot's reporter, may hold a connection to it still.
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [template]
            )
            # Copying files takes a fifth of the work that writing each page to the log does, the default.
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())

    def kill(self, name: str) -> None:
        """`kill -9` of "postgres" or "valkey"."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Stop both and remove every trace. A fork of this process must not do that."""
        if os.getpid() != self.owner:
            return
        for process in self.processes.values():
            end(process, stop_signal=signal.SIGQUIT, seconds=5)
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _remove_leftovers() -> None:
    """Remove the folders of sessions that were killed; their servers died with them."""
    for folder in short_base().glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).split("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _plan() -> Servers:
    account = unprivileged_account()
    folder = short_folder(prefix=f"{PREFIX}{os.getpid()}-", account=account)
    postgres = Postgres(
        data=folder / "data",
        sockets=folder,
        binaries=postgres_binaries(),
        account=account,
        options=POSTGRES_OPTIONS,
    )
    return Servers(folder=folder, postgres=postgres, valkey=Valkey(sockets=folder, binary=valkey_binary()))


_remove_leftovers()
SERVERS = _plan()
atexit.register(SERVERS.stop)
os.environ.update(
    DATABASE_URL=SERVERS.postgres.url,
    BROKER_URL=SERVERS.valkey.url,
    DJANGO_SETTINGS_MODULE="config.settings",
    HEADWAY_DEMO="1",
    HEADWAY_HOME=str(SERVERS.folder / "home"),
    HEADWAY_VAULT_KEYS=secrets.token_urlsafe(40),
    SECRET_KEY=secrets.token_urlsafe(50),
)
for name in ("DEBUG", "ALLOWED_HOSTS", "HEADWAY_WEB", "HEADWAY_PORT", "HEADWAY_COMMAND_PROGRAMS"):
    os.environ.pop(name, None)


def pytest_configure(config: pytest.Config) -> None:
    """Lets one cluster be made for all workers of pytest-xdist, while they collect their tests."""
    if not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None):
        making = template.begin(SERVERS.folder / "template")
        config.add_cleanup(lambda: end(making, stop_signal=signal.SIGTERM, seconds=10))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The running servers; whatever touches the database or the broker asks for them."""
    SERVERS.start()
    yield SERVERS
    SERVERS.stop()

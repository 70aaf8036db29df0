"""The real processes of a site on a test's own database, for tests in which work is really carried out."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.conf import settings

from config import health, programs
from config.children import Program, end, start, wait_until
from config.port import listen

SECONDS = 180.0  # for a machine that is busy with other things
# So that what takes leases and graces of many seconds in a deployment is over soon in a test.
QUICK = {
    "HEADWAY_LEASE_SECONDS": "6",
    "HEADWAY_HEARTBEAT_SECONDS": "1",
    "HEADWAY_SWEEP_SECONDS": "0.5",
    "HEADWAY_CANCEL_GRACE_SECONDS": "1",
    "HEADWAY_STOP_GRACE_SECONDS": "2",
}


@dataclass(kw_only=True)
class Site:
    """Starts, kills and ends workers, beat and web; all of them are gone when the test is over."""

    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.migrated = self.folder / "migrated"
        self.migrated.touch()

    def start_worker(self, name: str = "high", *, lanes: str = "high", slots: int = 2) -> int:
        """Start a worker for these lanes (comma-separated) and wait until it takes hints; returns its pid."""
        program = programs.worker(name, lanes=lanes, slots=slots, migrated=self.migrated)
        first = lanes.split(",", maxsplit=1)[0]
        known = self._workers(first)
        return self._start(program, ready=lambda: bool(self._workers(first) - known))

    def start_beat(self) -> int:
        """Start a beat and wait until it lives; returns its pid."""
        return self._start(programs.beat(migrated=self.migrated), ready=lambda: health.beat().ok)

    def start_poller(self, **environment: str) -> int:
        """Start a poller and wait until it lives; returns its pid."""
        self.environment |= environment
        return self._start(programs.poller(migrated=self.migrated), ready=health.poller_lives)

    def start_web(self) -> str:
        """Start a web server on a free port and wait until it answers; returns the site's address."""
        listener = listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        program = programs.web(listener, self.migrated)
        # Visitors wait in the socket's queue, so there is nothing to wait for here.
        self._start(program, ready=lambda: True, pass_fds=[listener.fileno()])
        listener.close()
        return url

    def kill(self, name: str) -> None:
        """`kill -9` of the main process of "worker-high", "beat", "web" …"""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """Ask a process to end, as a deployment does, and wait until it has."""
        end(self.processes.pop(name), stop_signal=signal.SIGTERM, seconds=SECONDS)

    def stop_all(self) -> None:
        """End everything at once."""
        for process in self.processes.values():
            end(process, stop_signal=signal.SIGTERM, seconds=0)
        self.processes.clear()

    def log(self, name: str) -> str:
        """What the process of this name has said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _workers(self, lane: str) -> set[int]:
        return set(health.workers(lane).values_list("pk", flat=True))

    def _start(
        self, program: Program, *, ready: Callable[[], bool], pass_fds: tuple[int, ...] | list[int] = ()
    ) -> int:
        told = replace(program, environment={**program.environment, **self.environment})
        with (self.folder / f"{program.name}.log").open("ab") as log:
            process = start(told, output=log, pass_fds=pass_fds)
        self.processes[program.name] = process
        wait_until(lambda: ready() or process.poll() is not None, seconds=SECONDS)
        assert ready(), f"{program.name} is not ready:\n{self.log(program.name)}"
        return process.pid


def environment_for(database: str, *, host: Path) -> dict[str, str]:
    """What the processes of a test's site are told: its database, and short times."""
    return {
        **QUICK,
        "DATABASE_URL": f"postgresql://headway@/{database}?host={host}",
        "BROKER_URL": settings.BROKER_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "HEADWAY_VAULT_KEYS": ",".join(settings.VAULT_KEYS),
        "HEADWAY_HOME": os.environ["HEADWAY_HOME"],
        "HEADWAY_DEMO": "1",
    }

"""The site under fire: its processes, the work it is given, and what was done to it and when."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
from django.db import connection, transaction
from django.db.models import QuerySet

from config import programs
from config.children import end, kill_group
from jobs.models import Job
from runs import causes, launch, sweep
from runs.models import Heartbeat, Run, Worker, WorkerProcess
from tests.chaos.ledger.crashes import FOLDER, KILLED, ROLE
from tests.chaos.ledger.jobs import SLUG
from tests.factories import make_owner
from tests.servers import Servers
from tests.site import Site
from triggers import keys
from triggers.models import Scope

WORKERS: Final[Mapping[str, tuple[str, int]]] = {
    "high": ("high", 2),
    "default": ("default", 1),
    "bulk": ("bulk", 2),
}
# For a machine that is busy with other things.
START_SECONDS: Final = 120.0
SCHEMA: Final = {"type": "object", "properties": {"seconds": {"type": "number"}, "note": {"type": "string"}}}
ROOT: Final = Path(__file__).resolve().parent.parent.parent
# How many runs of each priority one load has, and how long (seconds) each of them works at most.
LOAD: Final = ((1, 6, 0.4), (50, 3, 0.4), (100, 60, 0.02))


@dataclass(kw_only=True)
class Arena:
    """One fault row's site. Faults are noted as (began, over), in seconds since 1970."""

    servers: Servers
    site: Site
    folder: Path
    random: Random
    started: dict[str, tuple[str, int]] = field(default_factory=dict)
    faults: list[tuple[float, float]] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    url: str = ""  # of the web server, if one was started, and a key that may do everything there
    key: str = ""

    def __post_init__(self) -> None:
        self.site.environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
            FOLDER: str(self.folder),
        }
        self.job = Job.objects.get_or_create(
            slug=SLUG,
            defaults={"name": SLUG, "executor": "python", "on_lost": "retry", "schema": SCHEMA},
        )[0]

    # --- Processes ----------------------------------------------------------------------------------
    def start(self, workers: Mapping[str, tuple[str, int]] = WORKERS) -> None:
        """Starts these workers, by name: their lanes and slots."""
        self.started |= workers
        known = set(Worker.objects.values_list("pk", flat=True))
        for name, (lanes, slots) in workers.items():
            program = programs.worker(name, lanes=lanes, slots=slots, migrated=self.site.migrated)
            self.site._start(program, ready=lambda: True)
        ready = Worker.objects.filter(ready_at__isnull=False).exclude(pk__in=known)
        # One that is killed by its first job is never ready.
        up = self.wait_for(lambda: ready.count() >= len(workers) or bool(self.dead()), seconds=START_SECONDS)
        assert up, [self.site.log(f"worker-{name}") for name in workers]

    def restart(self, name: str) -> None:
        """Starts a worker anew that was killed."""
        self.start({name: self.started[name]})

    def start_beat(self, name: str) -> None:
        """Starts one of several beats, and waits until it ticks."""
        program = replace(programs.beat(migrated=self.site.migrated), name=name)
        beats = Heartbeat.objects.filter(name__startswith="beat:")
        known = beats.count()
        self.site._start(program, ready=lambda: True)
        assert self.wait_for(lambda: beats.count() > known, seconds=START_SECONDS), self.site.log(name)

    def start_web(self) -> None:
        """Starts a web server, or starts it anew after it was killed, and waits until it answers."""
        self.url = self.site.start_web()
        self.key = self.key or keys.issue(name="chaos", owner=make_owner(), scopes=Scope.values)[1]
        answer = httpx2.get(f"{self.url}/healthz", timeout=START_SECONDS)
        assert answer.status_code == 200, self.site.log("web")

    def kill_all_of(self, name: str) -> None:
        """`kill -9` of a worker with its heartbeat process and slots, as when a machine fails."""
        process = self.site.processes.pop(name)
        kill_group(process.pid)
        process.wait()

    def dead(self) -> list[str]:
        """The names of processes that ended by themselves."""
        return [name for name, process in self.site.processes.items() if process.poll() is not None]

    def busy_slot(self) -> int | None:
        """The pid of a slot that carries a run right now."""
        busy = WorkerProcess.objects.filter(
            ended_at__isnull=True, pk__in=Run.objects.filter(status="running").values("process_id")
        )
        pids = list(busy.values_list("pid", flat=True))
        return self.random.choice(pids) if pids else None

    @contextmanager
    def fault(self) -> Iterator[None]:
        """What is done inside is a fault, over with its end."""
        began = time.time()
        yield
        self.faults.append((began, time.time()))

    # --- Work ---------------------------------------------------------------------------------------
    def load(self, scale: float = 1.0) -> None:
        """Queues work in all lanes: some that takes a while, and much in bulk that is short."""
        for priority, count, longest in LOAD:
            with transaction.atomic():
                for _ in range(max(int(count * scale), 1)):
                    self.launch(priority=priority, seconds=round(self.random.uniform(0, longest), 3))

    def launch(self, *, priority: int = 1, seconds: float = 0.0, job: Job | None = None) -> int:
        """Launches one run."""
        request = launch.Request(priority=priority, parameters={"seconds": seconds} if seconds else {})
        run = launch.launch(job or self.job, cause=causes.manual(), request=request).run
        self.runs.append(run.pk)
        return run.pk

    def launch_elsewhere(self, count: int) -> tuple[list[int], bool]:
        """Launches runs in another process; returns those it said were accepted, and whether it died on the way."""
        command = [sys.executable, "-m", "tests.chaos.launcher", str(count)]
        environment = {**os.environ, **self.site.environment, ROLE: "launcher"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in {0, KILLED}, done.stderr
        accepted = [int(line) for line in done.stdout.split()]
        return accepted, done.returncode == KILLED

    def pause(self, least: float, most: float) -> None:
        """Lets the site work for a random time, in seconds."""
        time.sleep(self.random.uniform(least, most))

    def wait(self, *, seconds: float) -> None:
        """Waits until all runs have ended, or none of them has for so many seconds.

        How long many runs take together is the machine's matter: what is queued behind others isn't lost.
        """
        left, until = self.open().count(), time.monotonic() + seconds
        while left and time.monotonic() < until:
            time.sleep(0.1)
            if (now := self.open().count()) < left:
                left, until = now, time.monotonic() + seconds

    def open(self) -> "QuerySet[Run]":
        """Those of its runs that have not ended."""
        return Run.objects.open().filter(pk__in=self.runs)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float, every: float = 0.1) -> bool:
        """Asks again and again, `every` so many seconds; says whether it came true in time."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(every)
        return True

    # --- Servers ------------------------------------------------------------------------------------
    def now(self) -> datetime:
        """The time by the database's clock."""
        return sweep.database_now()

    def restart_postgres(self) -> None:
        """PostgreSQL's immediate shutdown, as after a power cut, and its start."""
        connection.close()
        end(self.servers.processes.pop("postgres"), stop_signal=signal.SIGQUIT, seconds=10)
        self.servers.start_postgres(seconds=START_SECONDS)

    @contextmanager
    def frozen(self, pids: Sequence[int], *, group: bool = False) -> Iterator[None]:
        """Stops processes (or their whole groups) without ending them, and lets them go on afterwards."""
        tell: Callable[[int, int], None] = os.killpg if group else os.kill
        for pid in pids:
            tell(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                tell(pid, signal.SIGCONT)

    def executions(self) -> dict[int, list[dict[str, Any]]]:
        """What the job noted, by run: each time it began, with attempt and pid."""
        found: dict[int, list[dict[str, Any]]] = {}
        path = self.folder / "executions"
        for line in path.read_text().splitlines() if path.exists() else []:
            what, run_id, attempt, pid, at = line.split()
            if what == "began":
                entry = {"attempt": int(attempt), "pid": int(pid), "at": float(at)}
                found.setdefault(int(run_id), []).append(entry)
        return found

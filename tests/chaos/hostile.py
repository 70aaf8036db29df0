"""Jobs whose code does its worst, in the slot itself and in a process of their own."""

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import psutil

from jobs.models import Job
from runs import causes, launch
from runs.models import Run
from tests.chaos.arena import Arena
from tests.chaos.ledger.hostility import FORKED
from tests.chaos.ledger.jobs import HOSTILE, ISOLATED
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count

PATIENCE: Final = 90.0
TIMEOUT_SECONDS: Final = 2
Ending = tuple[str, str | None]
ERROR, POISONED, TIMEOUT = ("failed", "error"), ("failed", "poisoned"), ("failed", "timeout")
SUCCEEDED: Final = ("succeeded", None)
# How each must end, in the slot and isolated: status and reason. What takes its slot with it takes three.
MISDEEDS: Final[Mapping[str, tuple[Ending, Ending]]] = {
    "raise": (ERROR, ERROR),
    "leave": (ERROR, ERROR),
    "memory": (ERROR, ERROR),
    "exit": (POISONED, ERROR),
    "crash": (POISONED, ERROR),
    "kill-parent": (POISONED, POISONED),
    "ignore": (TIMEOUT, TIMEOUT),
    "fork-away": (SUCCEEDED, SUCCEEDED),
    "fork-and-return": (SUCCEEDED, SUCCEEDED),
    "flood": (SUCCEEDED, SUCCEEDED),
}


def misbehaving_jobs(arena: Arena, sizes: Sizes) -> Row:
    """Jobs that raise, exit, crash, eat memory, kill their parent, ignore signals, fork away and flood their log."""
    arena.start({"high": ("high", 2)})
    wrong = []
    for place, slug in enumerate((HOSTILE, ISOLATED)):
        job = Job.objects.get(slug=slug)
        for how, endings in MISDEEDS.items():
            wrong += _misdeed(arena, job, how, endings[place], megabytes=sizes.log_megabytes)
    row = count(arena, "jobs that misbehave", expected={"error", "timeout"})
    row.times = 2 * len(MISDEEDS)
    row.wrong += wrong + _who_was_left(arena)
    return row


def _misdeed(arena: Arena, job: Job, how: str, ending: Ending, *, megabytes: int) -> list[str]:
    """Lets it happen, and then something well-behaved; returns what was wrong."""
    seconds = TIMEOUT_SECONDS if ending == TIMEOUT else 600
    Job.objects.filter(pk=job.pk).update(timeout_seconds=seconds, max_attempts=1)
    parameters = {"how": how, "megabytes": megabytes}
    request = launch.Request(parameters=parameters, priority=1)
    run_id = launch.launch(job, cause=causes.manual(), request=request).run.pk
    arena.runs.append(run_id)
    well = arena.launch()
    _revive_until_ended(arena, [run_id, well])
    run = Run.objects.get(pk=run_id)
    wrong = []
    if (run.status, run.failure_reason) != ending:
        wrong.append(
            f"{job.slug}: {how} ended as {run.status} ({run.failure_reason}), not {ending}: {run.error}"
        )
    if ending == SUCCEEDED and how.startswith("fork") and run.result != "the parent":
        wrong.append(f"{job.slug}: {how} ended with the result {run.result!r}")
    if Run.objects.get(pk=well).status != "succeeded":
        wrong.append(f"{job.slug}: after {how} nothing else ran")
    return wrong


def _revive_until_ended(arena: Arena, run_ids: list[int]) -> None:
    """Waits for runs, and does what a supervisor does meanwhile: starts workers again that were killed."""
    until = time.monotonic() + 2 * PATIENCE
    while Run.objects.open().filter(pk__in=run_ids).exists() and time.monotonic() < until:
        for name in arena.dead():
            arena.site.kill(name)
            arena.restart(name.removeprefix("worker-"))
        time.sleep(0.1)


def _who_was_left(arena: Arena) -> list[str]:
    """Whether a copy of a slot still lives; and ends what job code has left behind on purpose."""
    left = []
    for path in (arena.folder / FORKED).glob("*"):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(path.name))
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    for process in left:
        process.send_signal(signal.SIGKILL)
    # In the slot only a process that went into a session of its own may stay: `isolated` is for who fears that.
    return [f"{len(left)} processes were left behind; expected one at most"] if len(left) > 1 else []

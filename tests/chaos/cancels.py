"""Cancels in each open state, with workers up, and with workers that are down and come back."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from jobs.executors import Failed, Waiting
from jobs.models import Job
from runs import causes, launch, lifecycle
from runs.models import Run
from runs.status import Status
from tests.chaos.arena import Arena
from tests.chaos.ledger.jobs import HOSTILE
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count, percentile
from tests.factories import claim, make_slot

PATIENCE: Final = 90.0
WORKERS: Final = {"high": ("high", 4), "bulk": ("bulk", 1)}
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Runs in each open state, by what they are: all of them are to be cancelled, but for `well`."""

    by_state: dict[str, list[int]]
    well: int

    def all(self) -> list[int]:
        return [run for runs in self.by_state.values() for run in runs]


def cancelled_in_each_state(arena: Arena, sizes: Sizes) -> Row:
    """Scheduled, queued, running and waiting runs are cancelled while workers live, and while all are dead."""
    arena.start(WORKERS)
    arena.start_beat("beat")
    seconds: list[float] = []
    wrong: list[str] = []
    for number in range(sizes.outages):
        with_workers = number % 2 == 0
        cast = _cast(arena)
        asked = time.time()
        if with_workers:
            _cancel(cast.all())
        else:
            asked = _cancel_while_all_are_dead(arena, cast, graceful=number % 4 == 3)
        arena.wait(seconds=PATIENCE + sizes.lease)
        wrong += _wrong(arena, cast, asked=asked)
        if with_workers:
            seconds += _how_soon(cast)
        _bring_back_what_was_due(arena, cast, wrong)
    row = count(arena, "cancel in each state", expected={"error"})
    row.times = sizes.outages
    row.recoveries, row.wrong = seconds, row.wrong + wrong
    slowest = percentile(seconds, 100) or 0.0
    row.note = f"a running run was dead {slowest:.1f} s after its cancel at the latest"
    row.must_recover_within(sizes.cancelled_within, what="the end of a cancelled run")
    return row


def _cast(arena: Arena) -> Cast:
    """Runs in each state; the stubborn one ignores every signal."""
    stubborn = Job.objects.get(slug=HOSTILE)
    later = launch.Request(run_at=timezone.now() + HOUR)
    soon = launch.Request(run_at=timezone.now() + timedelta(seconds=8))
    running = [arena.launch(priority=1, seconds=600), arena.launch(priority=1, seconds=600)]
    running.append(_launch(arena, stubborn, launch.Request(parameters={"how": "ignore"}, priority=1)))
    started = Run.objects.filter(pk__in=running, status="running")
    assert arena.wait_for(lambda: started.count() == len(running), seconds=PATIENCE)
    # Slots that are nobody hold these for a moment: the lane default has no worker here.
    waiting, retrying = (arena.launch(priority=50) for _ in range(2))
    Run.objects.filter(pk=retrying).update(max_attempts=3)
    (first, second) = claim(make_slot(), lane="default", limit=2)
    resume = Waiting(resume_at=timezone.now() + timedelta(seconds=8), next_step="next", state={})
    failed = Failed(reason="error", type="ValueError", message="no")
    lifecycle.settle([(first, resume), (second, failed)])
    return Cast(
        by_state={
            "scheduled": [_launch(arena, arena.job, later), _launch(arena, arena.job, soon)],
            "queued": [arena.launch(priority=60) for _ in range(3)],
            "running": running,
            "waiting or retried": [waiting, retrying],
        },
        well=arena.launch(priority=1),
    )


def _launch(arena: Arena, job: Job, request: launch.Request) -> int:
    run = launch.launch(job, cause=causes.manual(), request=request).run.pk
    arena.runs.append(run)
    return run


def _cancel(runs: list[int]) -> None:
    lifecycle.cancel(Run.objects.filter(pk__in=runs), by="the suite")


def _cancel_while_all_are_dead(arena: Arena, cast: Cast, *, graceful: bool) -> float:
    """Ends every worker, cancels, and starts them again; returns when they were all dead."""
    with arena.fault():
        for name in WORKERS:
            if graceful:
                arena.site.stop(f"worker-{name}")
            else:
                arena.kill_all_of(f"worker-{name}")
        dead = time.time()
        _cancel(cast.all())
    arena.start(WORKERS)
    return dead


def _wrong(arena: Arena, cast: Cast, *, asked: float) -> list[str]:
    """Which runs did not end as cancelled, and which were executed after they had been."""
    found = []
    done = arena.executions()
    for state, runs in cast.by_state.items():
        for run in Run.objects.filter(pk__in=runs):
            if run.status != Status.CANCELLED:
                found.append(f"a {state} run was cancelled and ended as {run.status} ({run.failure_reason})")
            if any(execution["at"] > asked for execution in done.get(run.pk, [])):
                found.append(f"a {state} run was executed after its cancel")
    return found


def _how_soon(cast: Cast) -> list[float]:
    """How many seconds after the request each running one was dead."""
    ended = Run.objects.filter(pk__in=cast.by_state["running"])
    return [
        (run.finished_at - run.cancel_requested_at).total_seconds()
        for run in ended
        if run.finished_at and run.cancel_requested_at
    ]


def _bring_back_what_was_due(arena: Arena, cast: Cast, wrong: list[str]) -> None:
    """Waits until what had been due would have run, and looks whether anything came back to life."""
    asked = time.time()
    Run.objects.filter(pk__in=cast.by_state["scheduled"], status="scheduled").update(due_at=timezone.now())
    time.sleep(3)
    again = [run for run, done in arena.executions().items() if any(each["at"] > asked for each in done)]
    wrong += [f"run {run} was executed after it had been cancelled" for run in again if run in cast.all()]
    if Run.objects.get(pk=cast.well).status != Status.SUCCEEDED:
        wrong.append("a run that was not cancelled did not succeed")

"""Proves on the running site that bulk runs don't delay triggers: queues many, triggers some, and looks at the rows."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from jobs import priority as priorities
from jobs.models import Job
from runs import causes, dispatch, launch
from runs.models import Run
from runs.status import Status

TAG: Final = "prove-priority"
POLL_SECONDS: Final = 0.2
# How long the first bulk run may take to begin, behind what is queued already or without a worker, and how often that
# is looked at.
BEGIN_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """From queued to started, in seconds, over some runs; nearest-rank percentiles."""

    p50: float
    p95: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be queued, and how long (seconds) a trigger may wait before bulk is suspected."""

    job: Job
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bulk: int = 1000
    triggers: int = 10
    limit_seconds: float = 0.25
    patience_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was seen. `verdict` is a sentence; `holds` says whether the triggers went before the bulk runs.

    `beside` is how many triggers were queued while bulk runs were still to start: the others prove nothing.
    """

    waits: Waits | None
    beside: int
    bulk_ended: int
    bulk_per_second: float | None
    holds: bool
    verdict: str


def prove(plan: Plan) -> Proof:
    """Queues the bulk runs in one transaction, launches the triggers one by one once these begin, waits for all to end.

    Before, it sends a hint that wakes nobody for anything: a web server has its line to the broker, and a command that
    opens its own meanwhile would have its triggers wait for that.
    The runs stay, as history, with the tag `prove-priority`. Raises what `runs.launch.launch` raises.
    """
    dispatch.hint("high")
    dispatch.publisher.flush()
    with transaction.atomic():
        bulk = [_launch(plan, priority=priorities.NAMES["bulk"]) for _ in range(plan.bulk)]
    _wait_for_bulk(bulk[0], seconds=min(BEGIN_SECONDS, plan.patience_seconds))
    triggers = [_launch(plan, priority=priorities.NAMES["immediate"]) for _ in range(plan.triggers)]
    dispatch.publisher.flush()
    _wait([*bulk, *triggers], seconds=plan.patience_seconds)
    return judge(plan, bulk=_seen(bulk), triggers=_seen(triggers))


def _launch(plan: Plan, *, priority: int) -> int:
    request = launch.Request(parameters=plan.parameters, priority=priority, tags=[TAG])
    return launch.launch(plan.job, cause=causes.manual(), request=request).run.pk


def _wait_for_bulk(first: int, *, seconds: float) -> None:
    """Waits until the slots are at the bulk runs: triggers that come before prove nothing of a shared slot."""
    until = time.monotonic() + seconds
    while Run.objects.filter(pk=first, status=Status.QUEUED).exists() and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)


def _wait(run_ids: Sequence[int], *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while Run.objects.filter(pk__in=run_ids).open().exists() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def _seen(run_ids: Sequence[int]) -> list[Run]:
    times = ("id", "status", "queued_at", "started_at", "finished_at")
    return list(Run.objects.filter(pk__in=run_ids).only(*times).order_by("pk"))


def judge(plan: Plan, *, bulk: Sequence[Run], triggers: Sequence[Run]) -> Proof:
    """The proof that these runs give.

    A trigger waited behind bulk if it waited longer than the plan's limit and bulk runs that were there
    before it started meanwhile.
    """
    begins = [_times(run) for run in bulk if run.started_at]
    stuck = sum(run.started_at is None for run in triggers)
    behind = sum(_is_behind(run, begins, plan.limit_seconds) for run in triggers if run.started_at)
    beside = _beside(triggers, bulk)
    late = sum(run.wait is not None and run.wait.total_seconds() > plan.limit_seconds for run in triggers)
    left = sum(not run.is_final for run in bulk)
    limit = f"{plan.limit_seconds * 1000:g} ms"
    if stuck:
        verdict = (
            f"Not proved: {stuck} of {len(triggers)} triggers did not start. Is there a worker for high?"
        )
    elif behind:
        verdict = (
            f"Refuted: {behind} of {len(triggers)} triggers waited over {limit} while bulk runs started."
        )
    elif left:
        verdict = f"Not proved: {left} of {len(bulk)} bulk runs did not end. Is there a worker for bulk?"
    elif not beside:
        verdict = (
            "Not proved: no bulk run was left when the first trigger was queued. Queue more with --bulk."
        )
    elif late:
        verdict = f"Holds, but {late} triggers waited over {limit} for something else than bulk runs."
    else:
        verdict = f"Proved: no trigger waited longer than {limit}; the bulk runs delayed none of them."
    return Proof(
        waits=_waits(triggers),
        beside=beside,
        bulk_ended=len(bulk) - left,
        bulk_per_second=_rate(bulk),
        holds=bool(beside) and not (stuck or behind or left),
        verdict=verdict,
    )


def _beside(triggers: Sequence[Run], bulk: Sequence[Run]) -> int:
    if any(run.started_at is None for run in bulk):
        return len(triggers)
    last = max(run.started_at for run in bulk if run.started_at)
    return sum(run.queued_at is not None and run.queued_at < last for run in triggers)


def _times(run: Run) -> tuple[datetime, datetime]:
    assert run.queued_at is not None
    assert run.started_at is not None
    return run.queued_at, run.started_at


def _is_behind(run: Run, begins: Sequence[tuple[datetime, datetime]], limit_seconds: float) -> bool:
    queued_at, started_at = _times(run)
    waited = (started_at - queued_at).total_seconds()
    return waited > limit_seconds and any(queued < queued_at < began < started_at for queued, began in begins)


def _waits(runs: Sequence[Run]) -> Waits | None:
    waits = sorted(run.wait.total_seconds() for run in runs if run.wait is not None)
    if not waits:
        return None
    return Waits(p50=_percentile(waits, 50), p95=_percentile(waits, 95), most=waits[-1])


def _percentile(ordered: Sequence[float], share: int) -> float:
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)]


def _rate(runs: Sequence[Run]) -> float | None:
    """Runs a second from the first start to the last end."""
    begun = [run.started_at for run in runs if run.started_at]
    ended = [run.finished_at for run in runs if run.finished_at]
    if not begun or not ended:
        return None
    seconds = (max(ended) - min(begun)).total_seconds()
    return len(ended) / seconds if seconds > 0 else None

"""How full the lanes are: what waits, goes on and is to come in each, who serves it, and whether it is paused.

Short queues are counted, long ones estimated: a look costs the same before and after a campaign of a million.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from jobs.priority import LANES
from runs import progress, stats, throughput
from runs.models import Campaign, Lane, Run, Worker
from runs.models.campaign import OPEN
from runs.stats import Ended
from runs.status import Status
from runs.throughput import Paces

# What is longer is not counted to its end.
COUNTED: Final = 10_000

# What is wanted in the order of the index that has it is found there, whatever the planner takes for common: where all
# that it has seen was queued in one lane, to read the table seemed as good a way to the runs of another. The head of a
# level is asked for as the claim does it (migration 0016).
_LENGTHS: Final = """
    SELECT l.name, q.waiting, coalesce(d.delayed, 0), coalesce(a.active, 0), h.since
    FROM runs_lane l
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting FROM (
            SELECT 1 FROM runs_run WHERE status = 'queued' AND lane >= l.name AND lane <= l.name
            ORDER BY lane, group_id, priority, id LIMIT %(most)s) head) q
    LEFT JOIN (
        SELECT lane, count(*) AS delayed FROM (
            SELECT lane FROM runs_run WHERE status IN ('scheduled', 'waiting') ORDER BY due_at LIMIT %(most)s) later
        GROUP BY lane) d ON d.lane = l.name
    LEFT JOIN (
        SELECT lane, count(*) AS active FROM runs_run WHERE status = 'running' GROUP BY lane) a ON a.lane = l.name
    LEFT JOIN LATERAL (
        SELECT min(head.queued_at) AS since FROM runs_levels(l.name) level
        CROSS JOIN LATERAL (
            SELECT queued_at FROM runs_run
            WHERE status = 'queued' AND lane = l.name AND group_id = level.group_id
              AND priority >= level.priority AND priority <= level.priority
            ORDER BY priority, id LIMIT 1) head) h ON true"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How many runs wait, are to come later, and go on; `is_estimated`: more wait than were counted."""

    waiting: int
    delayed: int
    active: int
    is_estimated: bool
    # Since when the one waits that has waited longest, of those that are next of their job or campaign and priority.
    waiting_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A lane as it stands: its length, the live workers that serve it, and its pause."""

    lane: Lane
    length: Length
    workers: Sequence[Worker]
    # What ended in this hour and the one before.
    ended: Ended
    paces: Paces

    @property
    def slots(self) -> int:
        """How many runs of the lane may go on at a time; of workers that take work."""
        return sum(worker.concurrency for worker in self.workers)

    @property
    def shared(self) -> bool:
        """Whether a worker of the lane serves others as well, so that its slots are not reserved for it."""
        return any(len(worker.lanes) > 1 for worker in self.workers)


def lengths() -> Mapping[str, Length]:
    """The length of each lane."""
    with connection.cursor() as cursor:
        cursor.execute(_LENGTHS, {"most": COUNTED + 1})
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    return {lane: _length(lane, *rows[lane]) for lane in LANES if lane in rows}


def waiting(lane: str, *, most: int) -> int:
    """How many runs wait in the lane, counted up to `most`."""
    # In the order of the index that has them: unordered ones may be looked for in all that has ended.
    queued = Run.objects.filter(status=Status.QUEUED, lane=lane).order_by("group_id", "priority", "pk")
    return len(queued.values_list("pk", flat=True)[:most])


def _length(lane: str, waiting: int, delayed: int, active: int, since: datetime | None) -> Length:
    is_long = waiting > COUNTED
    if is_long and lane == "bulk":
        waiting = max(waiting, _of_campaigns() - active)
    return Length(waiting=waiting, delayed=delayed, active=active, is_estimated=is_long, waiting_since=since)


def _of_campaigns() -> int:
    """How many runs of campaigns are open, by their counters."""
    campaigns = Campaign.objects.filter(status__in=OPEN)
    return sum(each.open for each in progress.of_campaigns(list(campaigns)).values())


def live_workers(now: datetime) -> list[Worker]:
    """The workers that are believed alive and take work, or drain, by name."""
    live = Worker.objects.filter(lease_until__gt=now, stopping_at__isnull=True, ready_at__isnull=False)
    return list(live.order_by("name", "pk"))


def queues(now: datetime, *, workers: Sequence[Worker] | None = None) -> list[Queue]:
    """Every lane, the most urgent first; `workers` are those that live, if somebody has asked for them."""
    workers = live_workers(now) if workers is None else workers
    found, ended = lengths(), stats.of_lanes(now)
    lanes, paces = Lane.objects.in_bulk(), throughput.of_lanes(now)
    return [
        Queue(
            lane=lanes[name],
            length=length,
            workers=[worker for worker in workers if name in worker.lanes and worker.draining_at is None],
            ended=ended.get(name, Ended()),
            paces=paces[name],
        )
        for name, length in found.items()
    ]


def busy(workers: Sequence[Worker]) -> dict[int, list[Run]]:
    """What each worker carries right now, by its id: one run of each busy slot, of a chunk the first it began."""
    carried: dict[int, list[Run]] = {worker.pk: [] for worker in workers}
    running = Run.objects.filter(
        status=Status.RUNNING, process__worker__in=carried, started_at__isnull=False
    ).select_related("job", "process")
    of_slots = running.order_by("process", "started_at", "pk").distinct("process")
    for run in of_slots.defer("parameters", "result", "context", "attempts"):
        if run.process is not None:
            carried[run.process.worker_id].append(run)
    return carried

"""The page /queues/: how full and fast each lane is, who serves it, what is paused, and how the broker is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job
from runs import dispatch, lanes, pauses, queues, throughput
from runs.models import Circuit, CircuitState, Run
from runs.models.target import TARGET_LENGTH
from runs.pauses import Pause, PauseKind
from runs.queues import Queue
from runs.views.access import (
    CHANGE_LANE,
    CHANGE_TARGET,
    CHANGE_WORKER,
    PAUSE_JOB,
    VIEW_RUNS,
    permitted,
    person,
)
from runs.views.queue_acts import NEEDS

# What decides how much goes on at a time (docs/settings.md), and what an empty value means.
SLOTS: Final = {
    "high": "HEADWAY_HIGH_SLOTS",
    "default": "HEADWAY_DEFAULT_SLOTS",
    "bulk": "HEADWAY_BULK_SLOTS",
}
CIRCUITS: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A lane as the page shows it."""

    queue: Queue
    busy: int
    served: str


@permitted(VIEW_RUNS)
@require_GET
def queue_page(request: HttpRequest) -> HttpResponse:
    """The page."""
    now, user = timezone.now(), person(request)
    workers = queues.live_workers(now)
    found, busy = queues.queues(now, workers=workers), queues.busy(workers)
    context = {
        "now": now,
        "rows": [Row(queue, _busy(queue, busy), _served(queue)) for queue in found],
        "minutes": throughput.MINUTES,
        "workers": [(worker, busy[worker.pk]) for worker in workers],
        "pauses": [(each, user.has_perm(NEEDS[PauseKind(each.kind)])) for each in _pauses(now)],
        "circuits": _circuits(now),
        "broker": dispatch.look(),
        "settings": _settings(),
        "may_pause": user.has_perm(CHANGE_LANE),
        "may_hold": user.has_perm(CHANGE_TARGET),
        "target": request.GET.get("target", "")[:TARGET_LENGTH],
        "target_length": TARGET_LENGTH,
        "may_drain": user.has_perm(CHANGE_WORKER),
        "may_reset": user.has_perm(PAUSE_JOB),
        "reason_length": lanes.REASON_LENGTH,
        "counted": queues.COUNTED,
    }
    return render(request, "queues/queues.html", context)


def _busy(queue: Queue, busy: Mapping[int, Sequence[Run]]) -> int:
    """How many of the lane's slots carry a run, of whatever lane."""
    return sum(len(busy.get(worker.pk, ())) for worker in queue.workers)


def _pauses(now: datetime) -> list[Pause]:
    return pauses.current(jobs=Job.objects.all(), now=now)


def _circuits(now: datetime) -> list[tuple[Circuit, CircuitState]]:
    """The breakers with their states, the open ones first."""
    found = Circuit.objects.order_by(F("opened_at").desc(nulls_last=True), "target")[:CIRCUITS]
    return [(circuit, circuit.state(now)) for circuit in found]


def _served(queue: Queue) -> str:
    """Whose the lane's slots are, in words."""
    if not queue.workers:
        return "no worker: its runs wait"
    if not queue.shared:
        return "reserved for it"
    if queue.lane.name == "bulk":
        return f"{_shared_with(queue)}, of whose time {settings.BULK_SHARE:.0%} at least"
    return _shared_with(queue)


def _shared_with(queue: Queue) -> str:
    others = {lane for worker in queue.workers for lane in worker.lanes} - {queue.lane.name}
    return f"shared with {', '.join(sorted(others))}"


def _settings() -> list[tuple[str, str, str]]:
    """Variable, value and meaning."""
    slots = [
        (SLOTS[lane], str(count or "as many as CPUs"), f"runs of the lane {lane} at a time, of each worker")
        for lane, count in settings.LANE_SLOTS.items()
    ]
    return [
        *slots,
        (
            "HEADWAY_BULK_SHARE",
            f"{settings.BULK_SHARE:g}",
            "of the time of slots that serve bulk and other lanes is bulk's at least",
        ),
        (
            "HEADWAY_AGING_SECONDS",
            f"{settings.AGING_SECONDS:g}",
            "seconds of waiting make a run of the lane default more urgent by one step of priority; 0: never",
        ),
        ("HEADWAY_AGING_LIMIT", str(settings.AGING_LIMIT), "the priority that waiting can make of another"),
        (
            "HEADWAY_LEASE_SECONDS",
            str(settings.LEASE_SECONDS),
            "seconds that a silent worker is believed alive",
        ),
        (
            "HEADWAY_HEARTBEAT_SECONDS",
            f"{settings.HEARTBEAT_SECONDS:g}",
            "seconds after which a worker says again that it lives",
        ),
        (
            "HEADWAY_SWEEP_SECONDS",
            f"{settings.SWEEP_SECONDS:g}",
            "seconds after which what got stuck is looked for again",
        ),
    ]

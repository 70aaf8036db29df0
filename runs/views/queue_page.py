"""The page /queues/: how full each lane is and who serves it, the workers, and pausing a lane."""

from typing import Final

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from runs import lanes, queues, stats
from runs.models import Lane
from runs.queues import Queue
from runs.stats import Ended
from runs.views.access import CHANGE_LANE, VIEW_RUNS, permitted, person

# What decides how much goes on at a time (docs/settings.md), and what an empty value means.
SLOTS: Final = {
    "high": "HEADWAY_HIGH_SLOTS",
    "default": "HEADWAY_DEFAULT_SLOTS",
    "bulk": "HEADWAY_BULK_SLOTS",
}


@permitted(VIEW_RUNS)
@require_GET
def queue_page(request: HttpRequest) -> HttpResponse:
    """The page."""
    now = timezone.now()
    found, workers = queues.queues(now), queues.live_workers(now)
    ended, busy = stats.of_lanes(now), queues.busy(workers)
    context = {
        "now": now,
        "queues": [(queue, _served(queue), ended.get(queue.lane.name, Ended())) for queue in found],
        "workers": [(worker, busy[worker.pk]) for worker in workers],
        "settings": _settings(),
        "may_pause": person(request).has_perm(CHANGE_LANE),
        "reason_length": lanes.REASON_LENGTH,
        "counted": queues.COUNTED,
    }
    return render(request, "queues/queues.html", context)


@permitted(CHANGE_LANE)
@require_POST
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Lets nothing of the lane start until somebody resumes it; what runs goes on."""
    lane = _lane(name)
    reason = request.POST.get("reason", "").strip()
    try:
        lanes.pause(lane, by=person(request).get_username(), reason=reason)
    except lanes.InvalidReason as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Paused the lane {lane}. What runs goes on.")
    return redirect("pages:queues")


@permitted(CHANGE_LANE)
@require_POST
def resume(request: HttpRequest, name: str) -> HttpResponse:
    """Lets the lane's runs start again."""
    lane = _lane(name)
    lanes.resume(lane, by=person(request).get_username())
    messages.success(request, f"Resumed the lane {lane}.")
    return redirect("pages:queues")


def _lane(name: str) -> Lane:
    lane = Lane.objects.filter(pk=name).first()
    if lane is None:
        raise Http404(f"There is no lane {name!r}.")
    return lane


def _served(queue: Queue) -> str:
    """Whose the lane's slots are, in words."""
    if not queue.workers:
        return "no worker: its runs wait"
    if not queue.shared:
        return "reserved for it"
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

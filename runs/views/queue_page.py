"""The page /queues/: how full each lane is and who serves it, the workers, and pausing a lane."""

from typing import Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from runs import draining, lanes, queues
from runs.launch import LaunchRefused
from runs.models import Lane, Worker
from runs.queues import Queue
from runs.views.access import (
    ACTS,
    CANCEL_RUN,
    CHANGE_LANE,
    CHANGE_WORKER,
    VIEW_RUNS,
    permitted,
    person,
)

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
    busy = queues.busy(workers)
    context = {
        "now": now,
        "queues": [(queue, _served(queue)) for queue in found],
        "workers": [(worker, busy[worker.pk]) for worker in workers],
        "settings": _settings(),
        "may_pause": person(request).has_perm(CHANGE_LANE),
        "may_drain": person(request).has_perm(CHANGE_WORKER),
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


@permitted(CHANGE_LANE)
@require_POST
def purge(request: HttpRequest, name: str) -> HttpResponse:
    """Has all that waits in the lane cancelled, once its name was typed."""
    lane, user = _lane(name), person(request)
    if not user.has_perm(CANCEL_RUN):
        raise PermissionDenied(f"You may not {ACTS[CANCEL_RUN]}: {user} lacks the permission {CANCEL_RUN}.")
    try:
        lanes.purge(lane, confirmed=request.POST.get("confirm", ""), user=user)
    except LaunchRefused as error:
        messages.error(request, str(error))
        return redirect("pages:queues")
    return redirect("pages:operations")


@permitted(CHANGE_WORKER)
@require_POST
def drain(request: HttpRequest, number: int) -> HttpResponse:
    """Lets the worker take nothing more; what it carries goes on."""
    worker = _worker(number)
    if draining.drain(worker, by=person(request).get_username()):
        messages.success(request, f"The worker {worker} takes no more work. What it carries goes on.")
    else:
        messages.info(request, f"The worker {worker} drains already, or is gone.")
    return redirect("pages:queues")


@permitted(CHANGE_WORKER)
@require_POST
def take_back(request: HttpRequest, number: int) -> HttpResponse:
    """Lets a draining worker take work again."""
    worker = _worker(number)
    if draining.take_back(worker, by=person(request).get_username()):
        messages.success(request, f"The worker {worker} takes work again.")
    else:
        messages.info(request, f"The worker {worker} doesn't drain, or is gone.")
    return redirect("pages:queues")


def _worker(number: int) -> Worker:
    worker = Worker.objects.filter(pk=number).first() if number < 2**63 else None
    if worker is None:
        raise Http404(f"There is no worker {number}.")
    return worker


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

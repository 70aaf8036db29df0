"""What people do on the page /queues/: hold, purge and let go on; drain and ping workers; reset breakers."""

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from jobs.pausing import PauseRefused
from runs import circuits, draining, lanes, pauses, pinging, targets
from runs.launch import LaunchRefused
from runs.models import Circuit, Lane, Worker
from runs.pauses import PauseKind
from runs.views.access import (
    CANCEL_RUN,
    CHANGE_LANE,
    CHANGE_TARGET,
    CHANGE_TRIGGER,
    CHANGE_WORKER,
    PAUSE_JOB,
    RUN_JOB,
    VIEW_RUNS,
    demand,
    permitted,
    person,
    until_of,
)

# What a person needs for ending a pause.
NEEDS: Final = {
    PauseKind.LANE: CHANGE_LANE,
    PauseKind.JOB: PAUSE_JOB,
    PauseKind.SCHEDULE: CHANGE_TRIGGER,
    PauseKind.CAMPAIGN: RUN_JOB,
    PauseKind.TARGET: CHANGE_TARGET,
}


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
    demand(user, CANCEL_RUN)
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


@permitted(CHANGE_WORKER)
@require_POST
def ping(request: HttpRequest, number: int) -> HttpResponse:
    """Asks the worker whether it is there, and waits some seconds for the answer."""
    worker = _worker(number)
    seconds = pinging.ping(worker)
    (messages.warning if seconds is None else messages.success)(request, pinging.words(worker, seconds))
    return redirect("pages:queues")


@permitted(VIEW_RUNS)
@require_POST
def end_pause(request: HttpRequest) -> HttpResponse:
    """Ends the pause of the list that the field `pause` names, such as `job:nightly-report`."""
    word, _, pk = request.POST.get("pause", "").partition(":")
    if word not in PauseKind.values:
        raise Http404(
            f"{word!r} is nothing that can be paused: expected one of {', '.join(PauseKind.values)}."
        )
    kind, user = PauseKind(word), person(request)
    demand(user, NEEDS[kind])
    try:
        messages.success(request, pauses.resume(kind, pk, by=user.get_username()))
    except (pauses.NotPaused, PauseRefused, LaunchRefused) as error:
        messages.error(request, str(error))
    return redirect("pages:queues")


@permitted(CHANGE_TARGET)
@require_POST
def pause_target(request: HttpRequest) -> HttpResponse:
    """Lets nothing start for the target that the form names, until somebody resumes it or a time."""
    name, reason = (request.POST.get(field, "").strip() for field in ("target", "reason"))
    try:
        until = until_of(request)
        targets.pause(name, by=person(request).get_username(), reason=reason, until=until)
    except PauseRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Paused the target {name}. What runs goes on.")
    return redirect("pages:queues")


@permitted(PAUSE_JOB)
@require_POST
def reset_circuit(request: HttpRequest, number: int) -> HttpResponse:
    """Closes a circuit breaker by hand."""
    circuit = Circuit.objects.filter(pk=number).first() if number < 2**63 else None
    if circuit is None:
        raise Http404(f"There is no circuit breaker {number}.")
    if circuits.reset(circuit, by=person(request).get_username()):
        messages.success(request, f"The circuit breaker {circuit} is closed: runs may start again.")
    else:
        messages.info(request, f"The circuit breaker {circuit} was closed already.")
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

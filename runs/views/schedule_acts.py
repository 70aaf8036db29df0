"""What people do to several schedules at once on the page /schedules/, and about everything that was missed."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST

from jobs.parameters import InvalidParameters
from jobs.pausing import PauseRefused
from runs import causes, firing, launch
from runs.views.access import ACTS, CHANGE_TRIGGER, FIRE_TRIGGER, VIEW_RUNS, back, permitted, person
from runs.views.schedule_list import PAGE_SIZE
from triggers import backlog, cron, pausing, schedules, shifting
from triggers.models import Trigger
from triggers.models.trigger import LONGEST_JITTER

Act = Callable[[HttpRequest, Trigger], str]


class ActRefused(Exception):
    """What was asked can't be done; the message says why."""


@permitted(VIEW_RUNS)
@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Does `act` to the chosen schedules, or to the one of the button that was pressed (`only`)."""
    word, _, number = request.POST.get("only", "").partition(":")
    word = word or request.POST.get("act", "")
    numbers = [number] if number else request.POST.getlist("schedule")
    if word not in ACTS_OF_SCHEDULES:
        messages.error(request, f"{word!r} is nothing that can be done to a schedule.")
        return _back(request)
    does, permission = ACTS_OF_SCHEDULES[word]
    _check(request, permission)
    ids = [int(text) for text in numbers[:PAGE_SIZE] if text.isascii() and text.isdigit() and len(text) < 19]
    chosen = list(Trigger.objects.schedules().filter(pk__in=ids).select_related("job").order_by("id"))
    if not chosen:
        messages.error(request, "No schedule was chosen.")
    if chosen and word == "zone" and "confirmed" not in request.POST:
        return _ask_zone(request, chosen)
    for trigger in chosen:
        try:
            messages.success(request, does(request, trigger))
        except (ActRefused, PauseRefused, launch.LaunchRefused, InvalidParameters) as error:
            messages.error(request, f"{trigger.job.name}, {trigger.label}: {error}")
    return _back(request)


@permitted(FIRE_TRIGGER)
@require_POST
def decide_missed(request: HttpRequest) -> HttpResponse:
    """Runs all missed slots, or the latest of each schedule, or dismisses all; up to those that were seen."""
    by, word = causes.actor(user=person(request), api_key=None), request.POST.get("act", "")
    text = request.POST.get("newest", "")
    newest = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    if word == "dismiss":
        messages.success(request, f"Slots dismissed: {backlog.dismiss_all(newest=newest, by=by)}.")
        return _back(request)
    if word == "latest":
        asked, dismissed = backlog.ask_latest(newest=newest, by=by)
        told = f"Slots in line to be run: {asked}, the latest of each schedule; dismissed: {dismissed}."
    else:
        told = f"Slots in line to be run, in their order: {backlog.ask_all(newest=newest, by=by)}."
    firing.fire_asked(timezone.now())
    messages.success(request, told)
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    return back(request, otherwise=reverse("pages:schedules"))


def _check(request: HttpRequest, permission: str) -> None:
    user = person(request)
    if not user.has_perm(permission):
        raise PermissionDenied(
            f"You may not {ACTS[permission]}: {user.get_username()} lacks the permission {permission}."
        )


def _pause(request: HttpRequest, trigger: Trigger) -> str:
    until = _until(request.POST.get("until", "").strip())
    reason = request.POST.get("reason", "").strip()
    pausing.pause(trigger, by=person(request).get_username(), reason=reason, until=until)
    return (
        f"Paused {trigger.label} of {trigger.job.name}{f' until {until:%Y-%m-%d %H:%M %Z}' if until else ''}."
    )


def _resume(request: HttpRequest, trigger: Trigger) -> str:
    pausing.resume(trigger, by=person(request).get_username())
    return f"Resumed {trigger.label} of {trigger.job.name}: {_outlook(trigger)}"


def _turn_on(request: HttpRequest, trigger: Trigger) -> str:
    schedules.put_in(trigger, by=person(request).get_username())
    return f"Turned on {trigger.label} of {trigger.job.name}: {_outlook(trigger)}"


def _turn_off(request: HttpRequest, trigger: Trigger) -> str:
    schedules.take_out(trigger, by=person(request).get_username())
    return f"Turned off {trigger.label} of {trigger.job.name}."


def _fire(request: HttpRequest, trigger: Trigger) -> str:
    cause = causes.manual(user=person(request), parameters_of=trigger)
    run = launch.launch(trigger.job, cause=cause, request=launch.Request(parameters=trigger.parameters)).run
    return f"Started {trigger.job.name} as run #{run.pk}; no slot is moved or used up."


def _spread(request: HttpRequest, trigger: Trigger) -> str:
    text = request.POST.get("seconds", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= LONGEST_JITTER):
        raise ActRefused(f"{text!r} is no jitter: expected 0 to {LONGEST_JITTER} seconds.")
    trigger.jitter_seconds = int(text)
    trigger.save(update_fields=["jitter_seconds", "updated_at"])
    return (
        f"Spread {trigger.label} of {trigger.job.name} over {trigger.jitter_seconds} seconds after its slots."
    )


def _ask_zone(request: HttpRequest, chosen: list[Trigger]) -> HttpResponse:
    """A page that says what moves before anything is changed; an error where the zone is none."""
    try:
        zone = _wanted_zone(request)
    except ActRefused as error:
        messages.error(request, str(error))
        return _back(request)
    context = {
        "zone": zone.key,
        "shifts": shifting.shifts(chosen, zone=zone, now=timezone.now()),
        "next": request.POST.get("next", ""),
    }
    return render(request, "schedules/zone.html", context)


def _shift(request: HttpRequest, trigger: Trigger) -> str:
    found = shifting.shift(
        trigger, zone=_wanted_zone(request), now=timezone.now(), by=person(request).get_username()
    )
    return f"{trigger.label} of {trigger.job.name}: {found.words}."


def _wanted_zone(request: HttpRequest) -> ZoneInfo:
    try:
        return cron.validate_zone(request.POST.get("zone", "").strip())
    except cron.InvalidZone as error:
        raise ActRefused(str(error)) from None


def _outlook(trigger: Trigger) -> str:
    coming = schedules.upcoming(trigger, after=timezone.now(), count=1)
    next_one = f"{timezone.localtime(coming[0]):%Y-%m-%d %H:%M %Z}" if coming else "never"
    return f"it runs next {next_one}, and nothing is caught up."


def _until(text: str) -> datetime | None:
    if not text:
        return None
    try:
        parsed = parse_datetime(text)
    except ValueError:
        parsed = None
    if parsed is None:
        raise ActRefused(f"{text!r} is not a time: expected one such as 2026-01-31T09:30.")
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)


ACTS_OF_SCHEDULES: Final[dict[str, tuple[Act, str]]] = {
    "pause": (_pause, CHANGE_TRIGGER),
    "resume": (_resume, CHANGE_TRIGGER),
    "on": (_turn_on, CHANGE_TRIGGER),
    "off": (_turn_off, CHANGE_TRIGGER),
    "spread": (_spread, CHANGE_TRIGGER),
    "zone": (_shift, CHANGE_TRIGGER),
    "fire": (_fire, FIRE_TRIGGER),
}

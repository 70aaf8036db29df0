"""The page of one schedule: what comes, what the scheduler knows, and what became of each slot of a day or a range."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET, require_POST

from jobs import wire
from runs import causes, firing, scheduler, strips
from runs.models import Run
from runs.views.access import FIRE_TRIGGER, VIEW_RUNS, permitted, person
from runs.views.schedule_list import entries, loaded
from runs.views.schedule_words import coming, wall_clock
from triggers import ledger
from triggers.ledger import LedgerRefused, Slot
from triggers.models import Trigger

COMING = 5
MISSED = 50
NEWEST = 30
DAY = timedelta(days=1)


@permitted(VIEW_RUNS)
@require_GET
def schedule_page(request: HttpRequest, number: int) -> HttpResponse:
    """The page; `on` chooses a day, `from` and `to` the days of a backfill, in the schedule's own zone."""
    trigger, now = _find(number), timezone.now()
    (entry,) = entries([trigger], now=now)
    missed = ledger.missed(trigger)
    waiting = [occurrence.slot for occurrence in missed[: MISSED + 1]]
    context = {
        "entry": entry,
        "trigger": trigger,
        "known": scheduler.knowledge(trigger, now=now),
        "coming": coming(trigger, now=now, count=COMING),
        "missed": [(at, wall_clock(trigger, at)) for at in waiting[:MISSED]],
        "more_missed": len(waiting) > MISSED,
        "may_fire": person(request).has_perm(FIRE_TRIGGER),
        "on": request.GET.get("on", ""),
        "from": request.GET.get("from", ""),
        "to": request.GET.get("to", ""),
    }
    return render(request, "schedules/schedule.html", context | _history(request, trigger, now))


@permitted(FIRE_TRIGGER)
@require_POST
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """Runs or dismisses slots: the chosen ones, or all that were missed."""
    trigger, by = _find(number), causes.actor(user=person(request), api_key=None)
    try:
        chosen = None if "all" in request.POST else _instants(request.POST.getlist("slot"))
        if request.POST.get("act") == "dismiss":
            count = ledger.dismiss(trigger, slots=chosen, by=by)
            messages.success(request, f"Slots dismissed: {count}.")
        else:
            count = _ask(trigger, chosen, by)
            messages.success(request, f"Slots in line to be run, in their order: {count}.")
    except LedgerRefused as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("pages:schedule", args=[trigger.pk]))


def _ask(trigger: Trigger, chosen: list[datetime] | None, by: str) -> int:
    now = timezone.now()
    if chosen is None:
        count = ledger.ask_missed(trigger, by=by, now=now)
    else:
        count = ledger.ask(trigger, slots=chosen, by=by, now=now)
    firing.fire_asked(now)
    return count


def _find(number: int) -> Trigger:
    found = loaded(Trigger.objects.schedules().filter(pk=number))
    if not found:
        raise Http404(f"There is no schedule {number}.")
    return found[0]


def _instants(texts: list[str]) -> list[datetime]:
    try:
        return [wire.instant(text) for text in texts[: ledger.MOST]]
    except ValueError as error:
        raise LedgerRefused(str(error)) from None


def _history(request: HttpRequest, trigger: Trigger, now: datetime) -> dict[str, Any]:
    """The slots of the days that were asked for, or the newest of the ledger; each with its run as it stands."""
    day, first, last = (_day(request.GET.get(name, "")) for name in ("on", "from", "to"))
    wrong, slots = "", []
    try:
        if first and last:
            slots = _days(trigger, first, last, now)
        elif day:
            slots = _days(trigger, day, day, now)
        else:
            slots = ledger.newest(trigger, count=NEWEST)
    except LedgerRefused as error:
        wrong = str(error)
    runs = Run.objects.in_bulk([slot.run_id for slot in slots if slot.run_id])
    return {
        "slots": [(slot, wall_clock(trigger, slot.at), _result(slot, runs)) for slot in slots],
        "runnable": sum(slot.is_runnable for slot in slots),
        "is_range": bool(first and last),
        "wrong": wrong,
    }


def _days(trigger: Trigger, first: datetime, last: datetime, now: datetime) -> list[Slot]:
    """The slots from the beginning of the first day to the end of the last, by the schedule's clock."""
    begin, end = (day.replace(tzinfo=trigger.timezone).astimezone(UTC) for day in (first, last + DAY))
    if end <= begin:
        raise LedgerRefused("The last day is before the first one.")
    return ledger.between(trigger, begin=begin, end=end, now=now)


def _day(text: str) -> datetime | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    if found is None or not 1971 <= found.year < 2400:
        return None
    return datetime.combine(found, datetime.min.time())


def _result(slot: Slot, runs: dict[int, Run]) -> strips.Result | None:
    """The badge's matter: the run, or the outcome; None for a run that was pruned and a slot without a word."""
    run = runs.get(slot.run_id or 0)
    if run is not None:
        return strips.Result(run.pk, run.status, run.failure_reason, run.cancel_requested_at is not None)
    known = slot.outcome in ("missed", "dismissed", "due", "skipped", "waiting")
    return strips.Result(None, slot.outcome, None, False) if known else None

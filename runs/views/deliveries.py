"""The pages /deliveries/: what came to event triggers, what became of it, and how to let it fire again."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from runs import causes, deliveries
from runs.launch import LaunchRefused
from runs.views.access import FIRE_TRIGGER, VIEW_DELIVERIES, permitted, person
from triggers.events import inbox, matching
from triggers.models import Delivery, Reaction, Trigger

PAGE_SIZE = 50
LONGEST_ID = 18  # digits


@permitted(VIEW_DELIVERIES)
@require_GET
def delivery_list(request: HttpRequest) -> HttpResponse:
    """Deliveries, the newest first; by `trigger` and `verdict` and behind `after`, if the address says so."""
    asked = {name: request.GET.get(name, "") for name in ("trigger", "verdict", "after")}
    numbers = {name: int(text) for name, text in asked.items() if _is_id(text)}
    errors = _errors(asked)
    found = _shown().none() if errors else _shown()
    if "trigger" in numbers:
        found = found.filter(trigger=numbers["trigger"])
    if asked["verdict"]:
        found = found.filter(verdict=asked["verdict"])
    if "after" in numbers:
        found = found.filter(pk__lt=numbers["after"])
    page = list(found[: PAGE_SIZE + 1])
    context = {
        "deliveries": page[:PAGE_SIZE],
        "older": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "errors": errors,
        "verdict": asked["verdict"],
        "verdicts": Delivery.Verdict.choices,
        "addresses": Trigger.objects.filter(kind="event", source=None).select_related("job")[:200],
        "trigger": numbers.get("trigger"),
        "is_filtered": bool(asked["verdict"] or asked["trigger"]),
    }
    return render(request, "deliveries/list.html", context)


@permitted(VIEW_DELIVERIES)
@require_GET
def delivery_page(request: HttpRequest, number: int) -> HttpResponse:
    """One delivery with its headers and body; what looks like a secret is dots."""
    found = _find(number)
    context: dict[str, Any] = {
        "delivery": found,
        "body": inbox.shown_body(found),
        "listeners": matching.listeners(found.trigger),
        "may_replay": found.verdict == Delivery.Verdict.ACCEPTED and person(request).has_perm(FIRE_TRIGGER),
    }
    return render(request, "deliveries/delivery.html", context)


@permitted(FIRE_TRIGGER)
@require_POST
def replay(request: HttpRequest, number: int) -> HttpResponse:
    """Lets a delivery fire once more: all triggers that hear of its address, or the one named in `trigger`."""
    found, wanted = _find(number), request.POST.get("trigger", "")
    heard = matching.listeners(found.trigger)
    if wanted:
        heard = heard.filter(pk=int(wanted)) if _is_id(wanted) else heard.none()
    by = causes.actor(user=person(request), api_key=None)
    try:
        made = deliveries.replay(found, triggers=heard, by=by)
    except LaunchRefused as error:
        messages.error(request, str(error))
    else:
        fired = [f"#{entry.run_id}" for entry in made if entry.outcome == Reaction.Outcome.FIRED]
        told = f"started {', '.join(fired)}" if fired else "nothing was started; the last lines say why"
        messages.success(request, f"Replayed delivery {found.pk}: {told}.")
    return HttpResponseRedirect(reverse("pages:delivery", args=[found.pk]))


def _shown() -> QuerySet[Delivery]:
    reactions = Reaction.objects.select_related("trigger__job")
    return Delivery.objects.select_related("trigger__job").prefetch_related(Prefetch("reactions", reactions))


def _find(number: int) -> Delivery:
    found = _shown().filter(pk=number).first() if number < 10**LONGEST_ID else None
    if found is None:
        raise Http404(f"There is no delivery {number}. Deliveries are dropped when they are old.")
    return found


def _errors(asked: Mapping[str, str]) -> list[str]:
    """What of the filters can't be read, in sentences."""
    wrong = []
    if asked["trigger"] and not _is_id(asked["trigger"]):
        wrong.append(f"{asked['trigger']!r} is no address: expected the number of an event trigger.")
    if asked["verdict"] and asked["verdict"] not in Delivery.Verdict.values:
        expected = ", ".join(Delivery.Verdict.values)
        wrong.append(f"{asked['verdict']!r} is not a known verdict: expected one of {expected}.")
    return wrong


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_ID

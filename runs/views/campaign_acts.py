"""What people may do to a campaign: hold it, let it go on, cancel it, retry what failed, change how it goes."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from jobs.wire import InvalidBody
from runs import campaigns, causes, ordering, orders, tending
from runs.launch import LaunchRefused
from runs.models import Campaign
from runs.views.access import CANCEL_RUN, RETRY_RUN, RUN_JOB, permitted, person
from runs.views.campaign_form import limits
from runs.views.campaign_page import find

# How many recipients of a draft are tried first.
FIRST: Final = 5


@permitted(RUN_JOB)
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Nothing more of it starts."""
    return _act(request, number, lambda found, by: campaigns.pause(found, by=by))


@permitted(RUN_JOB)
@require_POST
def resume(request: HttpRequest, number: int) -> HttpResponse:
    """It goes on, or a draft starts."""
    leave_out, first = "without_invalid" in request.POST, FIRST if "first" in request.GET else None

    def act(found: Campaign, by: str) -> None:
        campaigns.resume(found, by=by, without_invalid=leave_out, first=first)

    return _act(request, number, act)


@permitted(CANCEL_RUN)
@require_POST
def cancel(request: HttpRequest, number: int) -> HttpResponse:
    """What is open of it ends."""
    return _act(request, number, lambda found, by: campaigns.cancel(found, by=by))


@permitted(RETRY_RUN)
@require_POST
def retry_failed(request: HttpRequest, number: int) -> HttpResponse:
    """Each failed run is launched once more; of a group of errors, if one is named, its newest."""
    group = request.POST.get("group")
    return _act(request, number, lambda found, by: campaigns.retry_failed(found, by=by, group=group))


@permitted(RUN_JOB)
@require_POST
def duplicate(request: HttpRequest, number: int) -> HttpResponse:
    """A draft with the same recipients and settings."""
    try:
        made = orders.duplicate(find(number), user=person(request))
    except LaunchRefused as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("pages:campaign", args=[number]))
    messages.success(request, f"This is a draft like campaign #{number}.")
    return HttpResponseRedirect(reverse("pages:campaign", args=[made.pk]))


@permitted(RUN_JOB)
@require_POST
def change(request: HttpRequest, number: int) -> HttpResponse:
    """Another rate, other hours, another failure rate from now on; what is left empty is none."""

    def act(found: Campaign, by: str) -> None:
        none: dict[str, Any] = dict.fromkeys(ordering.CHANGES["properties"])
        given = ordering.from_texts(limits(request.POST), schema=ordering.CHANGES)
        campaigns.change(found, by=by, **ordering.changes_of(none | given))

    return _act(request, number, act)


def _act(request: HttpRequest, number: int, act: Callable[[Campaign, str], None]) -> HttpResponse:
    """Does it, carries it out as far as that goes at once, and shows the campaign again."""
    found = find(number)
    try:
        act(found, causes.actor(user=person(request), api_key=None))
        tending.at_once(found)
        messages.success(request, f"Campaign #{found.pk} is {found.status}.")
    except (LaunchRefused, InvalidBody) as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("pages:campaign", args=[found.pk]))

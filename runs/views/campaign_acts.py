"""What people may do to a campaign: hold it, let it go on, cancel it, retry what failed, change its rate."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from jobs.wire import InvalidBody
from runs import campaigns, causes, ordering, tending
from runs.launch import LaunchRefused
from runs.models import Campaign
from runs.views.access import CANCEL_RUN, RETRY_RUN, RUN_JOB, permitted, person
from runs.views.campaign_page import find


@permitted(RUN_JOB)
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Nothing more of it starts."""
    return _act(request, number, lambda found, by: campaigns.pause(found, by=by))


@permitted(RUN_JOB)
@require_POST
def resume(request: HttpRequest, number: int) -> HttpResponse:
    """It goes on, or a draft starts."""
    leave_out = "without_invalid" in request.POST
    return _act(request, number, lambda found, by: campaigns.resume(found, by=by, without_invalid=leave_out))


@permitted(CANCEL_RUN)
@require_POST
def cancel(request: HttpRequest, number: int) -> HttpResponse:
    """What is open of it ends."""
    return _act(request, number, lambda found, by: campaigns.cancel(found, by=by))


@permitted(RETRY_RUN)
@require_POST
def retry_failed(request: HttpRequest, number: int) -> HttpResponse:
    """Each failed run is launched once more."""
    return _act(request, number, lambda found, by: campaigns.retry_failed(found, by=by))


@permitted(RUN_JOB)
@require_POST
def change(request: HttpRequest, number: int) -> HttpResponse:
    """Another rate from now on; an empty one is none."""
    text = request.POST.get("rate_per_second", "").strip()

    def act(found: Campaign, by: str) -> None:
        rate = ordering.from_texts({"rate_per_second": text}, whole=False).get("rate_per_second")
        campaigns.change(found, by=by, rate_per_second=rate)

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

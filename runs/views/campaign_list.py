"""The page /campaigns/: which campaigns there are, and how far each is."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from runs import progress
from runs.models import Campaign, CampaignStatus
from runs.views.access import RUN_JOB, VIEW_RUNS, permitted, person
from runs.views.campaign_faces import Shown
from runs.views.narrowing import Narrowing

PAGE_SIZE = 50


@permitted(VIEW_RUNS)
@require_GET
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Campaigns, the newest first; by `status` and behind `after`, if the address says so; 400 if that is nonsense."""
    asked = Narrowing(data=request.GET)
    status, after = asked.one_of("status", dict(CampaignStatus.choices)), asked.text("after")
    found = Campaign.objects.select_related("job", "created_by", "api_key").order_by("-pk")
    if status:
        found = found.filter(status=status)
    if after.isascii() and after.isdigit() and len(after) < 19:
        found = found.filter(pk__lt=int(after))
    elif after:
        asked.errors["after"] = f"{after!r} is not a place in the list: expected the id of a campaign."
    page = list((found.none() if asked.errors else found)[: PAGE_SIZE + 1])
    numbers = progress.of_campaigns(page[:PAGE_SIZE]) if page else {}
    context = {
        "entries": [Shown(campaign, numbers[campaign.pk]) for campaign in page[:PAGE_SIZE]],
        "older": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "status": status,
        "errors": asked.errors.values(),
        "statuses": CampaignStatus.values,
        "may_order": person(request).has_perm(RUN_JOB),
    }
    return render(request, "runs/campaigns/list.html", context, status=400 if asked.errors else 200)

"""The page /campaigns/: which campaigns there are, and how far each is."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from runs import progress
from runs.models import Campaign, CampaignStatus
from runs.views.access import RUN_JOB, VIEW_RUNS, permitted, person
from runs.views.campaign_faces import Shown

PAGE_SIZE = 50


@permitted(VIEW_RUNS)
@require_GET
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Campaigns, the newest first; by `status` and behind `after`, if the address says so."""
    status, after = request.GET.get("status", ""), request.GET.get("after", "")
    found = Campaign.objects.select_related("job", "created_by", "api_key").order_by("-pk")
    if status in CampaignStatus.values:
        found = found.filter(status=status)
    if after.isascii() and after.isdigit() and len(after) < 19:
        found = found.filter(pk__lt=int(after))
    page = list(found[: PAGE_SIZE + 1])
    numbers = progress.of_campaigns(page[:PAGE_SIZE]) if page else {}
    context = {
        "entries": [Shown(campaign, numbers[campaign.pk]) for campaign in page[:PAGE_SIZE]],
        "older": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "status": status,
        "statuses": CampaignStatus.values,
        "may_order": person(request).has_perm(RUN_JOB),
    }
    return render(request, "runs/campaigns/list.html", context)

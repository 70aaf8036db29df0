"""The page of one campaign: how far it is, how fast it goes, what failed, and who it is for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs import parameters, priority
from runs import error_groups, progress, reports, throughput
from runs.models import Campaign, CampaignPace, Recipient
from runs.status import Status
from runs.views import campaign_recipients, live
from runs.views.access import CANCEL_RUN, RETRY_RUN, RUN_JOB, VIEW_RUNS, permitted, person
from runs.views.campaign_faces import Shown

POLL_SECONDS: Final = 2
EVENTS_SHOWN: Final = 50
PREVIEWED: Final = 5
PACES: Final = 60
HEIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """A bar of the picture: the runs that ended in ten seconds."""

    pace: CampaignPace
    x: int
    ok: float
    failed: float

    @property
    def words(self) -> str:
        """What the bar shows."""
        return f"{self.pace.at:%H:%M:%S}: {self.pace.succeeded} succeeded, {self.pace.failed} failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How long runs of the lane high waited that ended while a campaign went on; `until` is None while it does."""

    since: datetime
    until: datetime | None
    runs: int
    p95: float | None


def find(number: int) -> Campaign:
    """The campaign of that id; raises Http404."""
    found = Campaign.objects.select_related("job", "created_by", "api_key").filter(pk=number).first()
    if found is None:
        raise Http404(f"There is no campaign {number}.")
    return found


@permitted(VIEW_RUNS)
@require_GET
def campaign_page(request: HttpRequest, number: int) -> HttpResponse:
    """The page, with the recipients that the address asks for."""
    campaign = find(number)
    context = {
        **_shown(request, campaign),
        "live": True,
        "errors": error_groups.of_campaign(campaign),
        "looked_at": error_groups.LIMIT,
        "events": campaign.events.all()[:EVENTS_SHOWN],
        "people": campaign_recipients.page(campaign, request.GET),
        "statuses": Status.values,
        "given": parameters.mask(campaign.job.schema, campaign.parameters),
        "typed": _limits(campaign),
        "retriable": person(request).has_perm(RETRY_RUN) and campaign.status in ("running", "done"),
        "previews": _previews(campaign) if campaign.status == "draft" else [],
    }
    context["poller"] = _poller(context)
    return render(request, "runs/campaigns/campaign.html", context)


@permitted(VIEW_RUNS)
@require_GET
def campaign_live(request: HttpRequest, number: int) -> HttpResponse:
    """What changed since: headline and numbers."""
    context = _shown(request, find(number))
    seen, prints = live.seen(request), _prints(context)
    changed = [name for name, print_ in prints.items() if seen.get(name) != print_]
    if not changed and not context["shown"].campaign.is_final:
        return live.unchanged(seconds=POLL_SECONDS)
    pieces = {name: live.piece(request, f"runs/campaigns/_{name}.html", context) for name in changed}
    return live.answer(_poller(context), pieces)


@permitted(VIEW_RUNS)
@require_GET
def campaign_report(request: HttpRequest, number: int) -> StreamingHttpResponse:
    """The invalid recipients as a CSV."""
    return _csv(reports.invalid(find(number)), name=f"campaign-{number}-invalid.csv")


@permitted(VIEW_RUNS)
@require_GET
def campaign_failures(request: HttpRequest, number: int) -> StreamingHttpResponse:
    """The failed runs that were not retried as a CSV."""
    return _csv(reports.failures(find(number)), name=f"campaign-{number}-failures.csv")


def _csv(lines: Iterator[str], *, name: str) -> StreamingHttpResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _shown(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """What the live pieces show."""
    user = person(request)
    may = {
        "run": user.has_perm(RUN_JOB),
        "cancel": user.has_perm(CANCEL_RUN),
        "retry": user.has_perm(RETRY_RUN),
    }
    return {
        "campaign": campaign,
        "shown": Shown(campaign, progress.of_campaign(campaign)),
        "sums": progress.sums(campaign),
        "paces": _paces(campaign),
        "may": may,
        "protection": _waits(campaign),
    }


def _prints(context: dict[str, Any]) -> dict[str, str]:
    campaign, seen = context["campaign"], context["shown"].seen
    head = (campaign.status, campaign.paused_reason, campaign.invalid, seen.failed > 0)
    return {
        "head": live.fingerprint(*head),
        "numbers": live.fingerprint(
            seen.runs, seen.launched, seen.running, seen.succeeded, seen.failed, seen.cancelled, seen.skipped,
            round(seen.rate, 1), campaign.rate_per_second, context["protection"], len(context["paces"]),
        ),
    }  # fmt: skip


def _poller(context: dict[str, Any]) -> str:
    campaign = context["campaign"]
    url = reverse("pages:campaign-live", args=[campaign.pk])
    return live.poller(url, prints=_prints(context), seconds=None if campaign.is_final else POLL_SECONDS)


def _paces(campaign: Campaign) -> list[Pace]:
    """The newest ten minutes in which runs ended, those ten seconds in which none did left empty."""
    found = {pace.at: pace for pace in progress.paces(campaign, limit=PACES)}
    highest = max((pace.succeeded + pace.failed for pace in found.values()), default=0) or 1
    shown = []
    for number in range(PACES if found else 0):
        at = max(found) - (PACES - 1 - number) * progress.BIN
        pace = found.get(at) or CampaignPace(at=at)
        shown.append(
            Pace(pace, number * 10, pace.succeeded / highest * HEIGHT, pace.failed / highest * HEIGHT)
        )
    return shown


def _waits(campaign: Campaign) -> Protection | None:
    """How the lane of triggers fared while the campaign went on; None before it began."""
    if campaign.started_at is None:
        return None
    until = campaign.finished_at or timezone.now()
    found = throughput.waits(priority.LANES[0], since=campaign.started_at, until=until)
    return Protection(
        since=campaign.started_at, until=campaign.finished_at, runs=found.total, p95=found.quantile(0.95)
    )


def _limits(campaign: Campaign) -> dict[str, str]:
    """How it goes now, as the form that changes it has it."""
    share, begin, end = campaign.stop_on_failure_rate, campaign.window_from, campaign.window_to
    return {
        "rate_per_second": "" if campaign.rate_per_second is None else f"{campaign.rate_per_second:.10g}",
        "stop_on_failure_percent": "" if share is None else f"{share * 100:g}",
        "window_from": "" if begin is None else f"{begin:%H:%M}",
        "window_to": "" if end is None else f"{end:%H:%M}",
        "window_zone": campaign.window_zone if campaign.window else "",
    }


def _previews(campaign: Campaign) -> list[tuple[str, dict[str, Any]]]:
    """The first recipients who are not to be skipped, with the parameters that their runs will have."""
    able = Recipient.objects.filter(campaign=campaign, fault__isnull=True, is_active=True)
    people = able.order_by("run_id")[:PREVIEWED]
    job = campaign.job
    return [
        (one.key, parameters.mask(job.schema, {**job.defaults, **campaign.parameters, **one.parameters}))
        for one in people
    ]

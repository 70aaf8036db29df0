"""The page of one campaign: how far it is, how fast it goes, what failed, and who it is for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from jobs import parameters
from runs import error_groups, progress, reports
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
# Newest starts of each kind that triggers make; not by lane, because kinds have an index.
_WAITS: Final = """
    SELECT count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at))
    FROM unnest(ARRAY['manual', 'remote', 'event']) kind CROSS JOIN LATERAL (
        SELECT r.started_at, r.queued_at, r.lane FROM runs_run r
        WHERE r.trigger_kind = kind AND r.trigger_kind <> 'campaign' ORDER BY r.id DESC LIMIT 200) newest
    WHERE lane = 'high' AND started_at >= queued_at AND started_at BETWEEN %s AND coalesce(%s, now())"""


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
    waits, p95 = _waits(campaign)
    return {
        "campaign": campaign,
        "shown": Shown(campaign, progress.of_campaign(campaign)),
        "sums": progress.sums(campaign),
        "paces": _paces(campaign),
        "may": may,
        "waits": waits,
        "wait_p95": p95,
    }


def _prints(context: dict[str, Any]) -> dict[str, str]:
    campaign, seen = context["campaign"], context["shown"].seen
    head = (campaign.status, campaign.paused_reason, campaign.invalid, seen.failed > 0)
    return {
        "head": live.fingerprint(*head),
        "numbers": live.fingerprint(
            seen.runs, seen.launched, seen.running, seen.succeeded, seen.failed, seen.cancelled, seen.skipped,
            round(seen.rate, 1), campaign.rate_per_second, context["waits"], len(context["paces"]),
        ),
    }  # fmt: skip


def _poller(context: dict[str, Any]) -> str:
    campaign = context["campaign"]
    url = reverse("pages:campaign-live", args=[campaign.pk])
    return live.poller(url, prints=_prints(context), seconds=None if campaign.is_final else POLL_SECONDS)


def _paces(campaign: Campaign) -> list[Pace]:
    found = progress.paces(campaign, limit=PACES)
    highest = max((pace.succeeded + pace.failed for pace in found), default=0) or 1
    return [
        Pace(pace, number * 10, pace.succeeded / highest * HEIGHT, pace.failed / highest * HEIGHT)
        for number, pace in enumerate(found)
    ]


def _waits(campaign: Campaign) -> tuple[int, float | None]:
    """How many runs of the lane high started meanwhile, and how long all but the slowest twentieth waited."""
    if campaign.started_at is None:
        return 0, None
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, [campaign.started_at, campaign.finished_at])
        count, seconds = cursor.fetchone()
    return int(count), None if seconds is None else float(seconds)


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
    """The first recipients with the parameters that their runs will have."""
    people = Recipient.objects.filter(campaign=campaign, fault__isnull=True).order_by("run_id")[:PREVIEWED]
    job = campaign.job
    return [
        (one.key, parameters.mask(job.schema, {**job.defaults, **campaign.parameters, **one.parameters}))
        for one in people
    ]

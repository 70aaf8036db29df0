"""The pages of what starts a job: all its triggers together, and one with each time it fired or did not."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job
from runs import analytics, ledger, usage
from runs.durations import p95
from runs.stats import Ended
from runs.views import use_chart
from runs.views.access import VIEW_RUNS, permitted
from runs.views.schedule_words import described, policies
from triggers import dependencies
from triggers.models import Kind, Trigger

PAGE_SIZE: Final = 50
DAYS: Final = 30


@permitted(VIEW_RUNS)
@require_GET
def job_triggers(request: HttpRequest, slug: str) -> HttpResponse:
    """All that may start the job with its use in the last month, and the newest times that it did or should have."""
    job = _job(slug)
    triggers = list(job.triggers.prefetch_related("upstreams").order_by("pk"))
    stretch = analytics.last_days(timezone.now(), DAYS, jobs=[job.pk])
    used = {(use.trigger_id, use.kind): use.ended for use in analytics.triggers(stretch, limit=1000)}
    usages = usage.of_triggers([trigger.pk for trigger in triggers])
    context = {
        "job": job,
        "days": DAYS,
        "triggers": [
            (trigger, _rule(trigger), usages[trigger.pk], used.get((trigger.pk, trigger.kind), Ended()))
            for trigger in triggers
        ],
        "others": [(kind, ended) for (pk, kind), ended in used.items() if pk is None],
        "entries": ledger.of_job(job, limit=PAGE_SIZE),
        "labels": {trigger.pk: trigger.label for trigger in triggers},
    }
    return render(request, "jobs/triggers.html", context)


@permitted(VIEW_RUNS)
@require_GET
def trigger_page(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One trigger: its use, and each time it fired or did not, with the reason; `before` pages, `outcome` filters."""
    job = _job(slug)
    trigger = job.triggers.filter(pk=number).first()
    if trigger is None:
        raise Http404(f"The job {slug!r} has no trigger {number}.")
    rows, _ = ledger.of_trigger(trigger)
    has_outcomes = trigger.kind != Kind.REMOTE
    outcome, before = request.GET.get("outcome", ""), request.GET.get("before", "")
    if has_outcomes and outcome in ledger.OUTCOMES:
        rows = rows.filter(outcome=outcome)
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = ledger.entries(list(rows[: PAGE_SIZE + 1]))
    shown = found[:PAGE_SIZE]
    used = analytics.use(analytics.last_days(timezone.now(), DAYS, trigger=trigger.pk))
    prefetch_related_objects([trigger], "upstreams")
    context = {
        "job": job,
        "trigger": trigger,
        "rule": _rule(trigger),
        "policies": policies(trigger) if trigger.kind == Kind.SCHEDULE else "",
        "usage": usage.of_triggers([trigger.pk])[trigger.pk],
        "lately": used.total,
        "rate": use_chart.rate(used.by_day(ZoneInfo(timezone.get_current_timezone_name()))),
        "days": DAYS,
        "entries": shown,
        "late": p95(entry.late for entry in shown if entry.late is not None and entry.run is not None),
        "outcomes": ledger.OUTCOMES if has_outcomes else (),
        "outcome": outcome,
        "older": shown[-1].id if len(found) > PAGE_SIZE else None,
    }
    return render(request, "jobs/trigger.html", context)


def _job(slug: str) -> Job:
    job = Job.objects.filter(slug=slug).first()
    if job is None:
        raise Http404(f"There is no job {slug!r}.")
    return job


def _rule(trigger: Trigger) -> str:
    """When it fires, in words."""
    words: dict[str, Any] = {
        Kind.SCHEDULE: described,
        Kind.DEPENDENCY: lambda found: dependencies.described(found, list(found.upstreams.all())),
        Kind.REMOTE: lambda found: "when a program calls it with an API key",
    }
    told: str = words.get(trigger.kind, lambda found: "when an event comes in")(trigger)
    return told

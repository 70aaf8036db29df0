"""The page /analytics/: which triggers are used, how often, with what success, and when in the week."""

from typing import Final
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job
from runs import analytics
from runs.analytics import TriggerUse
from runs.views import use_chart
from runs.views.access import VIEW_RUNS, permitted
from triggers.models import Trigger

PERIODS: Final = (7, 30, 90)
MOST: Final = 50


@permitted(VIEW_RUNS)
@require_GET
def analytics_page(request: HttpRequest) -> HttpResponse:
    """The page: of `days` days, of all jobs or of one (`job`), read from the hourly tallies in two queries."""
    days, slug = request.GET.get("days", ""), request.GET.get("job", "").strip()
    period = int(days) if days in map(str, PERIODS) else analytics.DAYS
    job = Job.objects.filter(slug=slug).first() if slug else None
    if slug and job is None:
        raise Http404(f"There is no job {slug!r}.")
    stretch = analytics.last_days(timezone.now(), period, jobs=[job.pk] if job else None)
    used, zone = analytics.use(stretch), ZoneInfo(timezone.get_current_timezone_name())
    week, by_day = use_chart.week(used.by_weekday(zone)), used.by_day(zone)
    context = {
        "periods": PERIODS,
        "period": period,
        "job": job,
        "total": used.total,
        "kinds": used.kinds,
        "days": use_chart.days(by_day, job=slug),
        "rates": use_chart.rates(by_day),
        "week": week,
        "weekdays": analytics.WEEKDAYS,
        "busiest": use_chart.busiest(week),
        "triggers": named(analytics.triggers(stretch, limit=MOST)),
        "zone": zone,
    }
    return render(request, "analytics/analytics.html", context)


def named(uses: list[TriggerUse]) -> list[tuple[TriggerUse, Job, Trigger | None]]:
    """Each use with its job and, while it is there, its trigger; in two queries."""
    jobs = Job.objects.in_bulk({use.job_id for use in uses})
    triggers = Trigger.objects.in_bulk([use.trigger_id for use in uses if use.trigger_id])
    return [(use, jobs[use.job_id], triggers.get(use.trigger_id or 0)) for use in uses if use.job_id in jobs]

"""A job's page: its days, its durations, the last calls of programs, and who changed what."""

import re
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Job
from runs.models import HourlyTally, Run
from runs.stats import Ended
from runs.views import job_charts
from tests.api.conftest import Program
from tests.factories import make_job, make_owner, make_run
from tests.pages.conftest import Visitor, words
from tests.runs.endings import ended_run
from triggers import keys

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)  # a Sunday


def ended(**counts: int) -> Ended:
    return Ended(counts=dict(counts))


def test_a_day_is_well_partly_or_badly_and_stands_under_its_weekday() -> None:
    days = {
        TODAY - timedelta(days=6): ended(succeeded=9),
        TODAY - timedelta(days=5): ended(succeeded=9, failed=1),
        TODAY - timedelta(days=4): ended(succeeded=1, failed=1),
        TODAY: ended(),
    }
    drawn = job_charts.calendar(days)
    assert [(day.mood, day.y // job_charts.CELL) for day in drawn.days] == [
        ("well", 0),
        ("partly", 1),
        ("badly", 2),
        ("none", 6),
    ]
    assert drawn.words == (
        "4 days: 1 without a failure, 1 with some failures, 1 mostly failed, 1 without a run"
    )
    assert drawn.bad == ["Tue 17 Nov: 9 succeeded, 1 failed", "Wed 18 Nov: 1 succeeded, 1 failed"]


def finished(job: Job, seconds: float) -> Run:
    """A run that took so long."""
    run, now = ended_run(job), timezone.now()
    Run.objects.filter(pk=run.pk).update(started_at=now - timedelta(seconds=seconds), finished_at=now)
    return run


def test_durations_have_a_dot_a_run_with_median_and_p95() -> None:
    job = make_job()
    assert job_charts.durations(list(Run.objects.filter(job=job).order_by("-pk"))) is None
    runs = [finished(job, seconds) for seconds in (1, 2, 3, 40)]
    make_run(job)  # has not ended
    drawn = job_charts.durations(list(Run.objects.filter(job=job).order_by("-pk")))
    assert drawn
    assert [dot.run_id for dot in drawn.dots] == [run.pk for run in runs]
    assert (drawn.median, drawn.p95, drawn.longest) == ("2.5 s", "40 s", "40 s")
    assert drawn.dots[0].y > drawn.median_y > drawn.p95_y == drawn.dots[3].y


def test_the_page_shows_days_durations_calls_and_changes_in_few_queries(
    visitor: Visitor, ada: Client
) -> None:
    job = make_job(slug="report")
    HourlyTally.objects.create(
        hour=timezone.now().replace(minute=0, second=0, microsecond=0),
        job_id=job.pk, trigger_kind="manual", lane="high", status="failed", runs=3, timed=3,
        duration_seconds=1, wait_seconds=1,
    )  # fmt: skip
    finished(job, 3)
    key, text = keys.issue(name="ci-bot", owner=make_owner(), scopes=("run",))
    for _ in range(7):
        assert Program(key=key, text=text).post("/api/jobs/report/trigger", {}).status_code == 202
    Job.objects.filter(pk=job.pk).update(timeout_seconds=77)
    with CaptureQueriesContext(connection) as queries:
        page = words(ada.get("/jobs/report/"))
    assert len(queries) <= 12
    assert "1 mostly failed, 89 without a run" in page or "1 mostly failed" in page
    assert "median 3.0 s" in page
    calls = page[page.index("Last 5 calls") : page.index("Parameter") if "Parameter" in page else None]
    assert len(re.findall(r"ci-bot, hw_", calls)) == 5
    assert "<dt>timeout_seconds</dt><dd><del>3600</del> → <ins>77</ins>" in page
    assert "Take back" in page
    assert "Newest changes" not in words(visitor("runs.view_run").get("/jobs/report/"))

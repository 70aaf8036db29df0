"""The pages of analytics and of triggers: what was used when, and each firing and non-firing with its reason."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import analytics, firing, followers, tallies
from runs.models import HourlyTally, Run, TriggerKind
from runs.stats import Ended
from runs.views import use_chart
from tests.factories import make_dependency, make_job, make_schedule
from tests.pages.conftest import text, words
from tests.runs.endings import ended_run, settle_failed
from triggers.models import Occurrence, Trigger

pytestmark = pytest.mark.django_db


def hour(at: datetime, trigger: Trigger, *, runs: int, status: str = "succeeded") -> None:
    """So many ended runs of a trigger in one hour."""
    HourlyTally.objects.create(
        hour=at.replace(minute=0, second=0, microsecond=0),
        job_id=trigger.job_id,
        trigger_id=trigger.pk,
        trigger_kind=trigger.kind,
        lane="default",
        status=status,
        runs=runs,
        timed=runs,
        duration_seconds=2.0 * runs,
        wait_seconds=0.5 * runs,
    )


def test_the_use_of_kinds_and_triggers_is_shown_with_pictures_and_their_tables(ada: Client) -> None:
    trigger = make_schedule(make_job(slug="report", name="Report"), name="nightly report")
    at = timezone.now() - timedelta(days=2)
    hour(at, trigger, runs=9)
    hour(at, trigger, runs=1, status="failed")
    ended_run(trigger.job)
    page = ada.get("/analytics/")
    shown = words(page)
    local = timezone.localtime(at)
    assert f"{local:%a} {local:%H}:00: 9 succeeded, 1 failed" in shown
    assert f"{local:%a %d %b}: 10 schedule" in shown
    assert "Ended runs by weekday and hour, most at" in shown
    assert f'href="/jobs/report/triggers/{trigger.pk}/"' in text(page)
    row = re.search(r"<td data-label=\"Trigger\">.*?nightly report.*?</tr>", text(page), re.DOTALL)
    assert row
    assert ">10<" in row[0]
    assert "90 %" in row[0]
    assert "<style" not in text(page)
    assert " style=" not in text(page)


def test_one_job_and_another_period_may_be_asked_for(ada: Client) -> None:
    mine, other = make_schedule(name="mine"), make_schedule(name="other")
    hour(timezone.now() - timedelta(days=20), mine, runs=3)
    hour(timezone.now() - timedelta(days=20), other, runs=5)
    assert "No run ended in the last 7 days" in words(ada.get("/analytics/"))
    shown = words(ada.get("/analytics/", {"days": "30", "job": mine.job.slug}))
    assert ">mine<" in shown
    assert ">other<" not in shown
    assert ada.get("/analytics/", {"job": "nobody"}).status_code == 404
    assert ada.get("/analytics/", {"days": "5000"}).status_code == 200


def test_analytics_read_tallies_only(ada: Client) -> None:
    for _ in range(3):
        ended_run(make_schedule().job)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ada.get("/analytics/?days=90")
    assert len(queries) <= 12
    assert not [query for query in queries if "runs_run" in query["sql"]]


def test_the_days_of_a_stretch_follow_the_clock_of_the_zone() -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    stretch = analytics.Stretch(
        since=datetime(2026, 10, 24, 0, tzinfo=UTC), until=datetime(2026, 10, 27, 0, tzinfo=UTC)
    )
    late = datetime(2026, 10, 25, 22, tzinfo=UTC)  # 23:00, behind the change
    early = datetime(2026, 10, 25, 23, tzinfo=UTC)  # 00:00 of the next day
    used = analytics.Use(
        stretch, {(late, "manual"): Ended({"succeeded": 1}), (early, "manual"): Ended({"failed": 2})}
    )
    days = used.by_day(berlin)
    assert [f"{day:%d %H:%M %z}" for day in days] == [
        "24 00:00 +0200",
        "25 00:00 +0200",
        "26 00:00 +0100",
        "27 00:00 +0100",
    ]
    assert [sum(part.runs for part in parts.values()) for parts in days.values()] == [0, 1, 2, 0]
    week = used.by_weekday(berlin)
    assert (week[6][23].runs, week[0][0].runs) == (1, 2)
    cells = use_chart.week(week)
    assert [cell.level for cell in (cells[6][23], cells[0][0], cells[3][3])] == [3, 5, 0]


def test_a_schedule_shows_each_slot_with_its_run_or_the_reason_why_none(ada: Client) -> None:
    trigger = make_schedule(make_job(slug="report"), overlap="allow")
    now = timezone.now()
    Trigger.objects.filter(pk=trigger.pk).update(next_run_at=now, next_slot=now - timedelta(seconds=3))
    firing.fire_due(timezone.now() + timedelta(seconds=1))
    Occurrence.objects.create(
        trigger=trigger, slot=now - timedelta(days=1), outcome="missed", reason="Beat was silent."
    )
    run = Run.objects.get(trigger=trigger)
    path = f"/jobs/report/triggers/{trigger.pk}/"
    shown = words(ada.get(path))
    assert f"#{run.pk}" in shown
    assert "Beat was silent." in shown
    assert "Lateness, p95" in shown
    only = words(ada.get(path, {"outcome": "missed"}))
    assert "Beat was silent." in only
    assert f"#{run.pk}<" not in only
    Run.objects.filter(pk=run.pk).delete()
    assert f"#{run.pk}, no longer kept" in words(ada.get(path))
    assert ada.get("/jobs/report/triggers/999999/").status_code == 404


def test_a_long_ledger_has_pages(ada: Client) -> None:
    trigger = make_schedule(make_job(slug="report"))
    at = timezone.now()
    Occurrence.objects.bulk_create(
        Occurrence(trigger=trigger, slot=at - timedelta(hours=n), outcome="skipped", reason=f"Reason {n}.")
        for n in range(60)
    )
    path = f"/jobs/report/triggers/{trigger.pk}/"
    first = text(ada.get(path))
    older = re.search(r'href="(\?before=\d+)"', first)
    assert older
    second = text(ada.get(path + older[1]))
    told = [set(re.findall(r"Reason \d+\.", page)) for page in (first, second)]
    assert [len(found) for found in told] == [50, 10]
    assert not told[0] & told[1]


def test_a_job_shows_all_that_started_it_or_should_have(ada: Client) -> None:
    upstream, job = make_job(slug="load"), make_job(slug="report", name="Report")
    after = make_dependency(upstream, job=job, condition="on_failure", name="when load fails")
    nightly = make_schedule(job, name="nightly")
    Occurrence.objects.create(
        trigger=nightly, slot=timezone.now(), outcome="skipped", reason="The run before goes on."
    )
    ended = ended_run(upstream)
    followers.follow(ended.pk)
    by_hand = ended_run(job, settle_failed)
    tallies.fold()
    with CaptureQueriesContext(connection) as queries:
        shown = words(ada.get("/jobs/report/triggers/"))
    assert len(queries) <= 14
    assert "The run before goes on." in shown
    assert f"load #{ended.pk} succeeded" in shown
    assert by_hand.cause in shown
    for trigger in (after, nightly):
        assert f'href="/jobs/report/triggers/{trigger.pk}/"' in shown
    assert "when somebody asks for it" in shown
    assert {kind.value for kind in (TriggerKind.MANUAL, TriggerKind.SCHEDULE)} <= set(
        re.findall(r"\w+", shown)
    )
    one = words(ada.get(f"/jobs/report/triggers/{after.pk}/"))
    assert f"load #{ended.pk} succeeded" in one


def test_only_who_may_see_runs_sees_them(client: Client) -> None:
    job = make_job(slug="report")
    for path in ("/analytics/", "/jobs/report/triggers/", f"/jobs/report/triggers/{job.pk}/", "/queues/"):
        assert client.get(path).status_code == 302


def test_the_success_of_each_kind_is_shown_day_by_day_and_in_words(ada: Client) -> None:
    trigger = make_schedule(make_job())
    at = timezone.now()
    hour(at - timedelta(days=2), trigger, runs=9)
    hour(at - timedelta(days=1), trigger, runs=1, status="failed")
    hour(at - timedelta(days=1), trigger, runs=1)
    page = words(ada.get("/analytics/"))
    worst = f"{timezone.localtime(at - timedelta(days=1)):%a %d %b}"
    assert f"90.9 % of 11 succeeded; the worst day {worst} with 50 %" in page
    assert page.count('class="day well" x=') == 1
    assert f"<title>{worst}: 1 failed, 1 succeeded</title>" in page or (
        f"<title>{worst}: 1 succeeded, 1 failed</title>" in page
    )
    shown = words(ada.get(f"/jobs/{trigger.job.slug}/triggers/{trigger.pk}/"))
    assert "The last 30 days: 90.9 % of 11 succeeded" in shown

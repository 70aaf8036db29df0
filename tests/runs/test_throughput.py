"""runs.throughput: what comes into each lane and leaves it by the minute, without counting runs twice or on a page."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import orders, sweep, tallies, tending, throughput
from runs.models import Campaign, HourlyTally, LanePace, Run
from tests.factories import make_job, make_run
from tests.runs.endings import settle_succeeded

pytestmark = pytest.mark.django_db


def later() -> None:
    """Counts as a sweep does when everything launched so far has settled."""
    throughput.count(sweep.database_now() + throughput.SETTLED + timedelta(seconds=1))


def in_all(lane: str) -> tuple[int, int]:
    paces = throughput.of_lanes(timezone.now() + timedelta(seconds=10))[lane]
    return sum(paces.launched), sum(paces.ended)


def test_what_was_launched_is_counted_once_and_what_was_there_before_is_not() -> None:
    make_run()
    throughput.count(sweep.database_now())
    make_run()
    make_run()
    make_run(priority=100)
    later()
    later()
    assert (in_all("high"), in_all("default"), in_all("bulk")) == ((2, 0), (0, 0), (1, 0))


def test_nothing_behind_a_run_that_is_too_young_is_passed_over() -> None:
    throughput.count(sweep.database_now())
    young, old = make_run(), make_run()
    Run.objects.filter(pk=old.pk).update(created_at=sweep.database_now() - timedelta(minutes=1))
    throughput.count(sweep.database_now())
    assert in_all("high") == (0, 0)
    Run.objects.filter(pk=young.pk).update(created_at=sweep.database_now() - timedelta(minutes=1))
    throughput.count(sweep.database_now())
    assert in_all("high") == (2, 0)


def test_what_ended_counts_at_once_and_stays_so_when_it_is_folded() -> None:
    settle_succeeded(make_run())
    assert in_all("high") == (0, 1)
    tallies.fold()
    assert in_all("high") == (0, 1)
    assert LanePace.objects.get().ended == 1


def test_recipients_of_a_campaign_count_as_its_counters_say_though_their_ids_are_older() -> None:
    throughput.count(sweep.database_now())
    campaign = orders.order(
        orders.Order(job=make_job(), name="spring"), [(number, {"key": str(number)}) for number in range(3)]
    ).campaign
    make_run()  # its id is behind those of the recipients, which have no runs yet
    later()
    tending.at_once(campaign)
    later()
    later()
    assert in_all("bulk") == (3, 0)
    assert in_all("high") == (1, 0)


def test_old_minutes_are_forgotten() -> None:
    LanePace.objects.create(lane="high", at=timezone.now() - throughput.KEPT - timedelta(hours=1), launched=5)
    throughput.count(sweep.database_now())
    assert not LanePace.objects.exists()


def test_a_page_reads_it_in_one_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        throughput.of_lanes(timezone.now())
    assert len(queries) == 1


def test_waits_are_known_by_the_minute_and_of_whole_hours_between() -> None:
    minute = timedelta(minutes=1)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    for at, bucket in (
        (hour - 2 * minute, 0),
        (hour - minute, 4),
        (hour + 61 * minute, 8),
        (hour + 62 * minute, 12),
    ):
        LanePace.objects.create(lane="high", at=at, ended=1, waits={bucket: 1})
    counted = {
        "job_id": 1,
        "trigger_kind": "manual",
        "lane": "high",
        "status": "succeeded",
        "runs": 2,
        "timed": 2,
    }
    seconds = {"duration_seconds": 1, "wait_seconds": 1}
    HourlyTally.objects.create(hour=hour, waits={20: 2}, **counted, **seconds)
    HourlyTally.objects.create(hour=hour - timedelta(hours=1), waits={40: 2}, **counted, **seconds)
    found = throughput.waits("high", since=hour - minute, until=hour + 61 * minute)
    assert found.total == 4
    assert found.quantile(0.01) == pytest.approx(2, rel=0.2)
    assert found.quantile(1) == pytest.approx(32, rel=0.2)
    assert throughput.waits("bulk", since=hour, until=timezone.now()).total == 0


def test_waits_of_what_ended_are_known_before_and_behind_the_fold() -> None:
    run = make_run()
    settle_succeeded(run)
    for _ in range(2):
        assert (
            throughput.waits("high", since=run.created_at, until=timezone.now() + timedelta(minutes=1)).total
            == 1
        )
        tallies.fold()


def test_a_campaign_that_grew_is_counted_once_whenever_it_does_and_others_are_not_looked_at() -> None:
    throughput.count(sweep.database_now())
    job = make_job()
    grown, other = (Campaign.objects.create(job=job, name="x", cause="ada", total=9) for _ in range(2))
    for launched, retried in ((2, 0), (5, 0), (5, 4)):
        Campaign.objects.filter(pk=grown.pk).update(launched=launched, retried=retried)
        later()
        later()
        assert in_all("bulk") == (launched + retried, 0)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {throughput._CAMPAIGNS}")
        assert "campaign_grown" in str(cursor.fetchall())
    Campaign.objects.filter(pk=other.pk).update(launched=1)
    later()
    assert in_all("bulk") == (10, 0)

"""runs.histogram: how waits and durations are spread, from buckets that outlive the runs."""

import math
import random
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import analytics, stats, tallies
from runs.histogram import Histogram, bucket
from runs.models import HourlyTally, Run
from runs.stats import Ended
from tests.factories import make_job
from tests.runs.endings import ended_run


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-4, 1e6), min_size=1, max_size=20), st.floats(0.01, 1))
def test_a_quantile_is_right_to_within_a_fifth(times: list[float], share: float) -> None:
    found = Histogram()
    for seconds in times:
        found.join(Histogram({bucket(seconds): 1}))
    true = sorted(times)[max(math.ceil(share * len(times)), 1) - 1]
    quantile = found.quantile(share)
    assert quantile is not None
    assert 2 ** -(1 / 4) <= quantile / true <= 2 ** (1 / 4)


def test_of_many_times_it_is_closer_still() -> None:
    chance = random.Random(1)
    times = [chance.lognormvariate(0, 1) for _ in range(5000)]
    found = Histogram()
    for seconds in times:
        found.join(Histogram({bucket(seconds): 1}))
    assert found.quantile(0.95) == pytest.approx(sorted(times)[4749], rel=0.1)
    assert Histogram().quantile(0.5) is None


@pytest.mark.django_db
def test_postgresql_puts_times_into_the_same_buckets() -> None:
    times = [0.0, 1e-6, 6.1e-5, 0.0001, 0.25, 0.99, 1.0, 3.7, 86400.0, 1e7]
    with connection.cursor() as cursor:
        cursor.execute("SELECT runs_bucket(t * interval '1 second') FROM unnest(%s::float8[]) t", [times])
        assert [row[0] for row in cursor.fetchall()] == [bucket(seconds) for seconds in times]


@pytest.mark.django_db
def test_what_ended_is_spread_the_same_before_and_after_it_is_folded_and_without_its_runs() -> None:
    job = make_job()
    for _ in range(3):
        ended_run(job)
    now = timezone.now()

    def told() -> tuple[float | None, ...]:
        used = analytics.use(analytics.last_days(now, 1, jobs=[job.pk])).total
        lane = stats.of_lanes(now)["high"]
        day = stats.last_day(now).total
        assert used.duration_p95_seconds == lane.duration_p95_seconds == day.duration_p95_seconds
        return tuple(getattr(used, name) for name in stats.SPREAD)

    before = told()
    assert None not in before
    tallies.fold()
    assert told() == before
    ended_run(job)
    tallies.fold()
    (hour,) = HourlyTally.objects.filter(job_id=job.pk)
    assert sum(hour.waits.values()) == sum(hour.durations.values()) == hour.timed == 4
    after = told()
    Run.objects.all().delete()
    assert told() == after


@pytest.mark.django_db
def test_runs_of_an_older_system_are_spread_too() -> None:
    run = ended_run(make_job())
    begun = timezone.now() - timedelta(seconds=10)
    run.queued_at, run.started_at, run.finished_at = (
        begun,
        begun + timedelta(seconds=2),
        begun + timedelta(seconds=8),
    )
    HourlyTally.objects.all().delete()
    tallies.fold()
    HourlyTally.objects.all().delete()
    tallies.count([run])
    tallies.fold()
    ended = Ended()
    for row in HourlyTally.objects.all():
        ended.waits.join(Histogram({int(name): runs for name, runs in row.waits.items()}))
        ended.durations.join(Histogram({int(name): runs for name, runs in row.durations.items()}))
    assert ended.wait_p50_seconds == pytest.approx(2, rel=0.2)
    assert ended.duration_p50_seconds == pytest.approx(6, rel=0.2)

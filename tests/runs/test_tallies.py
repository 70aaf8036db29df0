"""runs.tallies: every ending is counted once, in the hour, the trigger and the job it belongs to, for ever."""

import random
from collections import Counter
from typing import Any

import pytest
from django.db import connection, transaction

from runs import launch, tallies, usage
from runs.models import HourlyTally, Run, Tally, TallyDelta, TriggerKind, TriggerTally
from tests.factories import make_job, make_schedule
from tests.runs.endings import WAYS, ended_run

pytestmark = pytest.mark.django_db

KEYS = ("job_id", "trigger_id", "trigger_kind", "lane", "status")


def counted(model: Any) -> Counter[tuple[Any, ...]]:
    """What `model` and the endings that are not folded yet say, by job, trigger, kind, lane and status."""
    found: Counter[tuple[Any, ...]] = Counter()
    for tally in (model, TallyDelta):
        for *key, runs in tally.objects.values_list(*KEYS, "runs"):
            found[tuple(key)] += runs
    return found


def in_the_table() -> Counter[tuple[Any, ...]]:
    return Counter(Run.objects.values_list(*KEYS))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_ends_and_whenever_it_is_folded_the_tallies_say_what_the_table_says(seed: int) -> None:
    chance = random.Random(seed)
    jobs = [make_job(on_lost="fail"), make_job()]
    ways = [way for _, way in WAYS.values()] * 2
    chance.shuffle(ways)
    for way in ways:
        job = chance.choice(jobs)
        ended_run(job, way)
        type(job).objects.filter(pk=job.pk).update(status="active", on_lost="fail")
        if chance.random() < 0.4:
            tallies.fold(limit=chance.choice([1, 3, 100]))
        assert counted(HourlyTally) == counted(TriggerTally) == in_the_table()
    tallies.fold()
    assert not TallyDelta.objects.exists()
    assert counted(HourlyTally) == counted(TriggerTally) == in_the_table()
    assert {job.pk: tallies.of_job(job.pk).run_count for job in jobs} == {
        job.pk: Run.objects.filter(job=job).count() for job in jobs
    }


def test_a_run_that_is_skipped_as_it_is_launched_is_counted_with_its_trigger() -> None:
    trigger = make_schedule(make_job(status="paused"))
    cause = launch.Cause(kind=TriggerKind.SCHEDULE, sentence="Schedule nightly", trigger=trigger)
    launch.launch_or_skip(trigger.job, cause=cause)
    assert usage.of_triggers([trigger.pk])[trigger.pk].fired == 1
    tallies.fold()
    told = usage.of_triggers([trigger.pk])[trigger.pk]
    assert (told.fired, told.succeeded, told.failed) == (1, 0, 0)
    assert counted(TriggerTally) == in_the_table()


def test_a_fold_that_is_not_committed_leaves_every_count() -> None:
    job = make_job()
    ended_run(job)
    ended_run(job)
    with transaction.atomic():
        tallies.fold()
        assert not TallyDelta.objects.exists()
        transaction.set_rollback(True)
    assert TallyDelta.objects.count() == 2
    assert not Tally.objects.filter(job=job).exists()
    assert counted(HourlyTally) == in_the_table()


def test_waits_and_durations_are_summed_and_never_negative() -> None:
    run = ended_run(make_job())
    assert run.wait is not None
    assert run.duration is not None
    tallies.fold()
    tally = TriggerTally.objects.get(job_id=run.job_id)
    assert tally.timed == 1
    assert tally.wait_seconds == pytest.approx(run.wait.total_seconds())
    assert tally.duration_seconds == pytest.approx(run.duration.total_seconds())


def test_one_trigger_is_read_through_an_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT * FROM runs_hourlytally WHERE trigger_id = 1 AND hour > now()")
        assert "hourlytally_trigger" in str(cursor.fetchall())

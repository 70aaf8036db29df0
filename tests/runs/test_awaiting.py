"""Schedules that need upstream runs: a slot waits for them, runs once when they end, or is skipped and says so."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs.models import Job
from runs import awaiting, firing, followers, lifecycle, sweep
from runs.models import Ending, Run
from tests.factories import make_dependency, make_job, make_run, make_schedule
from triggers import ledger, requirements
from triggers.dependencies import CircularDependency
from triggers.models import Occurrence, Trigger

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")


def needing(load: Job, *, due: datetime | None = None, **fields: Any) -> Trigger:
    """A schedule that needs `load` within the hour before and 60 minutes after its slot, which came just now."""
    given = {"since": "window", "window_minutes": 60, "wait_minutes": 60, "condition": "on_success", **fields}
    trigger = make_schedule(cron="0 0 1 1 *", overlap="allow", **given)
    requirements.save(trigger, upstreams=[load])
    slot = due or timezone.now().replace(second=0, microsecond=0)
    Trigger.objects.filter(pk=trigger.pk).update(next_slot=slot, next_run_at=slot)
    return trigger


def end(job: Job, status: str = "succeeded", *, ago: timedelta = timedelta(), followed: bool = True) -> Run:
    """A run of `job` that ended `ago`."""
    run = make_run(job)
    with transaction.atomic():
        lifecycle.complete(
            run.pk, status=status, result=None, error={} if status == "failed" else None, by="test"
        )
        if ago:
            Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - ago)
    if followed:
        followers.follow(run.pk)
    return run


def fire(trigger: Trigger) -> Occurrence:
    """What became of the slot that came."""
    firing.fire_due(timezone.now())
    return Occurrence.objects.filter(trigger=trigger).earliest("slot")


def test_a_slot_runs_at_once_if_what_it_needs_has_happened() -> None:
    load = make_job(slug="load")
    before = end(load)
    trigger = needing(load)
    entry = fire(trigger)
    run = Run.objects.get(trigger=trigger)
    assert (entry.outcome, entry.run_id) == ("fired", run.pk)
    assert run.cause.endswith(f"after load #{before.pk}")


def test_a_slot_waits_and_is_launched_by_the_end_of_the_upstream_run_exactly_once() -> None:
    load = make_job(slug="load")
    trigger = needing(load)
    entry = fire(trigger)
    assert (entry.outcome, entry.run_id) == ("waiting", None)
    assert entry.until == entry.slot + timedelta(minutes=60)
    assert "for load." in entry.reason
    end(load, "failed")
    assert fire(trigger).outcome == "waiting"
    last = end(load)
    run = Run.objects.get(trigger=trigger)
    entry = Occurrence.objects.filter(trigger=trigger).earliest("slot")
    assert (entry.outcome, entry.run_id, run.slot) == ("fired", run.pk, entry.slot)
    assert f"after load #{last.pk}" in entry.reason
    end(load)
    firing.release_overdue()
    assert Run.objects.filter(trigger=trigger, slot=entry.slot).count() == 1


def test_an_end_that_nobody_followed_is_found_by_the_sweep() -> None:
    load = make_job()
    trigger = needing(load)
    assert fire(trigger).outcome == "waiting"
    end(load, followed=False)
    assert Ending.objects.exists()
    sweep.run(sweep.database_now())
    assert Run.objects.filter(trigger=trigger).count() == 1


def test_when_its_time_is_over_a_slot_is_skipped_and_says_what_it_lacked() -> None:
    load = make_job(slug="load")
    trigger = needing(load, wait_minutes=1)
    assert fire(trigger).outcome == "waiting"
    Occurrence.objects.filter(trigger=trigger).update(until=timezone.now())
    assert firing.release_overdue(timezone.now() + timedelta(minutes=2)) == 1
    entry = Occurrence.objects.get(trigger=trigger)
    assert (entry.outcome, entry.run_id) == ("skipped", None)
    assert "it was not so that load succeeded" in entry.reason
    assert not Run.objects.filter(trigger=trigger).exists()


def test_when_its_time_is_over_a_slot_runs_anyway_if_the_operator_chose_so() -> None:
    load = make_job(slug="load")
    trigger = needing(load, wait_minutes=1, otherwise="run")
    assert fire(trigger).outcome == "waiting"
    assert not Run.objects.filter(trigger=trigger).exists()
    Occurrence.objects.filter(trigger=trigger).update(until=timezone.now())
    assert firing.release_overdue(timezone.now() + timedelta(minutes=2)) == 1
    entry, run = Occurrence.objects.get(trigger=trigger), Run.objects.get(trigger=trigger)
    assert (entry.outcome, entry.run_id) == ("fired", run.pk)
    for told in (entry.reason, run.cause):
        assert "run anyway: Until" in told
        assert "it was not so that load succeeded" in told


@pytest.mark.parametrize(("ended_after", "outcome"), [(50, "fired"), (70, "skipped")])
def test_after_downtime_counts_when_the_upstream_run_ended(ended_after: int, outcome: str) -> None:
    load = make_job()
    slot = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=3)
    end(load, ago=timezone.now() - slot - timedelta(minutes=ended_after))
    trigger = needing(load, due=slot, misfire="run_each", misfire_limit=1000)
    assert fire(trigger).outcome == outcome


@pytest.mark.parametrize(("needs", "outcome"), [("any", "fired"), ("all", "waiting")])
def test_of_several_one_is_enough_or_all_are_needed(needs: str, outcome: str) -> None:
    one, other = make_job(), make_job()
    trigger = needing(one, needs=needs)
    trigger.refresh_from_db()
    requirements.save(trigger, upstreams=[one, other])
    end(one)
    assert fire(trigger).outcome == outcome
    end(other)
    assert Run.objects.filter(trigger=trigger).count() == 1


def test_whether_a_job_ended_in_time_costs_the_same_however_many_runs_it_had_before() -> None:
    load = make_job()
    trigger = needing(load)
    span = requirements.span(trigger, timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = awaiting.ends(trigger, load, span)[:1].explain()
    assert "Index Scan Backward using run_ended_of_job" in plan
    assert "finished_at >=" in plan.partition("Index Cond:")[2].partition("Filter:")[0]


def test_a_run_of_a_campaign_is_one_recipients_and_not_what_a_slot_waits_for() -> None:
    load = make_job()
    trigger = needing(load)
    run = make_run(load)
    Run.objects.filter(pk=run.pk).update(campaign=1)
    lifecycle.complete(run.pk, status="succeeded", result=None, error=None, by="test")
    assert fire(trigger).outcome == "waiting"


def test_a_waiting_slot_is_run_if_somebody_asks_for_it() -> None:
    trigger = needing(make_job())
    entry = fire(trigger)
    assert ledger.ask(trigger, slots=[entry.slot], by="ada", now=timezone.now()) == 1
    firing.fire_asked(timezone.now())
    assert Run.objects.get(trigger=trigger).cause.endswith("asked for by ada")


def test_a_schedule_that_is_disabled_or_needs_nothing_any_more_lets_no_slot_wait() -> None:
    off, free = needing(make_job()), needing(make_job())
    for trigger in (off, free):
        assert fire(trigger).outcome == "waiting"
    Trigger.objects.filter(pk=off.pk).update(enabled=False)
    requirements.save(Trigger.objects.get(pk=free.pk), upstreams=[])
    firing.release_overdue()
    assert "disabled" in Occurrence.objects.filter(trigger=off).earliest("slot").reason
    assert Run.objects.filter(trigger=free).exists()
    assert not Run.objects.filter(trigger=off).exists()


def test_what_it_needs_is_an_edge_that_closes_no_circle() -> None:
    load, report = make_job(slug="load"), make_job(slug="report")
    make_dependency(report, job=load)
    trigger = make_schedule(report)
    with pytest.raises(CircularDependency, match="→ report"):
        requirements.save(trigger, upstreams=[load])
    trigger.refresh_from_db()
    requirements.save(trigger, upstreams=[make_job()])
    with pytest.raises(IntegrityError, match="keeps its job"), transaction.atomic():
        Trigger.objects.filter(pk=trigger.pk).update(job=load)
    trigger.wait_until, trigger.wait_minutes = time(10), 5
    with pytest.raises(ValidationError, match="not both"):
        requirements.save(trigger, upstreams=[make_job()])
    trigger.wait_until, trigger.wait_minutes, trigger.otherwise = None, None, "run"
    with pytest.raises(ValidationError, match="whatever the other jobs did"):
        requirements.save(trigger, upstreams=[make_job()])


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("slot", "until", "begin", "end"),
    [
        (utc(6, 1, 6, 30), time(10), utc(5, 31, 22), utc(6, 1, 8)),
        (utc(6, 1, 21), time(1), utc(5, 31, 22), utc(6, 1, 23)),  # the next morning
        (utc(3, 29, 0), time(2, 30), utc(3, 28, 23), utc(3, 29, 1)),  # 2:30 is skipped: at 3:00 CEST
        (utc(10, 24, 23), time(2, 30), utc(10, 24, 22), utc(10, 25, 0, 30)),  # the first 2:30
    ],
)
def test_the_day_and_the_time_are_those_of_the_schedules_clock(
    slot: datetime, until: time, begin: datetime, end: datetime
) -> None:
    trigger = Trigger(timezone=BERLIN, since="day", wait_until=until)
    assert requirements.span(trigger, slot) == requirements.Span(begin, end)


def test_what_it_needs_is_said_in_words() -> None:
    trigger = Trigger(condition="on_success", wait_until=time(10), needs="all")
    words = requirements.described(trigger, [Job(slug="load")])
    assert words == "only if load succeeded the same day; waits until 10:00, then skips the slot"
    trigger.otherwise = "run"
    assert requirements.described(trigger, [Job(slug="load")]).endswith("waits until 10:00, then runs anyway")
    trigger = Trigger(
        condition="on_failure", since="window", window_minutes=120, wait_minutes=90, needs="all"
    )
    words = requirements.described(trigger, [Job(slug="a"), Job(slug="b")])
    assert (
        words == "only if all of a, b failed in the 2 hours before; waits for 90 minutes, then skips the slot"
    )

"""runs.firing: slots become runs, once each, and what did not become one is on record."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from jobs.models import Job
from runs import firing, lifecycle, scheduler
from runs.models import Run
from runs.status import Status
from tests.factories import make_job, make_schedule
from triggers import schedules
from triggers.models import Occurrence, Trigger

pytestmark = pytest.mark.django_db


def at(hour: int, minute: int = 0, second: int = 0, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def planned(now: datetime, **fields: Any) -> Trigger:
    """A schedule that was planned at `now`."""
    trigger = make_schedule(**fields)
    Trigger.objects.filter(pk=trigger.pk).update(created_at=now, replan_from=now)
    firing.fire_due(now)
    trigger.refresh_from_db()
    return trigger


def test_a_new_schedule_is_planned_and_not_fired() -> None:
    trigger = planned(at(1))
    assert trigger.next_slot == trigger.next_run_at == at(2)
    assert not Run.objects.exists()


def test_a_due_slot_makes_one_run_that_carries_it() -> None:
    trigger = planned(at(1))
    firing.fire_due(at(2, 0, 3))
    run = Run.objects.get()
    assert (run.trigger_kind, run.trigger, run.slot, run.priority) == ("schedule", trigger, at(2), 50)
    assert "schedule nightly" in run.cause
    assert "2026-03-10 02:00 UTC" in run.cause
    trigger.refresh_from_db()
    assert trigger.next_slot == at(2, day=11)
    assert Occurrence.objects.get().run_id == run.pk


def test_nothing_fires_before_its_time_or_twice() -> None:
    planned(at(1))
    firing.fire_due(at(1, 59, 59))
    assert not Run.objects.exists()
    for _ in range(3):
        firing.fire_due(at(2, 0, 1))
    assert Run.objects.count() == 1


def test_a_slot_in_the_ledger_never_fires_again() -> None:
    trigger = planned(at(1))
    Occurrence.objects.create(trigger=trigger, slot=at(2), outcome="fired")
    firing.fire_due(at(2, 0, 1))
    assert not Run.objects.exists()


def test_an_edit_by_any_way_means_the_next_future_slot() -> None:
    trigger = planned(at(1))
    Trigger.objects.filter(pk=trigger.pk).update(cron="0 3 * * *")
    trigger.refresh_from_db()
    assert trigger.next_run_at is None
    assert trigger.replan_from is not None
    Trigger.objects.filter(pk=trigger.pk).update(replan_from=at(4))
    firing.fire_due(at(4))
    trigger.refresh_from_db()
    assert trigger.next_slot == at(3, day=11)
    assert not Run.objects.exists()


def test_enabling_never_fires_at_once() -> None:
    trigger = planned(at(1))
    Trigger.objects.filter(pk=trigger.pk).update(enabled=False)
    firing.fire_due(at(5))
    Trigger.objects.filter(pk=trigger.pk).update(enabled=True)
    Trigger.objects.filter(pk=trigger.pk).update(replan_from=at(6))
    firing.fire_due(at(6))
    trigger.refresh_from_db()
    assert trigger.next_slot == at(2, day=11)
    assert not Run.objects.exists()


def test_a_manual_run_moves_no_slot() -> None:
    trigger = planned(at(1))
    from tests.factories import make_run

    make_run(trigger.job)
    trigger.refresh_from_db()
    assert trigger.next_slot == at(2)


@pytest.mark.parametrize(
    ("misfire", "ran", "missed"), [("skip", [], 4), ("run_once", [5], 3), ("run_each", [3, 4, 5], 1)]
)
def test_after_downtime_the_misfire_policy_decides(misfire: str, ran: list[int], missed: int) -> None:
    planned(at(1), cron="0 2-5 * * *", misfire=misfire, misfire_limit=3, overlap="allow")
    firing.fire_due(at(5, 30))
    slots = Run.objects.order_by("slot").values_list("slot", flat=True)
    assert [slot.hour for slot in slots if slot] == ran
    assert Occurrence.objects.filter(outcome="missed").count() == missed


@pytest.mark.parametrize(("deadline", "ran", "missed"), [(1799, [], 4), (1800, [5], 3)])
def test_what_is_later_than_the_deadline_is_not_caught_up(deadline: int, ran: list[int], missed: int) -> None:
    planned(at(1), cron="0 2-5 * * *", misfire_deadline_seconds=deadline)
    firing.fire_due(at(5, 30))
    assert [slot.hour for slot in Run.objects.values_list("slot", flat=True) if slot] == ran
    assert Occurrence.objects.filter(outcome="missed").count() == missed


def test_a_slot_that_is_on_time_runs_whatever_the_deadline() -> None:
    planned(at(1), cron="0 2-5 * * *", misfire="skip", misfire_deadline_seconds=60)
    firing.fire_due(at(2, 0, 59))
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("policy", "ran", "missed"),
    [
        ({"misfire": "skip"}, [9], [3, 4, 5, 6, 7, 8]),
        ({"misfire": "run_once"}, [9], [3, 4, 5, 6, 7, 8]),
        ({"misfire": "run_each", "misfire_limit": 3}, [7, 8, 9], [3, 4, 5, 6]),
        ({"misfire": "run_each", "misfire_limit": 100}, [3, 4, 5, 6, 7, 8, 9], []),
        (
            {"misfire": "run_each", "misfire_limit": 100, "misfire_deadline_seconds": 7200},
            [7, 8, 9],
            [3, 4, 5, 6],
        ),
    ],
)
@pytest.mark.parametrize("overlap", ["allow", "queue"])
def test_everything_is_down_from_two_fifty_to_nine(
    policy: dict[str, Any], ran: list[int], missed: list[int], overlap: str
) -> None:
    trigger = planned(at(1), cron="0 * * * *", overlap=overlap, **policy)
    firing.fire_due(at(2))
    lifecycle.cancel(Run.objects.open(), by="test")
    firing.fire_due(at(2, 49, 59))
    for second in range(10):
        firing.fire_due(at(9, 0, second))
        if overlap == "queue":
            assert Run.objects.open().count() <= 1
            lifecycle.cancel(Run.objects.open(), by="test")
    slots = Run.objects.filter(slot__gt=at(2)).order_by("slot").values_list("slot", flat=True)
    assert [slot.hour for slot in slots if slot] == ran
    entries = Occurrence.objects.filter(trigger=trigger, outcome="missed").order_by("slot")
    assert [entry.slot.hour for entry in entries] == missed
    trigger.refresh_from_db()
    assert trigger.next_slot == at(10)


def test_a_bulk_edit_and_a_resumed_pause_mean_the_next_future_slot_too() -> None:
    edited, resumed = planned(at(1)), planned(at(1))
    edited.cron = "0 3 * * *"
    Trigger.objects.bulk_update([edited], ["cron"])
    Trigger.objects.filter(pk=resumed.pk).update(paused_at=at(1), paused_by="ada")
    Trigger.objects.filter(pk=resumed.pk).update(paused_at=None)
    copy = Trigger.objects.get(pk=edited.pk)
    copy.pk, copy.public_id, copy.next_run_at, copy.next_slot = None, uuid.uuid4(), at(1), at(1)
    copy.save(force_insert=True)
    assert set(Trigger.objects.schedules().values_list("next_run_at", flat=True)) == {None}
    Trigger.objects.update(replan_from=at(4))
    firing.fire_due(at(4))
    assert not Run.objects.exists()
    firing.fire_due(at(3, day=11))
    assert {run.trigger_id for run in Run.objects.all()} == {edited.pk, resumed.pk, copy.pk}


def test_a_slot_within_a_minute_is_on_time_for_every_policy() -> None:
    planned(at(1), misfire="skip")
    firing.fire_due(at(2, 0, 59))
    assert Run.objects.count() == 1


def test_a_slot_is_skipped_while_the_run_before_is_open() -> None:
    planned(at(1), cron="0 2,3 * * *", overlap="skip")
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(3, 0, 1))
    assert Run.objects.count() == 1
    assert "was still queued" in Occurrence.objects.get(outcome="skipped").reason


def test_a_slot_may_cancel_the_run_before_it() -> None:
    planned(at(1), cron="0 2,3 * * *", overlap="cancel_previous")
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(3, 0, 1))
    assert list(Run.objects.order_by("slot").values_list("status", flat=True)) == ["cancelled", "queued"]


def test_a_slot_may_wait_for_the_run_before_it() -> None:
    planned(at(1), cron="0 2,3 * * *", overlap="queue")
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(3, 0, 1))
    assert Run.objects.count() == 1
    lifecycle.cancel(Run.objects.all(), by="ada")
    firing.fire_due(at(3, 20))
    assert Run.objects.get(status=Status.QUEUED).slot == at(3)


def test_a_paused_jobs_slot_goes_to_the_ledger_with_the_reason() -> None:
    trigger = planned(at(1))
    Job.objects.filter(pk=trigger.job_id).update(status="paused", paused_by="ada")
    firing.fire_due(at(2, 0, 1))
    entry = Occurrence.objects.get()
    assert (entry.outcome, entry.run_id) == ("skipped", None)
    assert "paused by ada" in entry.reason


def test_a_schedule_that_cannot_be_fired_holds_up_no_other() -> None:
    bad = planned(at(1), job=make_job(schema={"type": "object", "required": ["city"]}))
    good = planned(at(1))
    firing.fire_due(at(2, 0, 1))
    assert Run.objects.get().trigger == good
    assert "city" in Occurrence.objects.get(trigger=bad).reason


def test_a_schedule_that_can_no_longer_be_read_holds_up_no_other() -> None:
    triggers = [planned(at(1), name=str(number)) for number in range(5)]
    broken = Trigger.objects.filter(pk=triggers[1].pk)
    broken.update(cron="61 * * * *")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE triggers_trigger SET timezone = 'Mars/Olympus', next_run_at = %s WHERE id = %s",
            [at(2), triggers[3].pk],
        )
    firing.fire_due(at(2, 0, 1))
    assert {run.trigger_name for run in Run.objects.all()} == {"0", "2", "4"}
    assert firing.fire_due(at(2, 0, 2)) == 0
    assert broken.values_list("exhausted", flat=True).get()
    broken.update(cron="0 3 * * *", replan_from=at(2))
    firing.fire_due(at(2, 30))
    assert broken.values_list("next_slot", flat=True).get() is not None


def test_what_fails_while_it_is_fired_stands_in_the_ledger_and_the_next_slot_is_planned() -> None:
    bad, good = planned(at(1)), planned(at(1))
    Job.objects.filter(pk=bad.job_id).update(concurrency_key_template="{")
    firing.fire_due(at(2, 0, 1))
    assert Run.objects.get().trigger == good
    entry = Occurrence.objects.get(trigger=bad)
    assert (entry.outcome, entry.reason[:11]) == ("skipped", "BadTemplate")
    bad.refresh_from_db()
    assert bad.next_slot == at(2, day=11)


def test_a_rule_that_cannot_be_read_any_more_is_said_to_be_so() -> None:
    trigger = planned(at(1))
    Trigger.objects.filter(pk=trigger.pk).update(cron="61 * * * *")
    firing.fire_due(at(1))
    trigger.refresh_from_db()
    assert "61 in the minute field" in scheduler.knowledge(trigger, now=at(1)).sentence


def test_each_missed_slot_waits_for_the_run_before_it_if_the_policy_says_so() -> None:
    planned(at(1), cron="0 2-4 * * *", misfire="run_each", overlap="queue")
    firing.fire_due(at(4, 30))
    for hour in (2, 3, 4):
        run = Run.objects.open().get()
        assert run.slot == at(hour)
        lifecycle.cancel(Run.objects.open(), by="ada")
        firing.fire_due(at(4, 31))
    assert not Run.objects.open().exists()
    assert set(Occurrence.objects.values_list("outcome", flat=True)) == {"fired"}


def test_a_schedule_past_its_end_fires_no_more() -> None:
    trigger = planned(at(1), ends_at=at(2, 30))
    firing.fire_due(at(2, 0, 1))
    trigger.refresh_from_db()
    assert trigger.exhausted
    assert trigger.next_run_at is None
    assert firing.fire_due(at(2, day=11)) == 0
    assert Run.objects.count() == 1


def test_jitter_is_later_than_the_slot_and_always_the_same() -> None:
    trigger = planned(at(1), jitter_seconds=600)
    assert trigger.next_run_at is not None
    assert trigger.next_slot is not None
    delay = trigger.next_run_at - trigger.next_slot
    assert timedelta() <= delay <= timedelta(seconds=600)
    assert trigger.next_slot == at(2)
    firing.fire_due(at(2) + delay)
    assert Run.objects.get().slot == at(2)


@pytest.mark.django_db(transaction=True)
def test_three_beats_at_once_make_one_run_a_slot() -> None:
    for _ in range(5):
        planned(at(1))
    barrier = threading.Barrier(3)

    def beat() -> None:
        try:
            barrier.wait()
            firing.fire_due(at(2, 0, 1))
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Run.objects.count() == 5


def test_a_start_after_the_last_year_that_was_written_past_every_door_has_no_slot_and_breaks_nothing() -> (
    None
):
    trigger = make_schedule()
    Trigger.objects.filter(pk=trigger.pk).update(starts_at=datetime(9000, 1, 1, tzinfo=UTC))
    firing.fire_due(timezone.now())
    trigger.refresh_from_db()
    assert (trigger.next_run_at, trigger.exhausted) == (None, True)
    assert schedules.upcoming(trigger, after=timezone.now(), count=3) == []
    assert schedules.between(trigger, begin=timezone.now(), end=timezone.now(), limit=3) == []

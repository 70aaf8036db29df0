"""triggers.ledger and runs.firing: slots that did not run are shown, run in order, or dismissed."""

from datetime import datetime, timedelta

import pytest

from runs import firing, lifecycle
from runs.models import Run
from tests.factories import make_schedule
from tests.runs.test_firing import at, planned
from triggers import ledger
from triggers.ledger import LedgerRefused
from triggers.models import Occurrence, Trigger

pytestmark = pytest.mark.django_db

NOW = at(9, day=12)


def down_since(hour: int, **fields: object) -> Trigger:
    """An hourly schedule that nothing fired from `hour` to 05:30; its policy ran nothing."""
    trigger = planned(at(hour), **{"cron": "0 * * * *", "misfire": "skip", "overlap": "skip", **fields})
    firing.fire_due(at(5, 30))
    return trigger


def outcomes(trigger: Trigger) -> list[tuple[int, str]]:
    entries = Occurrence.objects.filter(trigger=trigger).order_by("slot")
    return [(entry.slot.hour, entry.outcome) for entry in entries]


def end_runs() -> None:
    lifecycle.cancel(Run.objects.open(), by="test")


def test_missed_slots_run_in_order_and_never_past_the_overlap_policy() -> None:
    trigger = down_since(1)
    assert ledger.ask_missed(trigger, by="ada", now=at(5, 31)) == 4
    seen = []
    for minute in range(31, 37):
        firing.fire_due(at(5, minute))
        seen += [run.slot.hour for run in Run.objects.open() if run.slot]
        assert firing.fire_due(at(5, minute, 30)) == 0
        end_runs()
    assert seen == [2, 3, 4, 5]
    run = Run.objects.order_by("pk")[0]
    assert run.cause.endswith("slot 2026-03-10 02:00 UTC, asked for by ada")
    entry = Occurrence.objects.get(trigger=trigger, slot=at(2))
    assert (entry.outcome, entry.run_id, entry.by, entry.fired_at) == ("fired", run.pk, "ada", at(5, 31))


def test_a_schedule_that_allows_overlaps_catches_up_at_once() -> None:
    trigger = down_since(1, overlap="allow")
    ledger.ask_missed(trigger, by="ada", now=at(5, 31))
    firing.fire_due(at(5, 31))
    assert [run.slot.hour for run in Run.objects.order_by("pk") if run.slot] == [2, 3, 4, 5]


def test_one_missed_slot_is_run_and_the_others_are_dismissed() -> None:
    trigger = down_since(1)
    assert ledger.ask(trigger, slots=[at(3)], by="ada", now=at(5, 31)) == 1
    assert ledger.ask(trigger, slots=[at(3)], by="ada", now=at(5, 31)) == 0
    assert ledger.dismiss(trigger, slots=[at(2)], by="ada") == 1
    assert ledger.dismiss(trigger, slots=None, by="ada") == 2
    firing.fire_due(at(5, 32))
    assert outcomes(trigger) == [(2, "dismissed"), (3, "fired"), (4, "dismissed"), (5, "dismissed")]
    assert Occurrence.objects.get(slot=at(2)).by == "ada"


def test_a_range_lists_each_slot_with_its_status_before_anything_runs() -> None:
    trigger = down_since(3)
    firing.fire_due(at(6, 0, 5))
    slots = ledger.between(trigger, begin=at(2), end=at(8), now=at(6, 30))
    assert [(slot.at.hour, slot.outcome, slot.is_runnable) for slot in slots] == [
        (2, "unrecorded", True), (3, "unrecorded", True), (4, "missed", True), (5, "missed", True),
        (6, "fired", False), (7, "coming", False),
    ]  # fmt: skip
    assert slots[4].lateness == timedelta(seconds=5)
    assert Run.objects.count() == 1
    wanted = [slot.at for slot in slots if slot.is_runnable]
    assert ledger.ask(trigger, slots=wanted, by="ada", now=at(6, 30)) == 4


def test_a_late_slot_says_how_late() -> None:
    trigger = planned(at(1), misfire="run_once")
    firing.fire_due(at(8, 10))
    entry = Occurrence.objects.get(trigger=trigger)
    assert (entry.outcome, entry.reason) == ("fired", "late by 6 h 10 min")


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        (at(2, 30), "is no slot of this schedule"),
        (at(7), "lies in the future"),
        (at(6), "led to run #"),
    ],
)
def test_what_cannot_be_caught_up_is_refused_by_name(slot: datetime, said: str) -> None:
    trigger = down_since(1)
    firing.fire_due(at(6, 0, 5))
    with pytest.raises(LedgerRefused, match=said):
        ledger.ask(trigger, slots=[slot], by="ada", now=at(6, 30))


def test_a_disabled_schedule_and_too_many_slots_are_refused() -> None:
    trigger = make_schedule(cron="* * * * *", enabled=False)
    with pytest.raises(LedgerRefused, match="enable it first"):
        ledger.ask(trigger, slots=[at(2)], by="ada", now=NOW)
    with pytest.raises(LedgerRefused, match="more than 1,000 slots"):
        ledger.between(trigger, begin=at(2), end=at(2, day=20), now=NOW)
    with pytest.raises(LedgerRefused, match="has no slots"):
        ledger.between(trigger.job.triggers.get(kind="remote"), begin=at(2), end=at(3), now=NOW)


def test_slots_in_line_wait_while_the_job_is_paused() -> None:
    trigger = down_since(1)
    ledger.ask(trigger, slots=[at(3)], by="ada", now=at(5, 31))
    trigger.job.status = "paused"
    trigger.job.save(update_fields=["status"])
    firing.fire_due(at(5, 32))
    assert (3, "due") in outcomes(trigger)
    trigger.job.status = "active"
    trigger.job.save(update_fields=["status"])
    firing.fire_due(at(5, 33))
    assert Run.objects.get().slot == at(3)


def test_schedules_that_wait_for_their_run_before_hold_up_no_other() -> None:
    for _ in range(2):
        planned(at(1), cron="0 2,3 * * *", overlap="queue")
    firing.fire_due(at(2, 0, 1))
    assert firing.fire_due(at(3, 0, 1)) == 0
    assert firing.next_due(at(3, 0, 1), within=timedelta(seconds=1)) == at(3, 0, 2)
    end_runs()
    assert firing.fire_due(at(3, 0, 2)) == 2


def test_a_slot_that_came_and_waits_for_the_run_before_it_is_not_one_that_nobody_knows() -> None:
    trigger = planned(at(1), cron="0 2,3 * * *", overlap="queue")
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(3, 0, 1))
    trigger.refresh_from_db()
    slots = ledger.between(trigger, begin=at(1), end=at(4), now=at(3, 10))
    assert [(slot.at.hour, slot.outcome, slot.is_runnable) for slot in slots] == [
        (2, "fired", False), (3, "due", False)
    ]  # fmt: skip
    assert slots[1].reason == "It has come and was not fired yet. It waits for the run before it to end."
    Trigger.objects.filter(pk=trigger.pk).update(enabled=False)
    trigger.refresh_from_db()
    (late,) = ledger.between(trigger, begin=at(3), end=at(4), now=at(3, 10))
    assert late.outcome != "due"

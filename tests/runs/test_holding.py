"""runs.firing with what holds slots back: pauses and calendars. Suppressed is on record, and is not missed."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import serializers

from jobs.pausing import PauseRefused
from runs import firing
from runs.models import Run
from tests.factories import make_schedule
from tests.runs.test_firing import at, planned
from triggers import pausing
from triggers.models import Calendar, Occurrence, Trigger

pytestmark = pytest.mark.django_db


def ledger(trigger: Trigger) -> list[tuple[int, str, str]]:
    entries = Occurrence.objects.filter(trigger=trigger).order_by("slot")
    return [(entry.slot.day, entry.outcome, entry.reason) for entry in entries]


def test_a_slot_in_a_blackout_is_skipped_and_says_which() -> None:
    trigger = planned(at(1), cron="0 2 * * *")
    trigger.calendars.add(Calendar.objects.create(name="Moves", closed="2026-03-10 New hall"))
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(2, 0, 1, day=11))
    assert ledger(trigger) == [(10, "skipped", "blackout Moves (2026-03-10 New hall)"), (11, "fired", "")]
    assert Run.objects.get().slot == at(2, day=11)


def test_a_business_calendar_leaves_out_weekends_and_is_shared() -> None:
    week = Calendar.objects.create(name="Business days", closed="Sat\nSun")
    both = [planned(at(1)), planned(at(1))]
    for trigger in both:
        trigger.calendars.add(week)
    for day in range(10, 17):  # from a Tuesday
        firing.fire_due(at(2, 0, 1, day=day))
        Run.objects.all().delete()
    for trigger in both:
        assert [outcome for _, outcome, _ in ledger(trigger)] == ["fired"] * 4 + ["skipped"] * 2 + ["fired"]


def test_what_was_suppressed_in_downtime_is_not_missed_and_never_caught_up() -> None:
    trigger = planned(at(1), cron="0 2 * * *", misfire="run_once")
    trigger.calendars.add(Calendar.objects.create(name="Moves", closed="2026-03-12 to 2026-03-13"))
    firing.fire_due(at(9, day=13))
    assert [(day, outcome) for day, outcome, _ in ledger(trigger)] == [
        (10, "missed"), (11, "fired"), (12, "skipped"), (13, "skipped")
    ]  # fmt: skip


def test_a_pause_skips_slots_says_who_and_why_and_ends_by_itself() -> None:
    trigger = planned(
        at(1), paused_at=at(1), paused_by="ada", paused_reason="stocktaking", paused_until=at(12)
    )
    firing.fire_due(at(2, 0, 1))
    firing.fire_due(at(2, 0, 1, day=11))
    assert ledger(trigger) == [
        (10, "skipped", "paused by ada until 2026-03-10 12:00 UTC: stocktaking"),
        (11, "fired", ""),
    ]


def test_resuming_never_fires_what_came_meanwhile() -> None:
    trigger = make_schedule(cron="* * * * *")
    pausing.pause(trigger, by="ada", until=datetime.now(UTC) + timedelta(hours=1))
    assert trigger.is_paused(datetime.now(UTC))
    pausing.resume(trigger, by="ada")
    firing.fire_due(datetime.now(UTC))
    trigger.refresh_from_db()
    assert trigger.next_slot is not None
    assert trigger.next_slot > datetime.now(UTC)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("until", "reason", "said"), [(at(1), "", "which is over"), (None, "x" * 501, "expected at most 500")]
)
def test_a_pause_that_cannot_be_is_refused(until: datetime | None, reason: str, said: str) -> None:
    with pytest.raises(PauseRefused, match=said):
        pausing.pause(make_schedule(), by="ada", until=until, reason=reason)


def test_only_schedules_are_paused() -> None:
    remote = make_schedule().job.triggers.get(kind="remote")
    with pytest.raises(PauseRefused, match="disable it instead"):
        pausing.pause(remote, by="ada")


def test_an_edit_of_an_overdue_schedule_leaves_its_slot_on_record() -> None:
    trigger = planned(at(1))  # its slot lies in the past of the real clock, and was not fired
    Trigger.objects.filter(pk=trigger.pk).update(cron="0 3 * * *")
    assert ledger(trigger) == [(10, "missed", "The schedule was changed before its slot was fired.")]


def test_a_row_that_is_copied_in_is_planned_anew() -> None:
    trigger = planned(at(1))
    copied = serializers.serialize("json", [trigger])
    trigger.delete()
    (row,) = serializers.deserialize("json", copied)
    row.save()
    again = Trigger.objects.get(pk=row.object.pk)
    assert (again.next_run_at, again.next_slot) == (None, None)
    assert again.replan_from is not None
    assert again.replan_from > at(2)

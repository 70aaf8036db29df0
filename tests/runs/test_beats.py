"""Three beats over simulated nights, killed again and again: one run a slot, by a clock that the test turns."""

import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from mmap import mmap
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from runs import ahead, firing
from runs.ahead import Ahead
from runs.models import Run
from tests.factories import make_job, make_schedule
from triggers import cron
from triggers.models import Occurrence, Trigger

MINUTE = timedelta(minutes=1)
MINUTES = 300  # from midnight on
BEATS = 3
KILL_EVERY = 60  # simulated minutes
PATIENCE_SECONDS = 180.0


class Clock:
    """How many simulated minutes have passed, in memory that the beats share with the test."""

    def __init__(self, begin: datetime) -> None:
        self.memory = mmap(-1, 8)
        self.begin = begin

    @property
    def minute(self) -> int:
        return int.from_bytes(self.memory[:8], "little")

    @minute.setter
    def minute(self, value: int) -> None:
        self.memory[:8] = value.to_bytes(8, "little")

    @property
    def now(self) -> datetime:
        return self.begin + self.minute * MINUTE


def beat(clock: Clock) -> int:
    """A process that fires what is due by the clock, for ever; returns its id."""
    connection.close()
    pid = os.fork()
    if pid:
        return pid
    ahead.LOOK_AHEAD = 15 * MINUTE  # type: ignore[misc]
    prepared = Ahead()
    try:
        while True:
            prepared.fire(clock.now)
            firing.fire_due(clock.now)
            while prepared.prepare(clock.now):
                pass
            time.sleep(0.001)
    finally:
        os._exit(1)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def wait_until_fired(clock: Clock) -> None:
    """Lets the clock stand still until nothing is due at its time."""
    until = time.monotonic() + PATIENCE_SECONDS
    while Trigger.objects.due(clock.now).exists() or Trigger.objects.unplanned().exists():
        assert time.monotonic() < until, f"still due at {clock.now}"
        time.sleep(0.002)


def slots(trigger: Trigger) -> list[str]:
    """The slots that led to a run, by the clock of the schedule."""
    found = Run.objects.filter(trigger=trigger).order_by("slot").values_list("slot", flat=True)
    return [f"{slot.astimezone(trigger.timezone):%H:%M}" for slot in found if slot]


# Both nights of 2026 in which the clocks change, and when the schedules fire by them (docs/schedules.md).
HALF_HOURLY, FIXED, EARLY, EVEN_HOURS = "0,30 * * * *", "30 2 * * *", "45 1 * * *", "15 */2 * * *"
NIGHTS = {
    "Europe/Berlin": [
        ((3, 29), {HALF_HOURLY: "00:30 01:00 01:30 03:00 03:30", FIXED: "03:00", EVEN_HOURS: "00:15 04:15"}),
        ((10, 25), {FIXED: "02:30", EARLY: "01:45", EVEN_HOURS: "00:15 02:15 02:15"}),
    ],
    "America/New_York": [
        ((3, 8), {HALF_HOURLY: "00:30 01:00 01:30 03:00 03:30", FIXED: "03:00", EARLY: "01:45"}),
        ((11, 1), {HALF_HOURLY: "00:30 01:00 01:30 01:00 01:30 02:00 02:30", FIXED: "02:30", EARLY: "01:45"}),
    ],
    "Australia/Lord_Howe": [
        ((4, 5), {HALF_HOURLY: "00:30 01:00 01:30 01:30 02:00", FIXED: "02:30", EARLY: "01:45"}),
        ((10, 4), {HALF_HOURLY: "00:30 01:00 01:30 02:30 03:00", FIXED: "02:30", EARLY: "01:45"}),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("zone", NIGHTS)
def test_beats_that_are_killed_over_a_night_fire_each_slot_once(own_database: str, zone: str) -> None:
    chance = random.Random(7)
    for (month, day), rules in NIGHTS[zone]:
        begin = datetime(2026, month, day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        fields: dict[str, Any] = {"timezone": zone, "overlap": "allow", "misfire": "run_each"}
        triggers = [make_schedule(cron=rule, **fields) for rule in rules]
        Trigger.objects.filter(enabled=True).update(replan_from=begin)
        _go_through(Clock(begin), chance)
        for trigger in triggers:
            expected = rules[trigger.cron].split()
            assert slots(trigger)[: len(expected)] == expected, (trigger.cron, begin)
            assert shown_before(trigger, begin)[: len(slots(trigger))] == slots(trigger)
            entries = Occurrence.objects.filter(trigger=trigger)
            assert entries.filter(outcome="fired").count() == entries.count() == len(slots(trigger))
        Trigger.objects.update(enabled=False)


def shown_before(trigger: Trigger, begin: datetime) -> list[str]:
    """What the preview of the schedule said."""
    found = cron.preview(cron=cron.parse(trigger.cron), zone=trigger.timezone, after=begin, count=20)
    return [f"{run.local:%H:%M}" for run in found.next_runs]


def _go_through(clock: Clock, chance: random.Random) -> None:
    """Turns the clock through the night, killing one of the beats now and then."""
    beats = [beat(clock) for _ in range(BEATS)]
    try:
        wait_until_fired(clock)
        for minute in range(15, MINUTES, 15):
            clock.minute = minute
            if minute % KILL_EVERY < 15:  # somewhere amid the firing, which takes some milliseconds
                time.sleep(chance.random() * 0.02)
                victim = beats.pop(chance.randrange(BEATS))
                kill(victim)
                beats.append(beat(clock))
            wait_until_fired(clock)
    finally:
        for pid in beats:
            kill(pid)


def test_beats_that_prepared_the_same_fire_each_slot_once(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PORTION", 4)
    job = make_job()
    slot = datetime(2026, 3, 10, 2, tzinfo=UTC)
    before, after = slot - timedelta(seconds=5), slot + timedelta(seconds=0.25)
    triggers = [make_schedule(job, overlap="allow").pk for _ in range(40)]
    Trigger.objects.filter(pk__in=triggers).update(replan_from=slot - timedelta(hours=1))
    firing.fire_due(before)
    made: list[int] = []
    beats = [Ahead() for _ in range(BEATS)]
    for one in beats:
        while one.prepare(before):
            pass

    def fire(one: Ahead) -> None:
        made.append(one.fire(after))
        connection.close()

    threads = [Thread(target=fire, args=[one]) for one in beats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) + firing.fire_due(after) == 40
    assert sorted(Run.objects.values_list("trigger", flat=True)) == triggers
    assert Occurrence.objects.filter(outcome="fired").count() == 40

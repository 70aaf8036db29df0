"""Three beats over simulated nights, killed again and again: one run a slot, by a clock that the test turns."""

import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from mmap import mmap
from typing import Any

import pytest
from django.db import connection

from runs import firing
from runs.models import Run
from tests.factories import make_schedule
from triggers.models import Occurrence, Trigger

BEGIN = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)  # the night in which Berlin's clocks go forward
MINUTE = timedelta(minutes=1)
MINUTES = 240
BEATS = 3
KILL_EVERY = 20  # simulated minutes
PATIENCE_SECONDS = 60.0


class Clock:
    """How many simulated minutes have passed, in memory that the beats share with the test."""

    def __init__(self) -> None:
        self.memory = mmap(-1, 8)

    @property
    def minute(self) -> int:
        return int.from_bytes(self.memory[:8], "little")

    @minute.setter
    def minute(self, value: int) -> None:
        self.memory[:8] = value.to_bytes(8, "little")

    @property
    def now(self) -> datetime:
        return BEGIN + self.minute * MINUTE


def beat(clock: Clock) -> int:
    """A process that fires what is due by the clock, for ever; returns its id."""
    connection.close()
    pid = os.fork()
    if pid:
        return pid
    try:
        while True:
            firing.fire_due(clock.now)
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


@pytest.mark.slow
def test_beats_that_are_killed_over_a_night_fire_each_slot_once(own_database: str) -> None:
    chance = random.Random(7)
    clock = Clock()
    rules = {
        "0,30 * * * *": ["00:30", "01:00", "01:30", "03:00", "03:30", "04:00"],
        "30 2 * * *": ["03:00"],
        "15 */2 * * *": ["00:15", "04:15"],
    }
    fields: dict[str, Any] = {"timezone": "Europe/Berlin", "overlap": "allow", "misfire": "run_each"}
    triggers = [make_schedule(cron=rule, **fields) for rule in rules for _ in range(3)]
    Trigger.objects.update(replan_from=BEGIN)
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
    for trigger in triggers:
        expected = rules[trigger.cron]
        assert slots(trigger)[: len(expected)] == expected, trigger.cron
        entries = Occurrence.objects.filter(trigger=trigger)
        assert entries.filter(outcome="fired").count() == entries.count() == len(slots(trigger))

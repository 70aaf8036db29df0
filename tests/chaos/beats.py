"""Beats that are killed while they fire the same schedules."""

import time
from datetime import datetime
from typing import Final

from django.db import connection
from django.utils import timezone

from runs.models import Run
from tests.chaos.arena import Arena
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, after_faults, count
from tests.factories import make_schedule

PATIENCE: Final = 90.0
SCHEDULES: Final = 20
ROUNDS: Final = 12


def beats_killed(arena: Arena, sizes: Sizes) -> Row:
    """Three beats fire the same schedules, and one of them is killed while it does."""
    arena.start({"default": ("default", 2)})
    beats = ["beat-1", "beat-2", "beat-3"]
    for name in beats:
        arena.start_beat(name)
    triggers = [
        make_schedule(arena.job, cron="0 0 1 1 *", name=f"schedule {n}", overlap="allow").pk
        for n in range(SCHEDULES)
    ]
    missing = 0
    rounds = min(sizes.rounds, ROUNDS)
    for _ in range(rounds):
        began = time.monotonic()
        due = _make_due(triggers)
        arena.pause(0.0, 1.2)
        name = arena.random.choice(beats)
        with arena.fault():
            arena.site.kill(name)
        arena.start_beat(name)
        fired = Run.objects.filter(trigger_id__in=triggers, slot=due)
        arena.wait_for(lambda fired=fired: fired.count() >= len(triggers), seconds=30)  # type: ignore[misc]
        arena.runs += fired.values_list("pk", flat=True)
        missing += len(triggers) - fired.values("trigger_id").distinct().count()
        time.sleep(max(began + sizes.beat_period - time.monotonic(), 0))
    arena.wait(seconds=PATIENCE)
    row = count(arena, "one of three beats killed")
    doubled = Run.objects.filter(trigger_id__in=triggers).count() - (len(triggers) * rounds - missing)
    row.lost += missing
    row.wrong += [f"{doubled} slots fired twice"] if doubled else []
    row.recoveries = after_faults(arena)
    return row


def _make_due(triggers: list[int]) -> datetime:
    """Makes now the next slot of these schedules, as if it had been planned so; returns the slot."""
    slot = timezone.now().replace(microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE triggers_trigger SET next_slot = %s, next_run_at = %s WHERE id = ANY(%s)",
            [slot, slot, triggers],
        )
    return slot

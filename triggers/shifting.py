"""Moves schedules to the clock of another zone: their cron lines stay, and so their slots move.

What is to happen is told before: the next slot of each by the clock it has, and by the one it gets.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from triggers import cron, schedules
from triggers.models import Trigger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What a schedule would do by another clock: its next slot by the one it had, and by the new; None for none."""

    trigger: Trigger
    former: ZoneInfo
    zone: ZoneInfo
    before: datetime | None
    after: datetime | None

    @property
    def words(self) -> str:
        """The next slot, then and now, each by its clock: "Mon 2026-06-01 08:30 CEST becomes … 08:30 EDT"."""
        if self.former == self.zone:
            return f"is in {self.zone.key} already and stays as it is"
        return f"the next slot, {_clock(self.before, self.former)}, becomes {_clock(self.after, self.zone)}"


def shifts(triggers: Iterable[Trigger], *, zone: ZoneInfo, now: datetime) -> list[Shift]:
    """What moving each to `zone` would do; nothing is changed."""
    return [_shift(trigger, zone, now) for trigger in triggers]


def shift(trigger: Trigger, *, zone: ZoneInfo, now: datetime, by: str) -> Shift:
    """Moves one schedule; the database has its next slot computed anew from now, and nothing is caught up."""
    found = _shift(trigger, zone, now)
    if found.former != zone:
        trigger.timezone = zone
        trigger.save(update_fields=["timezone", "updated_at"])
        log.info("schedule_shifted", trigger_id=trigger.pk, former=found.former.key, zone=zone.key, by=by)
    return found


def _shift(trigger: Trigger, zone: ZoneInfo, now: datetime) -> Shift:
    former = trigger.timezone
    before, after = (_next(trigger, each, now) for each in (former, zone))
    return Shift(trigger=trigger, former=former, zone=zone, before=before, after=after)


def _next(trigger: Trigger, zone: ZoneInfo, now: datetime) -> datetime | None:
    known = {"cron": trigger.cron, "starts_at": trigger.starts_at, "ends_at": trigger.ends_at}
    try:
        return schedules.next_slot(Trigger(timezone=zone, **known), after=now)
    except cron.InvalidCron:
        return None


def _clock(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" if at else "never"

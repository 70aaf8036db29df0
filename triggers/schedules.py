"""Decides which slots of a schedule come next, and which of those that came are to be run.

A policy: `runs.firing` carries the decisions out. Slots are instants in UTC, computed by
the one cron engine from the slot before and never from the time of firing.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from triggers import cron
from triggers.cron.cautions import never
from triggers.models import Calendar, Misfire, Trigger

log = structlog.get_logger(__name__)

# A slot that fires within this time of its due time is on time; later, the misfire policy speaks.
MISFIRE_AFTER = timedelta(seconds=60)
# Of a long downtime so many of the latest slots are written into the ledger one by one.
LEDGER_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Due:
    """What has come due of one schedule, oldest first: the slots to run, those to enter as missed, and those
    that a pause or a calendar holds back, with the reason."""

    run: Sequence[datetime] = ()
    missed: Sequence[datetime] = ()
    held: Mapping[datetime, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.run or self.missed or self.held)

    @property
    def last(self) -> datetime:
        """The latest slot that was looked at; planning goes on behind it."""
        return max([*self.run, *self.missed, *self.held])


def next_slot(trigger: Trigger, *, after: datetime) -> datetime | None:
    """The first slot after `after` within the schedule's start and end; None if there is none any more."""
    starts_at = trigger.starts_at
    begin = starts_at - timedelta(microseconds=1) if starts_at and starts_at > after else after
    try:
        slot = _ruled(trigger.cron, trigger.timezone, begin)
    except cron.InvalidInstant:  # written past every door, it starts after the last day that has slots
        return None
    if slot is None or (trigger.ends_at is not None and slot > trigger.ends_at):
        return None
    return slot


@lru_cache(maxsize=8192)
def _ruled(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Kept, because of ten thousand schedules that come due together many have the same rule."""
    slots = cron.parse(text).next_slots(after=after, zone=zone, count=1)
    return slots[0] if slots else None


def put_in(trigger: Trigger, *, by: str) -> None:
    """Puts the schedule into the scheduler, and has its next slot computed anew from now; nothing is caught up.

    A slot that has come and waits to be fired stays where it is.
    """
    waiting = Q(enabled=True, next_run_at__lte=Now())
    Trigger.objects.filter(pk=trigger.pk).exclude(waiting).update(
        enabled=True, next_run_at=None, next_slot=None, exhausted=False, replan_from=Now()
    )
    log.info("schedule_put_in", trigger_id=trigger.pk, by=by)


def take_out(trigger: Trigger, *, by: str) -> None:
    """Takes the schedule out of the scheduler: nothing fires it until it is enabled again."""
    Trigger.objects.filter(pk=trigger.pk).update(enabled=False, updated_at=Now())
    log.info("schedule_taken_out", trigger_id=trigger.pk, by=by)


def upcoming(trigger: Trigger, *, after: datetime, count: int) -> list[datetime]:
    """Up to `count` slots after `after`, as they would fire."""
    found: list[datetime] = []
    slot: datetime | None = after
    while len(found) < count and slot is not None:
        slot = next_slot(trigger, after=slot)
        if slot is not None:
            found.append(slot)
    return found


def between(trigger: Trigger, *, begin: datetime, end: datetime, limit: int) -> list[datetime]:
    """The slots from `begin` up to but without `end` that today's rule names, at most `limit`, the oldest first;
    none of a rule that can't be read or begins after the last day that has slots."""
    moment = timedelta(microseconds=1)
    first = max(begin, trigger.starts_at) if trigger.starts_at else begin
    last = trigger.ends_at + moment if trigger.ends_at and trigger.ends_at < end else end
    try:
        return cron.parse(trigger.cron).slots_between(
            after=first - moment, until=last - moment, zone=trigger.timezone, limit=limit
        )
    except (cron.InvalidCron, cron.InvalidInstant):
        return []


def jitter(trigger: Trigger) -> timedelta:
    """How much later than its slots the schedule fires: spread over triggers, always the same for one."""
    if not trigger.jitter_seconds:
        return timedelta()
    digest = hashlib.sha256(trigger.public_id.bytes).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (trigger.jitter_seconds + 1))


def due(trigger: Trigger, *, now: datetime, calendars: Iterable[Calendar] = ()) -> Due:
    """What becomes of the slots from `trigger.next_slot` to `now`, by the misfire policy.

    `calendars` are those that the schedule keeps. A slot that is less than a minute late is run by every policy,
    unless a later one came due as well. What is later than the policy's deadline is not caught up. What a pause or a
    calendar holds back is not missed, and no policy catches it up.
    """
    came = _passed(trigger, until=now - jitter(trigger))
    held = {slot: reason for slot in came if (reason := holding(trigger, slot, calendars))}
    passed = [slot for slot in came if slot not in held]
    if not passed:
        return Due(held=held)
    late = now - jitter(trigger) - passed[-1] > MISFIRE_AFTER
    if trigger.misfire == Misfire.RUN_EACH:
        keep = trigger.misfire_limit
    elif trigger.misfire == Misfire.SKIP and late:
        keep = 0
    else:
        keep = 1
    first = max(len(passed) - keep, 0)
    if trigger.misfire_deadline_seconds is not None:
        deadline = max(timedelta(seconds=trigger.misfire_deadline_seconds), MISFIRE_AFTER)
        first = max(first, bisect_left(passed, now - jitter(trigger) - deadline))
    return Due(passed[first:], passed[:first][-LEDGER_LIMIT:], held)


def closing(calendars: Iterable[Calendar]) -> Callable[[datetime], str]:
    """What says of a slot which of `calendars` is closed then; "" if none is."""
    known = list(calendars)
    if not known:
        return never
    return lambda slot: next(filter(None, (calendar.closing(slot) for calendar in known)), "")


def holding(trigger: Trigger, slot: datetime, calendars: Iterable[Calendar] | None = None) -> str:
    """Why the schedule does not run at `slot` though its rule names it; "" if nothing holds it back.

    `calendars` are those that it keeps, if they are known already.
    """
    if trigger.is_paused(slot):
        until = f" until {trigger.paused_until:%Y-%m-%d %H:%M} UTC" if trigger.paused_until else ""
        why = f": {trigger.paused_reason}" if trigger.paused_reason else ""
        return f"paused by {trigger.paused_by}{until}{why}"
    return closing(trigger.calendars.all() if calendars is None else calendars)(slot)


def _passed(trigger: Trigger, *, until: datetime) -> list[datetime]:
    """The slots from the planned one to `until`, of a very long downtime only the latest."""
    if trigger.next_slot is None or trigger.next_slot > until:
        return []
    end = min(until, trigger.ends_at) if trigger.ends_at else until
    slots = [trigger.next_slot.astimezone(UTC)]
    following = _ruled(trigger.cron, trigger.timezone, slots[0])
    if following is None or following > end:
        return slots
    lines = cron.parse(trigger.cron)
    for slot in lines.slots(after=trigger.next_slot, zone=trigger.timezone):
        if slot > end:
            break
        slots.append(slot)
        if len(slots) > 2 * LEDGER_LIMIT:
            slots = slots[-LEDGER_LIMIT:]
    return slots

"""Decides what a schedule needs besides its time: the ends of upstream runs, since when, and until when it waits.

A slot is judged by the facts alone, whenever it is looked at: by the runs that ended as wanted between `Span.begin` and
`Span.until`. The ledger keeps a slot that waits; `runs.firing` launches or skips it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from jobs.models import Job
from triggers import cron, dependencies
from triggers.models import Condition, Kind, Needs, Otherwise, Since, Trigger

YEAR_MINUTES: Final = 366 * 24 * 60
# What says of a schedule how it needs other jobs, besides which, as the API takes it.
FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "condition": {"type": "string", "enum": Condition.values},
    "needs": {"type": "string", "enum": Needs.values, "description": "Any of several upstreams, or all."},
    "since": {
        "type": "string",
        "enum": Since.values,
        "description": "Whether ends count since the slot's day began, or for `window_minutes` before it.",
    },
    "window_minutes": {"type": "integer", "minimum": 1, "maximum": YEAR_MINUTES},
    "wait_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$",
        "description": "The time of day, by the schedule's clock, until which a slot waits for its upstreams.",
    },
    "wait_minutes": {
        "type": "integer",
        "minimum": 1,
        "maximum": YEAR_MINUTES,
        "description": "So many minutes a slot waits instead.",
    },
    "otherwise": {
        "type": "string",
        "enum": Otherwise.values,
        "description": "What becomes of a slot that waited in vain.",
    },
}
_ENDED = {
    Condition.ON_SUCCESS: "succeeded",
    Condition.ON_FAILURE: "failed",
    Condition.ON_COMPLETION: "ended",
}


@dataclass(frozen=True, slots=True)
class Span:
    """The ends that count for a slot: from `begin` through `until`, until when the slot waits for them."""

    begin: datetime
    until: datetime


def span(trigger: Trigger, slot: datetime) -> Span:
    """The span of a slot, in UTC.

    A time of day is the next one after the slot, found as a cron line finds it: one that a clock change skips is the
    moment right after, one that comes twice the first of the two.
    """
    until = slot
    if trigger.wait_minutes is not None:
        until = slot + timedelta(minutes=trigger.wait_minutes)
    elif trigger.wait_until is not None:
        line = cron.parse(f"{trigger.wait_until.minute} {trigger.wait_until.hour} * * *")
        until = line.next_slots(after=slot, zone=trigger.timezone, count=1)[0]
    if trigger.since == Since.DAY:
        day = slot.astimezone(trigger.timezone).date()
        begin = datetime.combine(day, time(), tzinfo=trigger.timezone).astimezone(UTC)
    else:
        begin = slot - timedelta(minutes=trigger.window_minutes)
    return Span(begin, until)


def described(trigger: Trigger, upstreams: Sequence[Job]) -> str:
    """What it needs in words, such as "only if load succeeded the same day; waits until 10:00"; "" for nothing."""
    if not trigger.condition or not upstreams:
        return ""
    since = (
        "the same day"
        if trigger.since == Since.DAY
        else f"in the {dependencies.minutes(trigger.window_minutes)} before"
    )
    names = [job.slug for job in upstreams]
    several = f"{'all' if trigger.needs == Needs.ALL else 'any'} of " if len(names) > 1 else ""
    ended = _ENDED[Condition(trigger.condition)]
    return f"only if {several}{', '.join(names)} {ended} {since}; {waits(trigger)}"


def waits(trigger: Trigger) -> str:
    """How long a slot waits, and what then, in words."""
    then = "runs anyway" if trigger.otherwise == Otherwise.RUN else "skips the slot"
    if trigger.wait_until is not None:
        return f"waits until {trigger.wait_until:%H:%M}, then {then}"
    if trigger.wait_minutes is not None:
        return f"waits for {dependencies.minutes(trigger.wait_minutes)}, then {then}"
    return f"otherwise {then}"


def lacking(trigger: Trigger, names: Sequence[str], until: datetime) -> str:
    """Why a slot that waited is skipped, or run anyway; `names` are the upstreams that did not end as wanted."""
    local = until.astimezone(trigger.timezone)
    ended = _ENDED[Condition(trigger.condition)]
    return f"Until {local:%Y-%m-%d %H:%M %Z} it was not so that {_joined(trigger, names)} {ended}."


def waiting(trigger: Trigger, names: Sequence[str], until: datetime) -> str:
    """What a slot waits for."""
    return f"It waits until {until.astimezone(trigger.timezone):%H:%M %Z} for {_joined(trigger, names)}."


def _joined(trigger: Trigger, names: Sequence[str]) -> str:
    return (" and " if trigger.needs == Needs.ALL else " or ").join(names)


def save(trigger: Trigger, *, upstreams: Sequence[Job]) -> None:
    """Stores a schedule that needs these upstreams, or none; raises what `dependencies.save` does.

    They are edges of the graph of jobs like those of dependencies: no job may come after itself.
    """
    trigger.kind = Kind.SCHEDULE
    if not upstreams:
        trigger.condition, trigger.wait_until, trigger.wait_minutes = "", None, None
        trigger.otherwise = Otherwise.SKIP
    elif not trigger.condition:
        trigger.condition = Condition.ON_SUCCESS
    dependencies.store(trigger, upstreams=upstreams)

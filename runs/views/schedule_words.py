"""A schedule for people: its rule in a sentence, its policies in words, its next slots on two clocks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runs.durations import duration_words
from triggers import cron, requirements, schedules
from triggers.models import Calendar, Misfire, Overlap, Trigger

MISFIRES = {
    Misfire.SKIP: "slots missed in downtime are skipped",
    Misfire.RUN_ONCE: "after downtime it runs once for all slots missed",
    Misfire.RUN_EACH: "after downtime each missed slot runs, up to {limit}",
}
OVERLAPS = {
    Overlap.ALLOW: "a slot starts even while the run before it goes on",
    Overlap.SKIP: "a slot is skipped while the run before it goes on",
    Overlap.QUEUE: "a slot waits for the run before it",
    Overlap.CANCEL_PREVIOUS: "a slot cancels the run before it",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A coming slot: the instant, what the clocks of the schedule's zone and of UTC show then, and what holds
    it back if something does."""

    at: datetime
    local: str
    utc: str
    held: str


def wall_clock(trigger: Trigger, at: datetime) -> str:
    """What the clock of the schedule's zone shows at `at`."""
    return f"{at.astimezone(trigger.timezone):%a %Y-%m-%d %H:%M %Z}"


def described(trigger: Trigger) -> str:
    """The schedule's rule in a sentence, with what it needs; its text if it can no longer be read."""
    needs = requirements.described(trigger, list(trigger.upstreams.all())) if trigger.condition else ""
    try:
        words = cron.describe(cron.parse(trigger.cron))
        return f"{words}, {needs}" if needs else words
    except cron.InvalidCron as error:
        return f"{trigger.cron} ({error})"


def policies(trigger: Trigger, calendars: Iterable[Calendar] | None = None) -> str:
    """What becomes of missed and of overlapping slots, how they are spread, and which calendars it keeps.

    `calendars` are those of a schedule that is not stored.
    """
    missed = MISFIRES[Misfire(trigger.misfire)].format(limit=trigger.misfire_limit)
    if trigger.misfire_deadline_seconds is not None and trigger.misfire != Misfire.SKIP:
        missed += f", none that is later than {duration_words(trigger.misfire_deadline_seconds)}"
    spread = f"; spread over {duration_words(trigger.jitter_seconds)}" if trigger.jitter_seconds else ""
    known = trigger.calendars.all() if calendars is None else calendars
    kept = ", ".join(calendar.name for calendar in known)
    closed = f"; never where {kept} is closed" if kept else ""
    return f"{missed[0].upper()}{missed[1:]}; {OVERLAPS[Overlap(trigger.overlap)]}{spread}{closed}."


def coming(trigger: Trigger, *, now: datetime, count: int) -> Sequence[Slot]:
    """The next slots; none of a schedule that is off or can't be read."""
    if not trigger.enabled:
        return []
    try:
        found = schedules.upcoming(trigger, after=now, count=count)
    except cron.InvalidCron:
        return []
    return [
        Slot(
            at,
            wall_clock(trigger, at),
            f"{at.astimezone(UTC):%a %H:%M}Z",
            schedules.holding(trigger, at),
        )
        for at in found
    ]

"""What a person should know before saving a cron text: clock changes, too many runs, days that surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from triggers.cron.lines import Line
from triggers.cron.slots import Cron, instants, walls
from triggers.cron.words import DAY_NAMES, MONTH_NAMES, clock, days_words, every_day_of_month, times_words
from triggers.cron.zones import ClockChange, clock_changes

AHEAD = timedelta(days=365)
LOOKED_AT = 400
LEAP_DAY = (2, 29)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """A warning about a schedule. `at` is the instant of the clock change it is about, else None.

    `code` is one of `clock_forward`, `clock_back`, `every_minute`, `leap_day`, `both_days`, `blackout`, `changed`.
    """

    code: str
    message: str
    at: datetime | None = None


# Says why a slot is held back by a calendar; "" if it is not.
Closing = Callable[[datetime], str]


def never(slot: datetime) -> str:
    """Holds nothing back."""
    return ""


def cautions(
    *, cron: Cron, zone: ZoneInfo, after: datetime, until: datetime | None = None
) -> Iterator[Caution]:
    """Those about the text itself, then those about the clock changes of the next 12 months, by date; none after
    `until`."""
    for line in cron.lines:
        yield from _line_cautions(line)
    for change in clock_changes(zone=zone, after=after, until=_horizon(after, until)):
        yield from _change_cautions(cron=cron, zone=zone, change=change)


def collisions(
    *, cron: Cron, zone: ZoneInfo, after: datetime, closing: Closing, until: datetime | None = None
) -> Iterator[Caution]:
    """One caution for the slots of the next 12 months that a calendar holds back, as far as they are looked at."""
    if closing is never:
        return
    slots = cron.slots_between(after=after, until=_horizon(after, until), zone=zone, limit=LOOKED_AT)
    held = [(slot, reason) for slot in slots if (reason := closing(slot))]
    if held:
        first, reason = held[0]
        message = (
            f"Skipped: {len(held):,} of the next {len(slots):,} slots, the first on "
            f"{first.astimezone(zone):%Y-%m-%d %H:%M %Z}: {reason}."
        )
        yield Caution(code="blackout", message=message)


def _horizon(after: datetime, until: datetime | None) -> datetime:
    """How far is looked."""
    return min(after + AHEAD, max(after, until)) if until else after + AHEAD


def _line_cautions(line: Line) -> Iterator[Caution]:
    name = f"'{line.text}'"
    if line.minute.complete:
        yield Caution(code="every_minute", message=_every_minute(name, line))
    if not line.either_day and set(line.dates) == {LEAP_DAY}:
        yield Caution(code="leap_day", message=f"{name} runs in leap years only, on 29 February.")
    if line.either_day or not (line.day.complete or line.weekday.complete):
        yield Caution(code="both_days", message=_both_days(name, line))


def _every_minute(name: str, line: Line) -> str:
    if line.hour.complete:
        return f"{name} runs every minute: 1,440 times a day."
    times = f"{len(line.times)} times a day"
    return f"{name} runs every minute of its hours: {times}. For once an hour, name a minute."


def _both_days(name: str, line: Line) -> str:
    days = "every day" if every_day_of_month(line) else days_words(line)
    rule = "one is enough" if line.either_day else "both must match because one starts with a star"
    return f"{name} sets both day fields, and {rule}: it runs {days}."


def _change_cautions(*, cron: Cron, zone: ZoneInfo, change: ClockChange) -> Iterator[Caution]:
    """One caution for each different fate of the times that the change skips or repeats."""
    fates: dict[int, dict[datetime, tuple[datetime, ...]]] = {}
    for line in cron.lines:
        if _keeps_rhythm(line=line, change=change):
            continue
        for wall in _touched(line=line, change=change):
            runs = instants(wall=wall, zone=zone, wildcard=line.wildcard)
            fates.setdefault(len(runs), {})[wall] = runs
    for runs_of in fates.values():
        yield Caution(
            code="clock_forward" if _forward(change) else "clock_back",
            message=f"{_change_words(change, zone)}: {times_words(runs_of)} {_fate(runs_of, change, zone)}.",
            at=change.at,
        )


def _fate(runs_of: Mapping[datetime, tuple[datetime, ...]], change: ClockChange, zone: ZoneInfo) -> str:
    """What becomes of times that all fire equally often because of a change."""
    one = len(runs_of) == 1
    runs = next(iter(runs_of.values()))
    if not _forward(change):
        how_often = "the first time only" if len(runs) == 1 else "both times"
        return f"{'comes twice and runs' if one else 'come twice and run'} {how_often}"
    if not runs:
        return "is skipped and does not run" if one else "are skipped and do not run"
    instead = f"{clock(runs[0].astimezone(zone).time())} instead"
    return f"is skipped and runs at {instead}" if one else f"are skipped and run once, at {instead}"


def _forward(change: ClockChange) -> bool:
    return change.size > timedelta(0)


def _keeps_rhythm(*, line: Line, change: ClockChange) -> bool:
    """Whether the runs stay evenly spaced, as those of an hourly line do when the change is a whole hour."""
    shift = int(change.size.total_seconds()) // 60
    shifted = {(minute + shift) % 60 for minute in line.minute.values}
    return line.wildcard and line.hour.complete and shifted == set(line.minute.values)


def _touched(*, line: Line, change: ClockChange) -> Iterator[datetime]:
    """The times of the line that the change skips or repeats."""
    start, end = sorted((change.wall_before, change.wall_after))
    return takewhile(lambda wall: wall < end, walls(line=line, start=start))


def _change_words(change: ClockChange, zone: ZoneInfo) -> str:
    direction = "forward" if _forward(change) else "back"
    day = change.wall_before
    date = f"{DAY_NAMES[day.isoweekday() % 7]} {day.day} {MONTH_NAMES[day.month - 1]} {day.year}"
    before, after = clock(change.wall_before.time()), clock(change.wall_after.time())
    return f"On {date} the clocks of {zone.key} go {direction} from {before} to {after}"

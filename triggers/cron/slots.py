"""The one cron engine: at which instants a cron text fires, in any zone, through every clock change.

croniter walks the days (it knows neither zones nor clock changes here); this module maps a wall clock time to
instants the way Debian's cron does. Source: cron.c of Debian's cron (main loop, find_jobs), which keeps a
virtual clock and compares it with the wall once a minute. Its cases and what they come to here:

  the wall jumps        Debian's cron                               here
  forward, under 3 h    wildcards follow the wall; fixed jobs are   a fixed time in the gap fires at the first
                        looked up for each skipped minute           minute after it
  forward, to 4 min     "wokeup late": wildcards too                the same
  forward, 3 h or more  "clock jumped": nothing is caught up        what lies in the gap does not fire
                                                                    (Pacific/Apia, 30 December 2011)
  back, up to 3 h       wildcards follow the wall; fixed jobs wait  a fixed time fires the first time only,
                        until it passes the virtual clock           a wildcard both times
  back, more than 3 h   "clock jumped": all follow the wall         both fire both times

Two differences, on purpose: Debian asks for the offset only when the DST flag changes, and so misses other
changes of a zone until it is restarted; and it starts a job twice in a minute when a shifted time meets a
regular one, where an instant is one slot here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from itertools import islice, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from triggers.cron.fields import InvalidCron
from triggers.cron.lines import Line, parse_line
from triggers.cron.zones import offset_at

MAX_LINES = 20
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LATE_WAKE_UP = timedelta(minutes=4)
LARGEST_CHANGE = timedelta(hours=3)
FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2500, 1, 1, tzinfo=UTC)
LAST_DAY = date(2499, 12, 31)


class InvalidInstant(ValueError):
    """An instant to start from has no time zone or lies outside the years 1970 to 2499."""


class Firing(NamedTuple):
    """One line fires at the instant `at` (UTC) for the wall clock time `wall` (naive, of the zone).

    The wall clock at `at` shows another time than `wall` if a clock change skipped `wall`.
    """

    at: datetime
    wall: datetime
    line: Line


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron text: one line or several, which fire independently of each other."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def slots(self, *, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """The slots after `after` (exclusive), ascending, in UTC, without end before the year 2500.

        Several lines or shifted times on one instant are one slot. Raises InvalidInstant.
        """
        last = None
        for firing in self.firings(after=after, zone=zone):
            if firing.at != last:
                last = firing.at
                yield last

    def next_slots(self, *, after: datetime, zone: ZoneInfo, count: int) -> list[datetime]:
        """The first `count` slots after `after`; fewer only at the end of the calendar."""
        return list(islice(self.slots(after=after, zone=zone), count))

    def slots_between(
        self, *, after: datetime, until: datetime, zone: ZoneInfo, limit: int
    ) -> list[datetime]:
        """The slots after `after` (exclusive) up to `until` (inclusive), at most `limit`, earliest first."""
        slots = takewhile(lambda slot: slot <= until, self.slots(after=after, zone=zone))
        return list(islice(slots, limit))

    def firings(self, *, after: datetime, zone: ZoneInfo) -> Iterator[Firing]:
        """What fires after `after`, ascending by instant; the slots with the lines and times behind them."""
        instant = _checked(after)
        firings = [_line_firings(line=line, after=instant, zone=zone) for line in self.lines]
        return firings[0] if len(firings) == 1 else merge(*firings, key=lambda firing: firing.at)


@lru_cache(maxsize=4096)
def parse(text: str) -> Cron:
    """Read a cron text: one line or up to 20, separated by newlines; empty lines are left out.

    Raises InvalidCron, with the number of the line in the message if there are several.
    """
    texts = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not texts:
        raise InvalidCron("The schedule is empty: expected five fields such as '0 2 * * *'.")
    if len(texts) > MAX_LINES:
        raise InvalidCron(f"The schedule has {len(texts)} lines: expected at most {MAX_LINES}.")
    if len(texts) == 1:
        return Cron((parse_line(texts[0][1]),))
    return Cron(tuple(_numbered_line(number=number, text=line) for number, line in texts))


def _numbered_line(*, number: int, text: str) -> Line:
    try:
        return parse_line(text)
    except InvalidCron as error:
        raise InvalidCron(f"Line {number}: {error.sentence}", field=error.field, line=number) from None


def has_slots(at: datetime) -> bool:
    """Whether the instant lies in the years for which slots are computed."""
    return FIRST_INSTANT <= at < END


def _checked(after: datetime) -> datetime:
    if after.tzinfo is None:
        raise InvalidInstant(f"{after.isoformat()} has no time zone: expected an aware datetime.")
    if not has_slots(after):
        raise InvalidInstant(f"{after.isoformat()} is out of range: expected an instant from 1970 to 2499.")
    return after.astimezone(UTC)


def _line_firings(*, line: Line, after: datetime, zone: ZoneInfo) -> Iterator[Firing]:
    """Walk the wall clock and hold back second passes through a repeated hour until their turn."""
    again: deque[Firing] = deque()
    for wall in walls(line=line, start=_lowest_wall(after=after, zone=zone)):
        first, *second = instants(wall=wall, zone=zone, wildcard=line.wildcard) or (None,)
        if first is None:
            continue
        while again and again[0].at <= first:
            yield again.popleft()
        if first > after:
            yield Firing(first, wall, line)
        again.extend(Firing(at, wall, line) for at in second if at > after)
    yield from again


def walls(*, line: Line, start: datetime) -> Iterator[datetime]:
    """The wall clock times (naive) that the line names, from `start` (inclusive) on."""
    day = _first_day(days=line.days, either_day=line.either_day, start=start.date())
    while day is not None:
        begin = bisect_left(line.times, start.time()) if day == start.date() else 0
        for at in line.times[begin:]:
            yield datetime.combine(day, at)
        day = _first_day(days=line.days, either_day=line.either_day, start=day + DAY)


@lru_cache(maxsize=16384)
def _first_day(*, days: str, either_day: bool, start: date) -> date | None:
    """The first day on or after `start` that the day fields allow, None if there is none before 2500.

    Vixie's rule on two day fields is handed over as `day_or`; croniter's `implement_cron_bug` would want the
    raw text, which croniter reads differently in places (`5-5` is the whole field to it). The longest wait is
    40 years (29 February on a given weekday, over 2100); croniter gives up after 50.
    """
    if start > LAST_DAY or days == "* * *":
        return start if start <= LAST_DAY else None
    walker = copy(_walker(days, either_day))  # a croniter keeps its place, and threads share the cache
    try:
        found = walker.get_next(datetime, start_time=datetime.combine(start, time()) - MINUTE)
    except CroniterBadDateError:
        return None
    day: date = found.date()
    return day if day <= LAST_DAY else None


@lru_cache(maxsize=1024)
def _walker(days: str, either_day: bool) -> croniter:
    return croniter(f"0 0 {days}", datetime.combine(FIRST_INSTANT, time()), day_or=either_day)


def _lowest_wall(*, after: datetime, zone: ZoneInfo) -> datetime:
    """The lowest wall clock time that may still fire after `after`.

    Clocks that go back within a day show times again; and the minute before counts because a gap may end amid
    a minute (Africa/Monrovia in 1972).
    """
    start = after - MINUTE
    offset = min(offset_at(start, zone=zone), offset_at(after + DAY, zone=zone))
    return (start + offset).replace(tzinfo=None, second=0, microsecond=0)


def instants(*, wall: datetime, zone: ZoneInfo, wildcard: bool) -> tuple[datetime, ...]:
    """The instants (UTC) at which a wall clock time fires: none, one, or both passes of a repeated hour."""
    first, second = both_passes(wall, zone)
    if first == second:
        return (first,)
    if first > second:
        return _instants_after_gap(wall=wall, zone=zone, wildcard=wildcard, jump=first - second)
    if wildcard or second - first > LARGEST_CHANGE:
        return (first, second)
    return (first,)


def _instants_after_gap(
    *, wall: datetime, zone: ZoneInfo, wildcard: bool, jump: timedelta
) -> tuple[datetime, ...]:
    if jump >= LARGEST_CHANGE or (wildcard and jump > LATE_WAKE_UP):
        return ()
    while True:
        wall += MINUTE
        first, second = both_passes(wall, zone)
        if first <= second:
            return (first,)


def both_passes(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants of a wall clock time by the offsets before and after a change (PEP 495).

    They are equal on ordinary days, ascending if the time is repeated, descending if it is skipped.
    """
    local = wall.replace(tzinfo=zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)

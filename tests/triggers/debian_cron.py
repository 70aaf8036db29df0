"""An oracle: what Debian's cron does, minute by minute, written from the main loop of its cron.c.

It shares no code with triggers.cron: it ticks through every minute with the virtual clock of the original,
and has a field reader of its own. Left out is what the environment does to the original: late wake-ups, and
offsets that are read only when the DST flag changes. Zones must have offsets of whole minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NAMES = {
    name: number
    for names, first in (
        ("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", 1),
        ("SUN MON TUE WED THU FRI SAT", 0),
    )
    for number, name in enumerate(names.split(), start=first)
}
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
THREE_HOURS = 180


def debian_runs(*, line: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The instants in (start, end] at which a cron daemon, up since before `start`, starts the job."""
    matches, wild = _matcher(line)
    runs: set[datetime] = set()
    now = start
    virtual = _wall_minute(now, zone)
    while now < end:
        now += timedelta(minutes=1)
        running = _wall_minute(now, zone)
        difference = running - virtual
        if difference == 1 or difference > THREE_HOURS or difference <= -THREE_HOURS:
            virtual = running
            started = matches(running)
        elif difference <= 0:
            started = wild and matches(running)
        elif difference <= 5:
            started = any(matches(minute) for minute in range(virtual + 1, running + 1))
            virtual = running
        else:
            skipped = range(virtual + 1, running + 1)
            started = matches(running) if wild else any(matches(minute) for minute in skipped)
            virtual = running
        if started:
            runs.add(now)
    return sorted(runs)


def _wall_minute(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return int((instant.timestamp() + offset.total_seconds()) // 60)


def _matcher(line: str) -> tuple[Callable[[int], bool], bool]:
    texts = line.upper().split()
    minutes, hours, days, months, weekdays = (
        _values(text, low, high) for text, (low, high) in zip(texts, BOUNDS, strict=True)
    )
    both = texts[2].startswith("*") or texts[4].startswith("*")

    @lru_cache(maxsize=16)
    def day_matches(number: int) -> bool:
        day = date(1970, 1, 1) + timedelta(days=number)
        by_date = day.day in days
        by_week = day.isoweekday() in weekdays or day.isoweekday() % 7 in weekdays
        return day.month in months and (by_date and by_week if both else by_date or by_week)

    def matches(minute: int) -> bool:
        number, of_day = divmod(minute, 1440)
        return of_day % 60 in minutes and of_day // 60 in hours and day_matches(number)

    return matches, texts[0].startswith("*") or texts[1].startswith("*")


def _values(text: str, low: int, high: int) -> set[int]:
    values: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        bounds = (low, high) if first == "*" else (_number(first), _number(last or first))
        values.update(range(bounds[0], bounds[1] + 1, int(step or 1)))
    return values


def _number(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)

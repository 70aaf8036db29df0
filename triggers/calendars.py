"""Reads when a calendar is closed: weekdays, dates, stretches of time, one a line. Pure: no models, no clock.

    Sat                                     each Saturday
    12-25 Christmas                         each year
    12-24 to 01-01                          each year, from the first through the last day
    2026-05-01 Labour Day                   one day
    2026-08-03 to 2026-08-14 Inventory      from the first through the last day
    2026-11-30 22:00 to 2026-12-01 06:00    from the first minute up to the last, which is open again
    22:00 to 06:00 Backup                   each day, up to the last minute

Whatever follows is a note. All of it is meant by the wall clock of the calendar's zone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

MAX_LINES: Final = 1000
LINE_LENGTH: Final = 200
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LEAP_YEAR: Final = 2000  # a date of every year is looked up in it, so that 02-29 is one
EXPECTED: Final = (
    "expected a weekday (Sat), a date (2026-12-24, or 12-24 for each year), dates or times joined by “to” "
    "(2026-12-24 to 2026-12-31, 22:00 to 06:00), and then a note if you like"
)

_DAY = r"(?:\d{4}-)?\d{2}-\d{2}"
_TIME = r"\d{2}:\d{2}"
_MOMENT = rf"{_DAY}(?: +{_TIME})?|{_TIME}"
_LINE: Final = re.compile(rf"(?P<first>{_MOMENT})(?: +to +(?P<last>{_MOMENT}))?(?: +(?P<note>\S.*))?")
_WEEKDAY: Final = re.compile(rf"(?P<day>{'|'.join(WEEKDAYS)})[a-z]*(?: +(?P<note>\S.*))?", re.IGNORECASE)


class InvalidPeriod(ValueError):
    """A line of a calendar can't be read; the message is a sentence that names it."""


@dataclass(frozen=True, slots=True)
class Period:
    """One line of a calendar: its text, and whether it covers a wall clock time."""

    text: str
    covers: Callable[[datetime], bool] = field(compare=False, repr=False)


@lru_cache(maxsize=512)
def parse(text: str) -> tuple[Period, ...]:
    """The periods in which a calendar is closed; empty lines are left out. Raises InvalidPeriod."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > MAX_LINES:
        raise InvalidPeriod(f"The calendar has {len(lines)} lines: expected at most {MAX_LINES}.")
    return tuple(_numbered(number, line) for number, line in lines)


def closing(periods: tuple[Period, ...], wall: datetime) -> Period | None:
    """The first period that covers the wall clock time `wall` (naive); None if the calendar is open then."""
    return next((period for period in periods if period.covers(wall)), None)


def _numbered(number: int, line: str) -> Period:
    try:
        if len(line) > LINE_LENGTH:
            raise ValueError(f"it has {len(line)} characters, expected at most {LINE_LENGTH}")
        return Period(line, _weekday(line) or _stretch(line))
    except ValueError as error:
        raise InvalidPeriod(f"Line {number}, {line[:60]!r}: {error}.") from None


def _weekday(line: str) -> Callable[[datetime], bool] | None:
    found = _WEEKDAY.fullmatch(line)
    if found is None:
        return None
    number = WEEKDAYS.index(found["day"].title())
    return lambda wall: wall.weekday() == number


def _stretch(line: str) -> Callable[[datetime], bool]:
    """From the first moment to the last, both of one form: times of day, days of each year, days or instants."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(EXPECTED)
    first, last = found["first"], found["last"] or found["first"]
    forms = {_form(first), _form(last)}
    if len(forms) != 1 or (forms == {"time"} and found["last"] is None):
        raise ValueError(EXPECTED)
    return _COVERS[forms.pop()](first, last)


def _form(moment: str) -> str:
    if re.fullmatch(_TIME, moment):
        return "time"
    if moment.count("-") == 1:
        return "yearly" if ":" not in moment else "mixed"
    return "instant" if ":" in moment else "day"


def _times(first: str, last: str) -> Callable[[datetime], bool]:
    begin, end = time.fromisoformat(first), time.fromisoformat(last)
    if begin == end:
        raise ValueError(f"it ends when it begins, at {first}: expected two times")
    if begin < end:
        return lambda wall: begin <= wall.time() < end
    return lambda wall: wall.time() >= begin or wall.time() < end


def _yearly(first: str, last: str) -> Callable[[datetime], bool]:
    begin, end = (date.fromisoformat(f"{LEAP_YEAR}-{day}") for day in (first, last))

    def covers(wall: datetime) -> bool:
        day = wall.date().replace(year=LEAP_YEAR)
        return begin <= day <= end if begin <= end else day >= begin or day <= end

    return covers


def _days(first: str, last: str) -> Callable[[datetime], bool]:
    begin, end = _ordered(date.fromisoformat(first), date.fromisoformat(last))
    return lambda wall: begin <= wall.date() <= end


def _instants(first: str, last: str) -> Callable[[datetime], bool]:
    begin, end = (datetime.fromisoformat(" ".join(moment.split())) for moment in (first, last))
    if begin == end:
        end += timedelta(minutes=1)
    _ordered(begin, end)
    return lambda wall: begin <= wall < end


def _ordered(begin: date, end: date) -> tuple[date, date]:
    if end < begin:
        raise ValueError(f"it ends before it begins: expected a last moment after {begin}")
    return begin, end


def _mixed(first: str, last: str) -> Callable[[datetime], bool]:
    raise ValueError(EXPECTED)


_COVERS: Final = {"time": _times, "yearly": _yearly, "day": _days, "instant": _instants, "mixed": _mixed}

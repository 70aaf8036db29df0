"""A cron text in words, such as `Daily at 2:00 AM`, that claim nothing the slots don't do.

The phrases are made from the values that fire, not from the text. (cron-descriptor 1.4 goes by the text: it
calls `0 0 13 * 5` "only on Friday" and `*/7` "every 7 minutes", and lets `0 9-17 * * *` run until 5:59 PM.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, time
from itertools import pairwise

from triggers.cron.fields import Field
from triggers.cron.lines import Line
from triggers.cron.slots import Cron

MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MOST_TIMES = 6
NAMED_TIMES = 3


def describe(cron: Cron) -> str:
    """One sentence without a full stop; several lines are joined by semicolons."""
    sentence = "; ".join(_line_words(line) for line in cron.lines)
    return sentence[0].upper() + sentence[1:]


def clock(at: time) -> str:
    """`2:00 AM`."""
    return f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def times_words(walls: Iterable[datetime]) -> str:
    """The times of day, the first few by name: `2:00 AM, 2:15 AM, 2:30 AM and 57 more times`."""
    words = [clock(wall.time()) for wall in sorted(walls)]
    rest = len(words) - NAMED_TIMES
    return listed(words if rest <= 1 else [*words[:NAMED_TIMES], f"{rest} more times"])


def days_words(line: Line) -> str:
    """On which days, such as `on day 13 of the month or on Friday`; "" for every day of the year."""
    months = "" if line.month.complete else _spans(line.month.values, _month)
    if months and line.weekday.complete and not line.day.complete:
        return f"on {_dates(line)} of {months}"
    return " ".join(words for words in (_days_of_month(line), f"in {months}" if months else "") if words)


def _days_of_month(line: Line) -> str:
    if every_day_of_month(line):
        return ""
    dates, weekdays = f"on {_dates(line)} of the month", f"on {_weekdays(line.weekday)}"
    if line.either_day:
        return f"{dates} or {weekdays}"
    if line.day.complete or line.weekday.complete:
        return weekdays if line.day.complete else dates
    return f"{weekdays} if the day of the month is {_spans(line.day.values, str)}"


def every_day_of_month(line: Line) -> bool:
    """Whether the two day fields let every day pass."""
    all_dates, all_weekdays = line.day.complete, line.weekday.complete
    return (all_dates or all_weekdays) if line.either_day else (all_dates and all_weekdays)


def _line_words(line: Line) -> str:
    times = _times(line)
    if every_day_of_month(line) and times.startswith("at ") and len(line.times) <= MOST_TIMES:
        times = f"daily {times}"
    return f"{times} {days_words(line)}".strip()


def _times(line: Line) -> str:
    """When on such a day: the rhythm if it is even, the times if they are few, else minutes and hours."""
    hours, minutes = line.hour.values, line.minute.values
    if rhythm := _rhythm(line):
        return rhythm
    if len(line.times) <= MOST_TIMES:
        return "at " + listed([clock(at) for at in line.times])
    of_hours = "every hour" if line.hour.complete else f"the hours {_spans(hours, _hour)}"
    word = "minute" if len(minutes) == 1 else "minutes"
    return f"at {word} {_spans(minutes, str)} of {of_hours}"


def _rhythm(line: Line) -> str:
    """`every 15 minutes from 9:00 AM through 5:45 PM`, or "" if the times are few or unevenly spaced."""
    minutes = [at.hour * 60 + at.minute for at in line.times]
    steps = {later - earlier for earlier, later in pairwise(minutes)}
    if len(steps) != 1 or len(minutes) < 4:
        return ""
    step = steps.pop()
    every = _every(step)
    around_the_clock = len(minutes) * step == 24 * 60
    if around_the_clock and minutes[0] == 0:
        return every
    if around_the_clock and step <= 60:
        return f"{every} {'at' if step == 60 else 'from'} minute {minutes[0]}"
    return f"{every} from {clock(line.times[0])} through {clock(line.times[-1])}"


def _every(step: int) -> str:
    if step % 60 == 0:
        return "every hour" if step == 60 else f"every {step // 60} hours"
    return "every minute" if step == 1 else f"every {step} minutes"


def _dates(line: Line) -> str:
    values = line.day.values
    return f"{'day' if len(values) == 1 else 'days'} {_spans(values, str)}"


def _weekdays(field: Field) -> str:
    from_monday = sorted(value or 7 for value in field.values)
    return _spans(from_monday, lambda value: DAY_NAMES[value % 7])


def _month(value: int) -> str:
    return MONTH_NAMES[value - 1]


def _hour(value: int) -> str:
    return clock(time(value))


def _spans(values: Sequence[int], name: Callable[[int], str]) -> str:
    """`1`, `1 and 15`, `Monday through Friday`, `1 through 3 and 10`, `1, 3 … 31`."""
    if (
        len(values) > MOST_TIMES
        and len({b - a for a, b in pairwise(values)}) == 1
        and values[1] > values[0] + 1
    ):
        return f"{name(values[0])}, {name(values[1])} … {name(values[-1])}"
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    words: list[str] = []
    for run in runs:
        if len(run) > 2:
            words.append(f"{name(run[0])} through {name(run[-1])}")
        else:
            words.extend(name(value) for value in run)
    return listed(words)

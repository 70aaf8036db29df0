"""One cron line: five fields, what they mean together, and the refusal of lines that never fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from triggers.cron.fields import KINDS, Field, InvalidCron, parse_field

MAX_LINE_LENGTH = 200
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a cron text.

    `wildcard`: the minute or hour field starts with a star (`*/n` too), so the line follows the clock on the
    wall through every clock change; all others are fixed times, which run once whatever the clock does
    (cron.c, flags MIN_STAR and HR_STAR).

    `either_day`: neither day field starts with a star, so one of them is enough. Else both must match, which
    for `*/2` is a restriction (flags DOM_STAR and DOW_STAR; `0 0 */2 * 1` is a Monday with an odd date).

    `times`: the times of day, ascending. `days`: the three day fields in numbers, for the walk over days.
    """

    text: str
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    times: tuple[time, ...]
    days: str
    wildcard: bool
    either_day: bool

    @property
    def dates(self) -> list[tuple[int, int]]:
        """The pairs (month, day) that the day-of-month and month fields allow and some year has."""
        return [
            (month, day)
            for month in self.month.values
            for day in self.day.values
            if day <= LONGEST_MONTHS[month - 1]
        ]


def parse_line(text: str) -> Line:
    """Read one line or one of the words `@hourly @daily @midnight @weekly @monthly @yearly @annually`.

    Raises InvalidCron for anything else, for more than 200 characters and for what never fires.
    """
    if len(text) > MAX_LINE_LENGTH:
        raise InvalidCron(f"The line has {len(text)} characters: expected at most {MAX_LINE_LENGTH}.")
    if not text.isascii():
        odd = next(character for character in text if not character.isascii())
        raise InvalidCron(f"'{odd}' is not understood: expected digits, letters, spaces and * , - / @.")
    parts = _five_parts(text)
    line = _line(
        " ".join(text.split()), [parse_field(text=p, kind=k) for p, k in zip(parts, KINDS, strict=True)]
    )
    if not line.either_day and not line.dates:
        raise InvalidCron(
            f"'{line.text}' never fires: no month of '{line.month.text}' has day {line.day.values[0]}.",
            field="day of month",
        )
    return line


def _five_parts(text: str) -> list[str]:
    parts = text.split()
    if parts and parts[0].startswith("@"):
        return _word_parts(parts)
    if len(parts) == len(KINDS):
        return parts
    hint = "" if len(parts) < len(KINDS) else "; seconds, years, user names and commands don't belong here"
    fields = "1 field" if len(parts) == 1 else f"{len(parts)} fields"
    expected = "5 (minute, hour, day of month, month, day of week)"
    raise InvalidCron(f"'{' '.join(parts)}' has {fields}: expected {expected}{hint}.")


def _word_parts(parts: list[str]) -> list[str]:
    word = parts[0].lower()
    if word == "@reboot":
        raise InvalidCron("'@reboot' names no time: expected five fields or a word such as @daily.")
    if word not in WORDS or len(parts) > 1:
        raise InvalidCron(f"'{' '.join(parts)}' is not understood: expected one of {', '.join(WORDS)}.")
    return WORDS[word].split()


def _line(text: str, fields: list[Field]) -> Line:
    minute, hour, day, month, weekday = fields
    return Line(
        text=text,
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        weekday=weekday,
        times=tuple(time(h, m) for h in hour.values for m in minute.values),
        days=" ".join(_plain(field) for field in (day, month, weekday)),
        wildcard=minute.starred or hour.starred,
        either_day=not day.starred and not weekday.starred,
    )


def _plain(field: Field) -> str:
    if field.complete and field.starred:
        return "*"
    return ",".join(str(value) for value in field.values)

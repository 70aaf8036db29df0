"""The grammar of one cron field: which values a text stands for, or why it is refused.

Source: crontab(5) and entry.c of Debian's cron. What Debian reads silently in a way that nobody means (a step
larger than its field) is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from typing import NoReturn

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

ITEM = re.compile(r"(?P<first>\*|[0-9A-Z]+)(?:-(?P<last>[0-9A-Z]+))?(?:/(?P<step>[0-9]+))?", re.ASCII)
FOREIGN = re.compile(
    r"[0-9]*[LW]|LW|WL|L-[0-9]+W?|W[0-9]+|[A-Z]{3}L|[HR](\([0-9-]*\))?(/[0-9]+)?|.*[#?].*", re.ASCII
)


class InvalidCron(ValueError):
    """A cron text is refused, in a sentence for the person who typed it.

    `field` names the field (`minute`, `hour`, `day of month`, `month`, `day of week`) or is None when the
    line as a whole is wrong; `line` counts from 1.
    """

    def __init__(self, sentence: str, *, field: str | None = None, line: int = 1) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldKind:
    """The bounds of a field and the names that may stand for its numbers.

    `steps` is the largest step that still makes a difference: the number of different values.
    """

    name: str
    low: int
    high: int
    steps: int
    names: Mapping[str, int] = member(default_factory=dict)
    expected: str


MINUTE = FieldKind(name="minute", low=0, high=59, steps=60, expected="0 to 59")
HOUR = FieldKind(name="hour", low=0, high=23, steps=24, expected="0 to 23")
DAY = FieldKind(name="day of month", low=1, high=31, steps=31, expected="1 to 31")
MONTH = FieldKind(
    name="month",
    low=1,
    high=12,
    steps=12,
    names={name: number for number, name in enumerate(MONTHS, start=1)},
    expected="1 to 12 or JAN to DEC",
)
WEEKDAY = FieldKind(
    name="day of week",
    low=0,
    high=7,
    steps=7,
    names={name: number for number, name in enumerate(WEEKDAYS)},
    expected="0 to 7 (0 and 7 are Sunday) or SUN to SAT",
)
KINDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The values of a field, ascending (Sunday is 0), and whether its text starts with a star.

    The star is kept because cron decides by the text, not by the values: `*/2` is starred, `0-59/2` is not.
    """

    text: str
    values: tuple[int, ...]
    starred: bool
    complete: bool


def parse_field(*, text: str, kind: FieldKind) -> Field:
    """Read one field: `*`, numbers, names, ranges `a-b`, steps `*/n` and `a-b/n`, and lists of these.

    Raises InvalidCron. Bounds and steps are checked before anything is expanded.
    """
    values: set[int] = set()
    for item in text.upper().split(","):
        values.update(_item_values(item=item, text=text, kind=kind))
    if kind is WEEKDAY:
        values = {value % 7 for value in values}
    return Field(
        text=text,
        values=tuple(sorted(values)),
        starred=text.startswith("*"),
        complete=len(values) == kind.steps,
    )


def _item_values(*, item: str, text: str, kind: FieldKind) -> range:
    parts = ITEM.fullmatch(item)
    if not item:
        _refuse(kind, f"The {kind.name} field '{text}' has an empty value: expected {kind.expected}.")
    if parts is None:
        _refuse_value(value=item, text=text, kind=kind)
    step = _step(digits=parts["step"], text=text, kind=kind)
    if parts["first"] == "*":
        if parts["last"]:
            _refuse_value(value=item, text=text, kind=kind)
        return range(kind.low, kind.high + 1, step)
    first = _number(value=parts["first"], text=text, kind=kind)
    if parts["last"] is None:
        if parts["step"]:
            _refuse_bare_step(first=first, step=step, item=item, kind=kind)
        return range(first, first + 1)
    last = _number(value=parts["last"], text=text, kind=kind)
    if last < first:
        _refuse_backwards(item=item, first=first, last=last, kind=kind)
    return range(first, last + 1, step)


def _step(*, digits: str | None, text: str, kind: FieldKind) -> int:
    step = int(digits or 1)
    if not 1 <= step <= kind.steps:
        _refuse(
            kind,
            f"The step {step} in the {kind.name} field '{text}' is out of range: expected 1 to {kind.steps}.",
        )
    return step


def _number(*, value: str, text: str, kind: FieldKind) -> int:
    if value in kind.names:
        return kind.names[value]
    if not value.isdigit():
        _refuse_value(value=value, text=text, kind=kind)
    if not kind.low <= int(value) <= kind.high:
        _refuse(kind, f"{value} in the {kind.name} field '{text}' is out of range: expected {kind.expected}.")
    return int(value)


def _refuse_value(*, value: str, text: str, kind: FieldKind) -> NoReturn:
    if FOREIGN.fullmatch(value):
        _refuse(
            kind,
            f"'{value}' in the {kind.name} field '{text}' is not supported (no L, W, #, ?, R and H here): "
            f"expected {kind.expected}, with *, lists, ranges and steps.",
        )
    _refuse(kind, f"'{value}' in the {kind.name} field '{text}' is not understood: expected {kind.expected}.")


def _refuse_bare_step(*, first: int, step: int, item: str, kind: FieldKind) -> NoReturn:
    # Debian refuses it too; other crons disagree on whether 5/15 means 5 or 5-59/15.
    last = kind.low + kind.steps - 1
    hint = f"write {first}-{last}/{step} or */{step}"
    _refuse(kind, f"'{item}' in the {kind.name} field has a step without a range: {hint}.")


def _refuse_backwards(*, item: str, first: int, last: int, kind: FieldKind) -> NoReturn:
    start = 1 if kind is WEEKDAY else kind.low  # 7 has said Sunday already
    rest = "" if last < start else f",{start}-{last}" if last > start else f",{start}"
    hint = f"write {first}-{kind.high}{rest}"
    _refuse(kind, f"The range '{item}' in the {kind.name} field runs backwards: {hint}.")


def _refuse(kind: FieldKind, sentence: str) -> NoReturn:
    raise InvalidCron(sentence, field=kind.name)

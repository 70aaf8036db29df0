"""Decides which lane a priority number belongs to, and what the named priorities mean (product.md, Priority)."""

from collections.abc import Mapping
from typing import Final

FIRST: Final = 1
LAST: Final = 100
HIGH_UNTIL: Final = 9  # 1-9 is the lane high, 10-99 default, 100 bulk

NAMES: Final[Mapping[str, int]] = {"immediate": 1, "normal": 50, "bulk": 100}
LANES: Final = ("high", "default", "bulk")
OF_KIND: Final[Mapping[str, int]] = {
    "manual": 1,
    "remote": 1,
    "event": 1,
    "schedule": 50,
    "dependency": 50,
    "campaign": 100,
}


class InvalidPriority(ValueError):
    """A priority that is neither a whole number from 1 to 100 nor one of the names."""


def lane(priority: int) -> str:
    """The lane of a priority number (1-100)."""
    if priority <= HIGH_UNTIL:
        return "high"
    return "bulk" if priority == LAST else "default"


def parse(value: object) -> int:
    """The number that `value` (a number 1-100 or a name) stands for; raises InvalidPriority."""
    if isinstance(value, str) and value in NAMES:
        return NAMES[value]
    if isinstance(value, int) and not isinstance(value, bool) and FIRST <= value <= LAST:
        return value
    raise InvalidPriority(
        f"{value!r:.60} is not a priority: expected a whole number from {FIRST} (first) to {LAST} (last), "
        f"or one of {', '.join(NAMES)}."
    )


def typed(text: str) -> int:
    """The same of what somebody typed: a number is made of digits. Raises InvalidPriority."""
    # Python makes no number of more than 4,300 digits.
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return parse(int(text) if is_number else text)

"""Rates: how a limit of calls is written (`100/minute`), and what it means. Knows no tables."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError

PERIODS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
PATTERN: Final = r"^[1-9][0-9]{0,5}/(second|minute|hour|day)$"


class InvalidRate(ValueError):
    """Text that is no rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `count` calls at once, and in the long run as many in each `period`."""

    count: int
    period: timedelta

    @property
    def step(self) -> timedelta:
        """The time in which one more call becomes possible."""
        return self.period / self.count


def parse(text: str) -> Rate:
    """The rate that `text` writes; raises InvalidRate."""
    if not re.fullmatch(PATTERN, text):
        raise InvalidRate(
            f"{text!r} is not a rate: expected a number from 1 to 999999 and a period, such as 100/minute "
            f"(one of {', '.join(PERIODS)})."
        )
    count, _, period = text.partition("/")
    return Rate(count=int(count), period=timedelta(seconds=PERIODS[period]))


def validate(text: str) -> None:
    """As `parse`, for a model's field: raises ValidationError."""
    try:
        parse(text)
    except InvalidRate as error:
        raise ValidationError(str(error)) from None

"""Time zones: which names are accepted, and when a zone changes its clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

NOT_A_PLACE = {"Factory", "localtime", "posixrules"}
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class InvalidZone(ValueError):
    """A time zone name is refused; `near` lists names that may have been meant."""

    def __init__(self, name: str, *, near: list[str]) -> None:
        hint = f"Did you mean {' or '.join(near)}?" if near else "Expected a name like Europe/Berlin or UTC."
        super().__init__(f"'{name[:100]}' is not a known time zone. {hint}")
        self.near = near


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every name that tzdata knows, without the entries that stand for no place."""
    return frozenset(available_timezones() - NOT_A_PLACE)


def validate_zone(name: str) -> ZoneInfo:
    """The zone of that exact name. Raises InvalidZone with up to three near names."""
    if name not in zone_names():
        raise InvalidZone(name, near=_near(name))
    return ZoneInfo(name)


def _near(name: str) -> list[str]:
    wanted = name.strip().replace(" ", "_").lower()[:100]
    lower = {known.lower(): known for known in sorted(zone_names())}
    cities = [known for low, known in lower.items() if wanted and low.rsplit("/", 1)[-1] == wanted]
    alike = [lower[low] for low in get_close_matches(wanted, lower, n=3, cutoff=0.75)]
    return list(dict.fromkeys([*cities, *alike]))[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """The clocks of a zone go from one offset to another at the instant `at` (UTC)."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def size(self) -> timedelta:
        """Positive when the clocks go forward."""
        return self.after - self.before

    @property
    def wall_before(self) -> datetime:
        """What the clock would have shown (naive)."""
        return self.at.replace(tzinfo=None) + self.before

    @property
    def wall_after(self) -> datetime:
        """What it shows instead (naive)."""
        return self.at.replace(tzinfo=None) + self.after


def offset_at(instant: datetime, *, zone: ZoneInfo) -> timedelta:
    """The offset of the zone from UTC at an aware instant."""
    return cast(timedelta, instant.astimezone(zone).utcoffset())


def clock_changes(*, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[ClockChange]:
    """The clock changes after `after` and up to `until`, in order.

    zoneinfo does not tell its transitions, so days are compared and the second is found by halving. No two
    changes of any zone since 1970 are closer than six days.
    """
    start = after.astimezone(UTC)
    before = offset_at(start, zone=zone)
    while start < until:
        end = min(start + DAY, until)
        now = offset_at(end, zone=zone)
        if now != before:
            at = _change_between(start, end, zone=zone)
            yield ClockChange(at=at, before=before, after=now)
        start, before = end, now


def _change_between(low: datetime, high: datetime, *, zone: ZoneInfo) -> datetime:
    """The first second with the offset of `high`, given that `low` has another."""
    old = offset_at(low, zone=zone)
    low = low.replace(microsecond=0)
    while high - low > SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if offset_at(middle, zone=zone) == old:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)

"""The picture of what is coming: starts a minute over a day, drawn as SVG, and the same by the hour as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from triggers.load import Load, Peak

HEIGHT: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadChart:
    """The picture: `path` draws a line for each minute in which something starts; `piles` are the pile-ups."""

    path: str
    piles: str
    highest: int
    ticks: Sequence[str]
    hours: Sequence[tuple[str, int, int]]
    peaks: Sequence[tuple[str, Peak]]


def chart(load: Load, *, zone: ZoneInfo) -> LoadChart:
    """The picture of `load`, with the times of the clock in `zone`."""
    highest = max(load.minutes, default=0)
    high = {(peak.at - load.begin) // timedelta(minutes=1) for peak in load.peaks}
    bars = [(minute, starts) for minute, starts in enumerate(load.minutes) if starts]
    return LoadChart(
        path=_path([bar for bar in bars if bar[0] not in high], highest),
        piles=_path([bar for bar in bars if bar[0] in high], highest),
        highest=highest,
        ticks=[_clock(load.begin + timedelta(hours=hours), zone) for hours in range(0, 25, 3)],
        hours=_hours(load, zone),
        peaks=[(_clock(peak.at, zone), peak) for peak in load.peaks],
    )


def _path(bars: Sequence[tuple[int, int]], highest: int) -> str:
    return "".join(
        f"M{minute + 0.5} {HEIGHT}v-{max(round(starts / highest * HEIGHT, 1), 1.5)}"
        for minute, starts in bars
    )


def _hours(load: Load, zone: ZoneInfo) -> list[tuple[str, int, int]]:
    """Each hour from the beginning on: its clock, its starts, and those of its fullest minute."""
    found = []
    for first in range(0, len(load.minutes), 60):
        minutes = load.minutes[first : first + 60]
        clock = _clock(load.begin + timedelta(minutes=first), zone)
        found.append((clock, sum(minutes), max(minutes)))
    return found


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %H:%M}"

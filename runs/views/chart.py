"""The chart of the last day: a stacked bar for each hour, drawn by the server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone

from runs.faces import STATUSES
from runs.stats import Ended

# From the bottom to the top of a bar.
ORDER = ("succeeded", "failed", "cancelled", "skipped")
COLOURS = {**{status: STATUSES[status].colour for status in ORDER}, "skipped": "pale"}
HEIGHT = 100.0
STEP = 30


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a bar."""

    colour: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class HourBar:
    """One hour: where it stands, what it is made of, in words, and the list of its runs."""

    begin: datetime
    x: int
    blocks: list[Block]
    words: str
    query: str
    counts: Mapping[str, int]

    @property
    def row(self) -> list[int]:
        """The hour's counts in the order of the statuses."""
        return [self.counts.get(status, 0) for status in ORDER]


@dataclass(frozen=True, slots=True)
class Chart:
    """All hours, and how many runs the full height stands for."""

    bars: list[HourBar]
    highest: int

    @property
    def width(self) -> int:
        """The width of the picture in its own units."""
        return len(self.bars) * STEP

    @property
    def ticks(self) -> list[datetime]:
        """The hours written below the picture."""
        return [bar.begin for bar in self.bars[::6]]


def chart(hours: Mapping[datetime, Ended]) -> Chart:
    """The chart of the given hours, oldest first."""
    highest = max((ended.runs for ended in hours.values()), default=0)
    bars = [
        HourBar(
            begin=begin,
            x=number * STEP,
            blocks=list(_blocks(ended, highest)),
            words=_words(begin, ended),
            query=_query(begin),
            counts=ended.counts,
        )
        for number, (begin, ended) in enumerate(hours.items())
    ]
    return Chart(bars, highest)


def _blocks(ended: Ended, highest: int) -> Iterator[Block]:
    top = HEIGHT
    for status in ORDER:
        runs = ended.counts.get(status, 0)
        if runs:
            height = max(runs / highest * HEIGHT, 1.5)
            top = max(top - height, 0.0)
            yield Block(COLOURS[status], round(top, 2), round(height, 2))


def _words(begin: datetime, ended: Ended) -> str:
    counts = [f"{ended.counts[status]} {status}" for status in ORDER if ended.counts.get(status)]
    return f"{timezone.localtime(begin):%H:%M}: {', '.join(counts) or 'no run ended'}"


def _query(begin: datetime) -> str:
    end = begin + timedelta(hours=1)
    local = {"from": timezone.localtime(begin), "to": timezone.localtime(end)}
    return "?" + urlencode({name: f"{at:%Y-%m-%dT%H:%M}" for name, at in local.items()})

"""The pictures of the analytics page: runs by day and trigger kind, and by the hour of the week."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from runs.analytics import WEEKDAYS
from runs.faces import KINDS
from runs.stats import Ended
from runs.templatetags.headway import percent
from runs.views import job_charts
from runs.views.chart import ORDER

HEIGHT: Final = 100.0
STEP: Final = 30
CELL: Final = 20
LEVELS: Final = 5


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a day's column: the kind it is of, where it stands."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Day:
    """One day: where it stands, what it is made of, in words, and the list of its runs."""

    begin: datetime
    x: int
    blocks: list[Block]
    words: str
    query: str
    row: list[int]


@dataclass(frozen=True, slots=True)
class Days:
    """All days, the kinds there are, and the most runs of a day."""

    days: list[Day]
    kinds: list[str]
    highest: int

    @property
    def width(self) -> int:
        """The width of the picture in its own units."""
        return len(self.days) * STEP

    @property
    def ticks(self) -> list[datetime]:
        """The days written below the picture."""
        return [day.begin for day in self.days[:: max(len(self.days) // 6, 1)]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour of the week: where it stands, how full it is (0 to 5), in words."""

    x: int
    y: int
    level: int
    hour: str
    ended: Ended

    @property
    def words(self) -> str:
        """The hour, and what ended in it."""
        return _words(self.hour, {status: self.ended.counts.get(status, 0) for status in ORDER})


def days(by_day: Mapping[datetime, Mapping[str, Ended]], *, job: str) -> Days:
    """The picture of the days, oldest first; `job`: the slug of the one job that is shown, or ""."""
    kinds = [kind for kind in KINDS if any(kind in parts for parts in by_day.values())]
    highest = max((sum(part.runs for part in parts.values()) for parts in by_day.values()), default=0)
    shown = [
        Day(
            begin=begin,
            x=number * STEP,
            blocks=_blocks(parts, kinds, highest),
            words=_words(f"{begin:%a %d %b}", {kind: parts[kind].runs for kind in kinds if kind in parts}),
            query=_query(begin, job),
            row=[parts[kind].runs if kind in parts else 0 for kind in kinds],
        )
        for number, (begin, parts) in enumerate(by_day.items())
    ]
    return Days(shown, kinds, highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One kind, or one trigger: how each of its days went (`mood` of `job_charts`), and all of them in words."""

    name: str
    days: Sequence[job_charts.Day]
    width: int
    words: str


def rates(by_day: Mapping[datetime, Mapping[str, Ended]]) -> list[Rates]:
    """How the runs of each kind went on each day, the oldest at the left."""
    kinds = [kind for kind in KINDS if any(kind in parts for parts in by_day.values())]
    return [
        _rates(KINDS[kind], {day: parts.get(kind, Ended()) for day, parts in by_day.items()})
        for kind in kinds
    ]


def rate(by_day: Mapping[datetime, Mapping[str, Ended]]) -> Rates:
    """How all runs went on each day."""
    days = {day: Ended() for day in by_day}
    for day, parts in by_day.items():
        for part in parts.values():
            days[day].join(part)
    return _rates("", days)


def _rates(name: str, days: Mapping[datetime, Ended]) -> Rates:
    judged = {day: ended.success_rate for day, ended in days.items() if ended.success_rate is not None}
    total = Ended()
    for ended in days.values():
        total.join(ended)
    worst = min(judged, key=lambda day: judged[day], default=None)
    told = "no run succeeded or failed"
    if worst is not None and total.success_rate is not None:
        told = f"{percent(total.success_rate)} of {total.runs} succeeded"
        if judged[worst] < 1:
            told += f"; the worst day {worst:%a %d %b} with {percent(judged[worst])}"
    return Rates(
        name=name,
        days=[
            job_charts.Day(
                number * job_charts.CELL, 0, job_charts.mood(ended), job_charts.day_words(day.date(), ended)
            )
            for number, (day, ended) in enumerate(days.items())
        ],
        width=len(days) * job_charts.CELL,
        words=told,
    )


def week(hours: Sequence[Sequence[Ended]]) -> list[list[Cell]]:
    """The picture of the week, Monday first: the fullest hour has the fullest colour."""
    highest = max(ended.runs for day in hours for ended in day)
    return [
        [
            Cell(
                x=hour * CELL,
                y=day * CELL,
                level=-(-ended.runs * LEVELS // highest) if highest else 0,
                hour=f"{WEEKDAYS[day]} {hour:02}:00",
                ended=ended,
            )
            for hour, ended in enumerate(row)
        ]
        for day, row in enumerate(hours)
    ]


def busiest(cells: Iterable[Iterable[Cell]]) -> str:
    """The fullest hour in words, for those who don't see the picture."""
    every = [cell for row in cells for cell in row]
    most = max(every, key=lambda cell: cell.ended.runs)
    return f"most at {most.words}" if most.ended.runs else "nothing ended"


def _blocks(parts: Mapping[str, Ended], kinds: Sequence[str], highest: int) -> list[Block]:
    top, blocks = HEIGHT, []
    for kind in kinds:
        if kind in parts:
            height = max(parts[kind].runs / highest * HEIGHT, 1.5)
            top = max(top - height, 0.0)
            blocks.append(Block(kind, round(top, 2), round(height, 2)))
    return blocks


def _words(when: str, counts: Mapping[str, int]) -> str:
    told = [f"{runs} {word}" for word, runs in counts.items() if runs]
    return f"{when}: {', '.join(told) or 'no run ended'}"


def _query(begin: datetime, job: str) -> str:
    end = datetime.combine(begin.date() + timedelta(days=1), begin.timetz())
    asked = {"from": f"{begin:%Y-%m-%dT%H:%M}", "to": f"{end:%Y-%m-%dT%H:%M}"}
    return "?" + urlencode({**asked, "job": job} if job else asked)

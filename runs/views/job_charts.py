"""The pictures of a job's page: its days as a calendar, and how long its last runs took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Final

from runs.durations import duration_words, p95
from runs.faces import face
from runs.models import Run
from runs.stats import Ended

CELL: Final = 15
WIDTH: Final = 600
HEIGHT: Final = 110
MOST: Final = 100
# From this share of failures on a day is a bad one.
BAD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Day:
    """One day: where it stands, how it went (`none`, `well`, `partly`, `badly`), and in words."""

    x: int
    y: int
    mood: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCalendar:
    """The days in weeks from left to right, Monday on top, and all of them in a sentence."""

    days: Sequence[Day]
    width: int
    words: str
    bad: Sequence[str]


@dataclass(frozen=True, slots=True)
class Dot:
    """One run: where it stands by its duration, and how it ended."""

    x: float
    y: float
    run_id: int
    colour: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """The last runs, the oldest at the left, with the heights and words of median and 95th percentile."""

    dots: Sequence[Dot]
    median_y: float
    p95_y: float
    median: str
    p95: str
    longest: str


def calendar(by_day: Mapping[date, Ended]) -> DayCalendar:
    """The picture of the days, oldest first."""
    first = min(by_day)
    monday = first - timedelta(days=first.weekday())
    days = [
        Day(
            x=(day - monday).days // 7 * CELL,
            y=day.weekday() * CELL,
            mood=mood(ended),
            words=day_words(day, ended),
        )
        for day, ended in by_day.items()
    ]
    moods = [day.mood for day in days]
    told = ", ".join(
        f"{moods.count(one)} {words}"
        for one, words in (
            ("well", "without a failure"),
            ("partly", "with some failures"),
            ("badly", "mostly failed"),
            ("none", "without a run"),
        )
    )
    return DayCalendar(
        days=days,
        width=max(day.x for day in days) + CELL,
        words=f"{len(days)} days: {told}",
        bad=[day.words for day in days if day.mood in ("partly", "badly")][-10:],
    )


def durations(last: Sequence[Run]) -> Durations | None:
    """The picture of those of a job's last runs, the newest first, that started and ended; None of none."""
    timed = [(run, run.finished_at - run.started_at) for run in last if run.started_at and run.finished_at]
    if not timed:
        return None
    lengths = [length for _, length in timed]
    longest = max(*lengths, timedelta(milliseconds=1))
    middle = timedelta(seconds=median(length.total_seconds() for length in lengths))
    high = p95(lengths) or longest

    def y(length: timedelta) -> float:
        return round(HEIGHT - 6 - length / longest * (HEIGHT - 14), 1)

    step = (WIDTH - 12) / max(len(timed) - 1, 1)
    dots = [
        Dot(
            x=round(6 + number * step, 1),
            y=y(length),
            run_id=run.pk,
            colour=face(run).colour,
            words=f"#{run.pk} {face(run).word} after {duration_words(length)}",
        )
        for number, (run, length) in enumerate(reversed(timed))
    ]
    return Durations(
        dots=dots,
        median_y=y(middle),
        p95_y=y(high),
        median=duration_words(middle),
        p95=duration_words(high),
        longest=duration_words(longest),
    )


def mood(ended: Ended) -> str:
    """How runs went: `none`, `well`, `partly`, or `badly` from half of them failed on."""
    if not ended.runs:
        return "none"
    if not ended.failed:
        return "well"
    return "badly" if (ended.success_rate or 0) <= 1 - BAD else "partly"


def day_words(day: date, ended: Ended) -> str:
    """The day, and how many runs ended how."""
    if not ended.runs:
        return f"{day:%a %d %b}: no run ended"
    counts = ", ".join(f"{number} {status}" for status, number in ended.counts.items() if number)
    return f"{day:%a %d %b}: {counts}"

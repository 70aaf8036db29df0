"""The preview of a schedule before it is saved, by the same code that fires it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from triggers.cron.cautions import Caution, Closing, cautions, collisions, never
from triggers.cron.slots import Cron, Firing, both_passes, instants
from triggers.cron.words import clock, describe, times_words

MAX_COUNT = 200


class Saved(NamedTuple):
    """The rule of a schedule that another would replace."""

    cron: Cron
    zone: ZoneInfo
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class InvalidCount(ValueError):
    """More or fewer runs are asked for than a preview shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """One slot on the clocks of UTC, the schedule and the viewer (None if not asked for).

    `timestamp` is in seconds since 1970; `note` says what a clock change or a calendar does to this slot, mostly "".
    """

    utc: datetime
    local: datetime
    viewer: datetime | None
    timestamp: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a schedule will do: in words, as slots, and what to beware of."""

    timezone: str
    description: str
    next_runs: tuple[NextRun, ...]
    warnings: tuple[Caution, ...]


def preview(
    *,
    cron: Cron,
    zone: ZoneInfo,
    after: datetime,
    count: int = 5,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    viewer_zone: ZoneInfo | None = None,
    saved: Saved | None = None,
    closing: Closing = never,
) -> Preview:
    """The next `count` slots (1 to 200) after `after` (exclusive), with warnings for the next 12 months.

    Only slots from `starts_at` through `ends_at` come. `saved` is the schedule that this one would replace; `closing`
    says which slots are held back and why. Raises InvalidCount and InvalidInstant.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidCount(f"The count {count} is out of range: expected 1 to {MAX_COUNT}.")
    begin = _begin(after, starts_at)
    coming = _next_runs(cron=cron, zone=zone, after=begin, viewer_zone=viewer_zone, closing=closing)
    runs = tuple(islice(takewhile(lambda run: ends_at is None or run.utc <= ends_at, coming), count))
    warnings = [
        *cautions(cron=cron, zone=zone, after=begin, until=ends_at),
        *collisions(cron=cron, zone=zone, after=begin, until=ends_at, closing=closing),
    ]
    if saved and saved != (cron, zone, starts_at, ends_at):
        warnings.insert(0, _changed(runs=runs, zone=zone, after=after, count=count, saved=saved))
    return Preview(timezone=zone.key, description=describe(cron), next_runs=runs, warnings=tuple(warnings))


def _begin(after: datetime, starts_at: datetime | None) -> datetime:
    """The instant a schedule starts at may be a slot itself."""
    return starts_at - timedelta(microseconds=1) if starts_at and starts_at > after else after


def _next_runs(
    *, cron: Cron, zone: ZoneInfo, after: datetime, viewer_zone: ZoneInfo | None, closing: Closing
) -> Iterator[NextRun]:
    firings = cron.firings(after=after, zone=zone)
    for at, together in groupby(firings, key=lambda firing: firing.at):
        yield NextRun(
            utc=at,
            local=at.astimezone(zone),
            viewer=at.astimezone(viewer_zone) if viewer_zone else None,
            timestamp=int(at.timestamp()),
            note="; ".join(filter(None, [_note(at=at, firings=together, zone=zone), _held(closing(at))])),
        )


def _held(reason: str) -> str:
    return f"skipped: {reason}" if reason else ""


def _note(*, at: datetime, firings: Iterable[Firing], zone: ZoneInfo) -> str:
    shown = at.astimezone(zone).replace(tzinfo=None, fold=0)
    skipped: set[datetime] = set()
    note = ""
    for firing in firings:
        if firing.wall != shown:
            skipped.add(firing.wall)
        else:
            note = _repeated(firing, zone) or note
    if skipped:
        return f"for {times_words(skipped)}, skipped by the clock"
    return note


def _repeated(firing: Firing, zone: ZoneInfo) -> str:
    first, second = both_passes(firing.wall, zone)
    if first == second:
        return ""
    time = clock(firing.wall.time())
    if len(instants(wall=firing.wall, zone=zone, wildcard=firing.line.wildcard)) == 1:
        return f"{time} comes twice, this is the first and the only run"
    return f"{'first' if firing.at == first else 'second'} {time} of two"


def _changed(
    *, runs: tuple[NextRun, ...], zone: ZoneInfo, after: datetime, count: int, saved: Saved
) -> Caution:
    coming = saved.cron.next_slots(after=_begin(after, saved.starts_at), zone=saved.zone, count=count)
    old = [slot for slot in coming if saved.ends_at is None or slot <= saved.ends_at]
    new = [run.utc for run in runs]
    intro = f"Saved is '{describe(saved.cron)}' in {saved.zone.key}{_bounds(saved)}"
    if old[:1] == new[:1]:
        moved = "the next run stays the same"
    else:
        moved = f"the next run moves from {_moment(old, zone)} to {_moment(new, zone)}"
    fresh = f"{len(set(new) - set(old))} of the next {len(new)} slots are new"
    return Caution(code="changed", message=f"{intro}: {moved}, and {fresh}.")


def _bounds(saved: Saved) -> str:
    words = (("from", saved.starts_at), ("until", saved.ends_at))
    return "".join(f" {word} {at.astimezone(saved.zone):%Y-%m-%d %H:%M}" for word, at in words if at)


def _moment(slots: list[datetime], zone: ZoneInfo) -> str:
    return f"{slots[0].astimezone(zone):%Y-%m-%d %H:%M %Z}" if slots else "never"

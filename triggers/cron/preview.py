"""The preview of a schedule before it is saved, by the same code that fires it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from triggers.cron.cautions import Caution, Closing, cautions, collisions, never
from triggers.cron.slots import Cron, Firing, both_passes, instants
from triggers.cron.words import clock, describe, times_words

MAX_COUNT = 200


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
    viewer_zone: ZoneInfo | None = None,
    saved: tuple[Cron, ZoneInfo] | None = None,
    closing: Closing = never,
) -> Preview:
    """The next `count` slots (1 to 200) after `after` (exclusive), with warnings for the next 12 months.

    `saved` is the schedule that this one would replace; `closing` says which slots a calendar holds back and
    why. Raises InvalidCount and InvalidInstant.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidCount(f"The count {count} is out of range: expected 1 to {MAX_COUNT}.")
    coming = _next_runs(cron=cron, zone=zone, after=after, viewer_zone=viewer_zone, closing=closing)
    runs = tuple(islice(coming, count))
    warnings = [
        *cautions(cron=cron, zone=zone, after=after),
        *collisions(cron=cron, zone=zone, after=after, closing=closing),
    ]
    if saved and saved != (cron, zone):
        warnings.insert(0, _changed(runs=runs, zone=zone, after=after, count=count, saved=saved))
    return Preview(timezone=zone.key, description=describe(cron), next_runs=runs, warnings=tuple(warnings))


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
    *,
    runs: tuple[NextRun, ...],
    zone: ZoneInfo,
    after: datetime,
    count: int,
    saved: tuple[Cron, ZoneInfo],
) -> Caution:
    old_cron, old_zone = saved
    old = old_cron.next_slots(after=after, zone=old_zone, count=count)
    new = [run.utc for run in runs]
    intro = f"Saved is '{describe(old_cron)}' in {old_zone.key}"
    if old[:1] == new[:1]:
        moved = "the next run stays the same"
    else:
        moved = f"the next run moves from {_moment(old, zone)} to {_moment(new, zone)}"
    fresh = f"{len(set(new) - set(old))} of the next {len(new)} slots are new"
    return Caution(code="changed", message=f"{intro}: {moved}, and {fresh}.")


def _moment(slots: list[datetime], zone: ZoneInfo) -> str:
    return f"{slots[0].astimezone(zone):%Y-%m-%d %H:%M %Z}" if slots else "never"

"""The picture of schedules in time: a row each, from six hours ago to eighteen hours ahead, drawn as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from runs import timelines
from runs.faces import Face, face
from runs.timelines import Past
from triggers import schedules
from triggers.models import Calendar, Trigger

BEHIND: Final = timedelta(hours=6)
AHEAD: Final = timedelta(hours=18)
LEFT: Final = 230
HOUR: Final = 40
ROW: Final = 30
TOP: Final = 26
# Marks that begin closer together than this are drawn as one.
NEAR: Final = 5
# More coming slots than this are a band: its ticks would touch each other.
DENSE: Final = 180
STEP: Final = timedelta(minutes=5)
# Of runs that are drawn as one, the colour that asks for most attention is shown.
WORST: Final = ("red", "amber", "violet", "blue", "green", "grey")
NAME_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of a slot, or of some close together: where it stands, its colour, in words, and its run."""

    x: float
    width: float
    colour: str
    kind: str
    words: str
    run_id: int | None


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of a row in which slots are held back, or come too close together to be drawn one by one."""

    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One schedule: what was, what comes, and where it is held back; `next` are its next slots for people."""

    trigger: Trigger
    y: int
    marks: Sequence[Mark]
    ticks: str
    dense: Band | None
    closed: Sequence[Band]
    next: Sequence[datetime]
    counts: str

    @property
    def name(self) -> str:
        """Its job and name, cut to the width of the column."""
        name = f"{self.trigger.job.name} · {self.trigger.label}"
        return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The picture: its rows, the hours written above it, and where now is."""

    rows: Sequence[Row]
    hours: Sequence[tuple[float, str]]
    now_x: float
    width: int
    height: int


@dataclass(slots=True)
class _Scale:
    """Where an instant stands in the picture."""

    begin: datetime
    end: datetime
    now: datetime
    closed: dict[int, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    def x(self, at: datetime) -> float:
        within = min(max(at, self.begin), self.end)
        return round(LEFT + (within - self.begin) / timedelta(hours=1) * HOUR, 1)


def timeline(found: Sequence[Trigger], *, now: datetime, zone: ZoneInfo) -> Timeline:
    """The picture of the schedules `found`, in one query; `zone` is that of the clock above it."""
    scale = _Scale(now - BEHIND, now + AHEAD, now)
    # What began before and goes on, or went on into the picture, is seen too.
    past = timelines.past((trigger.pk for trigger in found), begin=scale.begin - AHEAD, end=scale.end)
    rows = [
        _row(trigger, past[trigger.pk], scale, TOP + number * ROW) for number, trigger in enumerate(found)
    ]
    return Timeline(
        rows=rows,
        hours=list(_hours(scale, zone)),
        now_x=scale.x(now),
        width=LEFT + int((BEHIND + AHEAD) / timedelta(hours=1)) * HOUR + 14,
        height=TOP + len(rows) * ROW + 6,
    )


def _row(trigger: Trigger, past: Sequence[Past], scale: _Scale, y: int) -> Row:
    marks = _marks(past, scale)
    known = {entry.slot for entry in past}
    coming = _coming(trigger, scale, known)
    held = [at for at in coming if schedules.holding(trigger, at)]
    free = [at for at in coming if at not in set(held)]
    is_dense = len(coming) > DENSE
    return Row(
        trigger=trigger,
        y=y,
        marks=marks,
        ticks="" if is_dense else "".join(f"M{scale.x(at)} {y + 8}v14" for at in free),
        dense=_band(scale, coming[0], scale.end, f"more than {DENSE} slots") if is_dense else None,
        closed=_closed(trigger, scale),
        next=free[:3],
        counts=_counts(past, scale),
    )


def _coming(trigger: Trigger, scale: _Scale, known: set[datetime]) -> list[datetime]:
    if not trigger.enabled:
        return []
    delay = schedules.jitter(trigger)
    slots = schedules.between(trigger, begin=scale.now - delay, end=scale.end - delay, limit=DENSE + 1)
    return [slot + delay for slot in slots if slot not in known]


def _marks(past: Sequence[Past], scale: _Scale) -> list[Mark]:
    """Each slot's run or outcome, those close together as one."""
    groups: list[tuple[float, list[tuple[Past, float]]]] = []
    for entry in past:
        begin, end = entry.started_at or entry.slot, _end(entry, scale.now)
        if end < scale.begin:
            continue
        x = scale.x(begin)
        if groups and x - groups[-1][0] < NEAR:
            groups[-1][1].append((entry, scale.x(end)))
        else:
            groups.append((x, [(entry, scale.x(end))]))
    return [_mark(x, members) for x, members in groups]


def _end(entry: Past, now: datetime) -> datetime:
    if entry.run_status is None:
        return entry.slot
    return entry.finished_at or now


def _mark(x: float, members: Sequence[tuple[Past, float]]) -> Mark:
    entries = [entry for entry, _ in members]
    faces = [face(entry) for entry in entries]
    first, last = entries[0].slot, entries[-1].slot
    when = f"{first:%H:%M}" if first == last else f"{first:%H:%M} to {last:%H:%M}"
    missed = any(entry.status == "missed" for entry in entries)
    ran = any(entry.run_id for entry in entries)
    return Mark(
        x=x,
        width=max(round(max(end for _, end in members) - x, 1), 4.0),
        colour=min((one.colour for one in faces), key=WORST.index),
        kind="missed" if missed else "ran" if ran else "unrun",
        words=f"{when} UTC: {_told(faces)}",
        run_id=entries[0].run_id if len(entries) == 1 else None,
    )


def _told(faces: Sequence[Face]) -> str:
    words = [one.word if one.icon else "run no longer kept" for one in faces]
    counted = {word: words.count(word) for word in dict.fromkeys(words)}
    if len(faces) == 1:
        return words[0]
    return ", ".join(f"{number} {word}" for word, number in counted.items())


def _counts(past: Sequence[Past], scale: _Scale) -> str:
    shown = [face(entry) for entry in past if entry.slot >= scale.begin]
    return _told(shown) if len(shown) != 1 else f"1 {_told(shown)}"


def _closed(trigger: Trigger, scale: _Scale) -> list[Band]:
    """Where a calendar is closed, or the schedule is paused."""
    bands = [
        _band(scale, begin, end, f"{calendar.name} is closed {begin:%H:%M} to {end:%H:%M} UTC")
        for calendar in trigger.calendars.all()
        for begin, end in _stretches(calendar, scale)
    ]
    if trigger.paused_at is not None and (trigger.paused_until or scale.end) > scale.begin:
        bands.append(
            _band(
                scale, trigger.paused_at, trigger.paused_until or scale.end, f"paused by {trigger.paused_by}"
            )
        )
    return bands


def _stretches(calendar: Calendar, scale: _Scale) -> list[tuple[datetime, datetime]]:
    """When the calendar is closed, to five minutes; each calendar is looked at once."""
    if calendar.pk not in scale.closed:
        found: list[tuple[datetime, datetime]] = []
        at = scale.begin.replace(minute=scale.begin.minute // 5 * 5, second=0, microsecond=0)
        while at < scale.end:
            if calendar.closing(at):
                begin = found.pop()[0] if found and found[-1][1] == at else at
                found.append((begin, at + STEP))
            at += STEP
        scale.closed[calendar.pk] = found
    return scale.closed[calendar.pk]


def _band(scale: _Scale, begin: datetime, end: datetime, words: str) -> Band:
    x = scale.x(begin)
    return Band(x, round(scale.x(end) - x, 1), words)


def _hours(scale: _Scale, zone: ZoneInfo) -> Iterator[tuple[float, str]]:
    """Every third hour of the clock in `zone`, with the day at midnight."""
    at = scale.begin.replace(minute=scale.begin.minute // 15 * 15, second=0, microsecond=0)
    while at <= scale.end:
        local = at.astimezone(zone)
        if at >= scale.begin and not local.minute and not local.hour % 3:
            yield scale.x(at), f"{local:%a %d}" if not local.hour else f"{local:%H:%M}"
        at += timedelta(minutes=15)

"""How the time of a run was spent, as a bar: the stretches between launch and end (or now), with their widths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from runs.durations import duration_words
from runs.faces import attempt_face
from runs.models import Run
from runs.status import Status

WIDTH = 1000.0
# Less is the time of a statement, not of a run.
SHORTEST = 0.001  # seconds
# A stretch of a millisecond beside one of an hour still has to be seen.
NARROWEST = 8.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time: `kind` is scheduled, queued, delay, waiting or attempt, `colour` one of tokens.css."""

    kind: str
    word: str
    colour: str
    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max((self.end - self.begin).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase as drawn: from `x` on, `width` wide, of 1000."""

    phase: Phase
    x: float
    width: float

    @property
    def words(self) -> str:
        """What the picture says of this stretch."""
        return f"{self.phase.word}: {duration_words(self.phase.seconds)}"


def phases(run: Run, *, now: datetime) -> list[Phase]:
    """The stretches in order, without gaps; the last of an open run ends now."""
    attempts = [entry for entry in run.history() if entry.get("started_at")]
    found: list[Phase] = []
    at, after = run.created_at, ""
    for number, entry in enumerate(attempts):
        started = _instant(entry["started_at"]) or at
        is_last = number == len(attempts) - 1
        queued = _instant(entry.get("queued_at")) or (run.queued_at if is_last else None) or at
        found += _before(at, min(queued, started), started, after=after)
        ended = _instant(entry.get("finished_at")) or now
        shown = attempt_face(entry["outcome"])
        found.append(
            Phase("attempt", f"attempt {entry['attempt']} {shown.word}", shown.colour, started, ended)
        )
        at, after = ended, entry["outcome"]
    found += _tail(run, at, now, after=after)
    return [phase for phase in found if phase.seconds >= SHORTEST]


def _before(at: datetime, queued: datetime, started: datetime, *, after: str) -> list[Phase]:
    """What lay between the end of something and the start of an attempt."""
    return [_held(at, queued, after), Phase("queued", "queued", "grey", max(queued, at), started)]


def _held(begin: datetime, end: datetime, after: str) -> Phase:
    """A stretch in which the run was not to start, by what came before it."""
    if after == "waiting":
        return Phase("waiting", "waiting", "violet", begin, end)
    kind, word = ("delay", "retry delay") if after else ("scheduled", "scheduled")
    return Phase(kind, word, "delay", begin, end)


def _tail(run: Run, at: datetime, now: datetime, *, after: str) -> list[Phase]:
    """What came after the last attempt, or before the first that never was."""
    if run.status == Status.RUNNING:
        return []
    end = run.finished_at or now
    if run.status in (Status.SCHEDULED, Status.WAITING):
        return [_held(at, end, after)]
    queued = run.queued_at if run.queued_at and run.queued_at >= at else None
    if queued is None:
        return [_held(at, end, after)] if not after else []
    return [_held(at, queued, after), Phase("queued", "queued", "grey", queued, end)]


def bars(found: Sequence[Phase]) -> list[Bar]:
    """The phases side by side in proportion, none narrower than can be seen."""
    total = sum(phase.seconds for phase in found) or 1.0
    widths = [max(phase.seconds / total * WIDTH, NARROWEST) for phase in found]
    scale = WIDTH / sum(widths) if widths else 1.0
    edges = [0.0]
    for width in widths:
        edges.append(edges[-1] + width * scale)
    return [
        Bar(phase, round(left, 1), round(right - left, 1))
        for phase, (left, right) in zip(found, pairwise(edges), strict=True)
    ]


def totals(found: Sequence[Phase]) -> Iterator[Mapping[str, Any]]:
    """The seconds of each kind of phase, in the order of their first appearance."""
    words = {
        "scheduled": "scheduled",
        "queued": "queued",
        "attempt": "running",
        "delay": "retry delay",
        "waiting": "waiting",
    }
    for kind in dict.fromkeys(phase.kind for phase in found):
        seconds = sum(phase.seconds for phase in found if phase.kind == kind)
        colour = next(phase.colour for phase in reversed(found) if phase.kind == kind)
        yield {"word": words[kind], "seconds": seconds, "colour": colour}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

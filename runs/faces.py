"""How statuses and trigger kinds look: one icon, word and colour each, everywhere the same (docs/pages.md).

*Timed out* and *lost* are faces of failed, *cancelling* is one of an open run whose cancel was asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from runs.status import FailureReason, Status


class HasStatus(Protocol):
    """What a face is read from: a run, or what is known of one."""

    @property
    def status(self) -> str: ...

    @property
    def failure_reason(self) -> str | None: ...

    @property
    def is_cancelling(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Face:
    """An icon of icons.svg, a word and one of the colours of tokens.css."""

    icon: str
    word: str
    colour: str


UNKNOWN: Final = Face("", "–", "grey")
CANCELLING: Final = Face("cancelled", "cancelling", "amber")
STATUSES: Final[Mapping[str, Face]] = {
    Status.SCHEDULED: Face("scheduled", "scheduled", "grey"),
    Status.QUEUED: Face("queued", "queued", "grey"),
    Status.RUNNING: Face("running", "running", "blue"),
    Status.WAITING: Face("waiting", "waiting", "violet"),
    Status.SUCCEEDED: Face("succeeded", "succeeded", "green"),
    Status.FAILED: Face("failed", "failed", "red"),
    Status.CANCELLED: Face("cancelled", "cancelled", "grey"),
    Status.SKIPPED: Face("skipped", "skipped", "grey"),
}
LOST: Final = Face("lost", "lost", "red")
FAILURES: Final[Mapping[str, Face]] = {
    FailureReason.TIMEOUT: Face("timed-out", "timed out", "red"),
    FailureReason.WORKER_LOST: LOST,
    FailureReason.POISONED: LOST,
    FailureReason.ENGINE_LOST: LOST,
}
# What may become of a slot of a schedule besides a run.
SLOTS: Final[Mapping[str, Face]] = {
    "missed": Face("lost", "missed", "amber"),
    "dismissed": Face("cancelled", "dismissed", "grey"),
    "due": Face("scheduled", "in line", "blue"),
}
# How an attempt may end besides the statuses and failure reasons.
ATTEMPTS: Final[Mapping[str, Face]] = {
    **STATUSES,
    **FAILURES,
    "lost": LOST,
    "error": STATUSES[Status.FAILED],
    "broken": Face("failed", "broken", "red"),
    "expired": Face("timed-out", "expired", "red"),
    "interrupted": Face("waiting", "interrupted", "amber"),
}
KINDS: Final[Mapping[str, str]] = {
    "manual": "Manual",
    "remote": "Remote",
    "schedule": "Schedule",
    "dependency": "Dependency",
    "event": "Event",
    "campaign": "Campaign",
}


def face(run: HasStatus) -> Face:
    """The face of a run, or of a slot that led to none."""
    if run.is_cancelling:
        return CANCELLING
    return (
        SLOTS.get(run.status) or FAILURES.get(run.failure_reason or "") or STATUSES.get(run.status, UNKNOWN)
    )


def attempt_face(outcome: str) -> Face:
    """The face of how one attempt of a run ended."""
    return ATTEMPTS.get(outcome, UNKNOWN)

"""Decides which statuses there are, what each means, and which moves between them are allowed.

The machine is drawn in docs/states.md; `runs.lifecycle` carries the moves out, and a database trigger made
from `MOVES` refuses every other one, even from raw SQL.
"""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class Status(TextChoices):
    """Where a run stands. Each is explained by when it arises and who moves it on."""

    # Launched for later (`run_at`, a dependency's delay) or between two attempts; the sweep enqueues it when due.
    SCHEDULED = "scheduled"
    # May start as soon as its lane has a slot and nothing holds it back; a worker's claim moves it on.
    QUEUED = "queued"
    # Claimed by a slot of a live worker, or with an engine; settle, rescue, give back or complete moves it on.
    RUNNING = "running"
    # Between two steps until `due_at`, or until somebody outside reports; enqueue or complete moves it on.
    WAITING = "waiting"
    # Final, by settle or complete: the work was done, and `result` holds what it returned.
    SUCCEEDED = "succeeded"
    # Final, by settle, rescue or complete: `failure_reason` says how it ended.
    FAILED = "failed"
    # Final, by cancel, or by whoever ends what runs: somebody asked, and nothing of it runs any more.
    CANCELLED = "cancelled"
    # Final, by launch or skip: it never started, and `skip_reason` says why.
    SKIPPED = "skipped"


class FailureReason(TextChoices):
    """How the last attempt of a failed run ended."""

    ERROR = "error"  # the work said so: an exception, an exit code, an unexpected answer
    TIMEOUT = "timeout"  # it took longer than the job allows
    WORKER_LOST = "worker_lost"  # its worker vanished, and the job says not to try again
    POISONED = "poisoned"  # three attempts took their worker with them
    ENGINE_LOST = "engine_lost"  # the outside engine no longer knows it
    EXPIRED = "expired"  # it could not start, or nobody reported, in time
    BROKEN = "broken"  # its function or program is gone


OPEN: Final = (Status.SCHEDULED, Status.QUEUED, Status.RUNNING, Status.WAITING)
FINAL: Final = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SKIPPED)

MOVES: Final[Mapping[Status, tuple[Status, ...]]] = {
    Status.SCHEDULED: (Status.QUEUED, Status.CANCELLED, Status.SKIPPED),
    Status.QUEUED: (Status.RUNNING, Status.CANCELLED, Status.SKIPPED, Status.FAILED),
    Status.RUNNING: (
        Status.QUEUED,
        Status.SCHEDULED,
        Status.WAITING,
        Status.SUCCEEDED,
        Status.FAILED,
        Status.CANCELLED,
    ),
    Status.WAITING: (Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED),
}

# The documents' words for our statuses (product.md, Run status); filters accept them.
ALIASES: Final[Mapping[str, Status]] = {
    "pending": Status.QUEUED,
    "executing": Status.RUNNING,
    "completed": Status.SUCCEEDED,
    "finished": Status.SUCCEEDED,
    "success": Status.SUCCEEDED,
    "canceled": Status.CANCELLED,
}


class UnknownStatus(ValueError):
    """A word that is neither a status nor one of the aliases."""


def parse(word: str) -> Status:
    """The status that `word` means; raises UnknownStatus naming the words that would do."""
    try:
        return ALIASES.get(word) or Status(word)
    except ValueError:
        expected = ", ".join([*Status.values, *ALIASES])
        raise UnknownStatus(f"{word!r} is not a status: expected one of {expected}.") from None

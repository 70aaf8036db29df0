"""What an attempt's outcome means for its run, in the words of `runs_settle`, which writes it."""

import json
import random
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

from jobs import retry
from jobs.executors import Cancelled, Failed, Outcome, Submitted, Succeeded, Waiting
from runs.claims import Claim
from runs.plain import plain


class Span(NamedTuple):
    """When an attempt began and ended, in seconds before its settlement; None: it began when claimed."""

    started_ago: float | None = None
    ended_ago: float = 0.0


_AT_ONCE: Final = Span()


def columns(settled: Iterable[tuple[Claim, Outcome]], spans: Mapping[int, Span]) -> list[str]:
    """The arguments of `runs_settle`, as PostgreSQL writes arrays: one entry for each attempt.

    `spans` is by run id. Whoever locks several rows locks them in the order of their ids.
    """
    entries = sorted(
        [
            (claim.id, claim.token, *spans.get(claim.id, _AT_ONCE), _told(claim, outcome))
            for claim, outcome in settled
        ],
        key=itemgetter(0),
    )
    *numbers, told = zip(*entries, strict=True) if entries else [()] * 5
    return [*map(_numbers, numbers), _documents(told) if any(told) else "{}"]


def _numbers(values: Iterable[float | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _documents(values: Iterable[Mapping[str, Any] | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(value: Mapping[str, Any]) -> str:
    text = json.dumps({name: item for name, item in value.items() if item is not None})
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _told(claim: Claim, outcome: Outcome) -> Mapping[str, Any] | None:
    """What there is to tell; of a success without a result, as most of a chunk are, nothing."""
    match outcome:
        case Succeeded(result=None):
            return None
        case Succeeded():
            return {"outcome": "succeeded", "result": plain(outcome.result)}
        case Cancelled():
            return {"status": "cancelled", "outcome": "cancelled"}
        case Waiting():
            return {
                "status": "waiting",
                "outcome": "waiting",
                "due_at": outcome.resume_at.isoformat(),
                "next_step": plain(outcome.next_step),
                "state": plain(outcome.state),
            }
        case Submitted():
            raise TypeError(f"Run {claim.id}: executor {claim.executor!r} submitted to no known engine.")
        case Failed():
            return _failed(claim, outcome)


def _failed(claim: Claim, outcome: Failed) -> Mapping[str, Any]:
    decision = retry.decide(
        claim.retry_policy, attempt=claim.failed_attempts + 1, failed=outcome, random=random.random
    )
    again = isinstance(decision, retry.RetryIn)
    error = {"type": outcome.type, "message": outcome.message, "traceback": outcome.traceback}
    return {
        "status": "scheduled" if again else "failed",
        "outcome": outcome.reason,
        "failure_reason": outcome.reason,
        "result": plain(outcome.result),
        "error": plain(error),
        "delay_seconds": decision.seconds if isinstance(decision, retry.RetryIn) else None,
    }

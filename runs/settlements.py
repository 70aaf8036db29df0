"""What an attempt's outcome means for its run, in the words of `runs_settle`, which writes it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs import retry
from jobs.executors import Cancelled, Failed, Outcome, Submitted, Succeeded, Waiting
from runs.claims import Claim
from runs.plain import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When an attempt began and ended, in seconds before its settlement; None: it began when claimed."""

    started_ago: float | None = None
    ended_ago: float = 0.0


def entry(claim: Claim, outcome: Outcome, span: Span) -> dict[str, Any]:
    """The entry of one settled attempt; what it leaves out is NULL."""
    told = {"id": claim.id, "token": claim.token, "ended_ago": span.ended_ago, **_told(claim, outcome)}
    if span.started_ago is not None:
        told["started_ago"] = span.started_ago
    return told


def _told(claim: Claim, outcome: Outcome) -> Mapping[str, Any]:
    match outcome:
        case Succeeded():
            return {"status": "succeeded", "outcome": "succeeded", "result": plain(outcome.result)}
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

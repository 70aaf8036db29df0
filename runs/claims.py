"""A claim: the right to carry one run out, and all that is needed to do so."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from jobs.retry import RetryPolicy

# A chunk's runs are mostly of one job: what is the same for all of them is read once.
_shared = lru_cache(maxsize=256)(json.loads)


@lru_cache(maxsize=256)
def _policy(most: int, first: float, longest: float, factor: float, jitter: float) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=most,
        first_delay_seconds=first,
        longest_delay_seconds=longest,
        factor=factor,
        jitter=jitter,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a slot would claim: up to `limit` runs of `lane`, the first `begun` of which begin at once.

    `begun` None: all of them. `process_id` and `worker` say who the slot is.
    """

    lane: str
    limit: int
    process_id: int
    worker: str
    begun: int | None = None


# Nobody changes a claim, but to have Python see to that would double what it takes to make one.
@dataclass(slots=True, kw_only=True)
class Claim:
    """A run that this process may carry out, with all that is needed to do so; `token` proves the claim.

    `configuration` and `schema` are the job's and may be shared with other claims.
    """

    id: int
    token: int
    attempt: int
    max_attempts: int
    failed_attempts: int
    trigger_kind: str
    parameters: Mapping[str, Any]
    context: Mapping[str, Any]
    tags: Sequence[str]
    created_at: datetime
    deadline_at: datetime | None
    job_id: int
    slug: str
    executor: str
    configuration: Mapping[str, Any]
    schema: Mapping[str, Any]
    timeout_seconds: int
    circuit_target: str | None
    retry_policy: RetryPolicy

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """The claim that a row of `runs_claim` is; raises KeyError for another row."""
        policy = _policy(
            row["max_attempts"],
            row.pop("retry_first_delay_seconds"),
            row.pop("retry_longest_delay_seconds"),
            row.pop("retry_factor"),
            row.pop("retry_jitter"),
        )
        for name in ("parameters", "context"):
            row[name] = {} if row[name] == "{}" else json.loads(row[name])
        for name in ("configuration", "schema"):
            row[name] = _shared(row[name])
        return cls(retry_policy=policy, **row)


def claims_of(rows: Iterable[dict[str, Any]]) -> list[Claim]:
    """The claims that rows of `runs_claim` are, in the order in which they are to begin."""
    return sorted(map(Claim.of, rows), key=lambda claim: claim.token)

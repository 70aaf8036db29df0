"""A claim: the right to carry one run out, and all that is needed to do so."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jobs.retry import RetryPolicy


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
    job_id: int
    slug: str
    executor: str
    configuration: Mapping[str, Any]
    schema: Mapping[str, Any]
    timeout_seconds: int
    circuit_target: str | None
    retry_policy: RetryPolicy


# What is the same for all runs of a job, as one value: it is written and read once a chunk.
JOB: Final = """jsonb_build_array(j.slug, j.executor, j.configuration, j.schema, j.timeout_seconds, j.circuit_target,
    j.retry_first_delay_seconds, j.retry_longest_delay_seconds, j.retry_factor, j.retry_jitter)"""


def columns_of(token: str, job: str) -> str:
    """The columns of a claim on the run r, whose token and what its job says (`JOB`) are the given SQL."""
    return f"""r.id, {token}, r.attempt, r.max_attempts, r.failed_attempts, r.trigger_kind, r.parameters, r.context,
        r.job_id, {job}"""


def claims_of(rows: Iterable[tuple[Any, ...]]) -> list[Claim]:
    """The claims that rows of `columns_of` are, in the order in which they are to begin, which is theirs.

    What a job says need stand in its first row only.
    """
    jobs: dict[int, list[Any]] = {}
    claims = []
    for number, token, attempt, most, failed, kind, parameters, context, job_id, told in rows:
        if told is not None:
            jobs[job_id] = json.loads(told)
        slug, executor, configuration, schema, timeout, target, *delays = jobs[job_id]
        claims.append(
            Claim(
                id=number,
                token=token,
                attempt=attempt,
                max_attempts=most,
                failed_attempts=failed,
                trigger_kind=kind,
                parameters={} if parameters == "{}" else json.loads(parameters),
                context={} if context == "{}" else json.loads(context),
                job_id=job_id,
                slug=slug,
                executor=executor,
                configuration=configuration,
                schema=schema,
                timeout_seconds=timeout,
                circuit_target=target,
                retry_policy=_policy(most, *delays),
            )
        )
    return claims

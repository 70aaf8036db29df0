"""The only writer of `Run.status`: every verb of the state machine, each one guarded statement.

A move names the statuses it may leave and, where somebody holds a claim, the claim's token. A row that does
not come back was moved by another first; callers take that quietly. What each statement also does for the runs
that it ends is said in `runs.moves`. Times are the database's.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from jobs import retry
from jobs.executors import Cancelled, Failed, Outcome, Submitted, Succeeded, Waiting
from jobs.retry import RetryPolicy
from runs.models import Run, RunEvent
from runs.moves import FINAL_WORDS, Moved, move
from runs.plain import plain
from runs.statements import prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that this process may carry out, with all that is needed to do so; `token` proves the claim."""

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
    retry_policy: RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When an attempt began and ended, in seconds before its settlement; None: it began when claimed."""

    started_ago: float | None = None
    ended_ago: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settlement:
    """One run's part of `settle`, as the database reads it."""

    id: int
    token: int
    status: str
    outcome: str
    result: Any = None
    failure_reason: str | None = None
    error: dict[str, Any] | None = None
    delay_seconds: float | None = None
    due_at: str | None = None
    next_step: str | None = None
    state: Mapping[str, Any] | None = field(default=None)
    started_ago: float | None = None
    ended_ago: float = 0.0


# The attempt that ends here, as an entry of `Run.attempts`; the names in braces are SQL.
_ATTEMPT = """jsonb_build_array(jsonb_build_object(
    'attempt', {attempt}, 'outcome', {outcome}, 'worker', r.worker, 'queued_at', r.queued_at,
    'started_at', r.started_at, 'finished_at', clock_timestamp(), 'error', {error}))"""
# A run that was claimed in a chunk behind the first slice counts as begun, and as an attempt, only with its
# settlement: until then it has no start, and what its slot announced says whether it had begun.
_SETTLED_ATTEMPT = """jsonb_build_array(jsonb_build_object(
    'attempt', r.attempt + (r.started_at IS NULL)::int, 'outcome', x.outcome, 'worker', r.worker,
    'queued_at', r.queued_at, 'started_at', coalesce(x.started_at, r.started_at), 'finished_at', x.finished_at,
    'error', x.error))"""
# A settled attempt that would be followed by another one ends here if a cancel was asked. Written out where it
# is used, because PostgreSQL evaluates it on the newest version of the row, locked, and not on a snapshot of it.
_BECOMES = """CASE WHEN x.status IN ('scheduled', 'waiting') AND r.cancel_requested_at IS NOT NULL
    THEN 'cancelled' ELSE x.status END"""
_INTERRUPTED = _ATTEMPT.format(attempt="r.attempt", outcome="'interrupted'", error="NULL::jsonb")
_LOST_ERROR = """jsonb_build_object('type', 'WorkerLost', 'traceback', '', 'message',
    'The worker ' || r.worker || ' vanished in the middle of attempt ' || x.attempt || '.')"""
_LOST = _ATTEMPT.format(attempt="x.attempt", outcome="'lost'", error=_LOST_ERROR)


def claim(*, lane: str, limit: int, process_id: int, worker: str, begun: int | None = None) -> list[Claim]:
    """Takes up to `limit` of the lane's best startable runs for a slot: by priority, then age.

    The first `begun` (all, if not given) begin now and count as attempts; the slot announces the others
    before it begins them (`runs.workers.announce`). What may start is decided by the view `runs_gate`,
    which `runs.why` words. Nothing is taken for a process whose worker has lost its lease or is stopping.
    """
    arguments = [lane, limit, limit if begun is None else begun, process_id, worker]
    return _claims("SELECT * FROM runs_claim(%s, %s, %s, %s, %s)", arguments)


def _claims(query: str, arguments: Sequence[Any]) -> list[Claim]:
    with prepared(query, arguments) as cursor:
        columns = [column.name for column in cursor.description or ()]
        claims = [_claim(dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]
    return sorted(claims, key=lambda claim: claim.token)


def _claim(row: dict[str, Any]) -> Claim:
    policy = RetryPolicy(
        max_attempts=row["max_attempts"],
        first_delay_seconds=row.pop("retry_first_delay_seconds"),
        longest_delay_seconds=row.pop("retry_longest_delay_seconds"),
        factor=row.pop("retry_factor"),
        jitter=row.pop("retry_jitter"),
    )
    for name in ("parameters", "context", "configuration", "schema"):
        row[name] = json.loads(row[name])
    return Claim(retry_policy=policy, **row)


_HELD = """
    SELECT r.id, r.claim_token AS token, r.attempt, r.max_attempts, r.failed_attempts, r.trigger_kind,
        r.parameters, r.context, r.tags, r.created_at, r.deadline_at, j.id AS job_id, j.slug, j.executor,
        j.configuration, j.schema, j.timeout_seconds, j.retry_first_delay_seconds,
        j.retry_longest_delay_seconds, j.retry_factor, j.retry_jitter
    FROM runs_run r JOIN jobs_job j ON j.id = r.job_id
    WHERE r.id = %s AND r.claim_token = %s AND r.status = 'running'"""


def held(run_id: int, *, token: int) -> Claim | None:
    """The claim on a running run, for whoever must settle it in its slot's place; None if it is over."""
    claims = _claims(_HELD, [run_id, token])
    return claims[0] if claims else None


def held_by(worker_id: int) -> list[tuple[int, int]]:
    """The claims (id, token) that slots of the worker hold."""
    held = Run.objects.filter(status=Run.Status.RUNNING, process__worker_id=worker_id)
    return [(run_id, token) for run_id, token in held.values_list("pk", "claim_token") if token is not None]


_SETTLE = f"""
    UPDATE runs_run r SET
        status = {_BECOMES},
        attempt = r.attempt + (r.started_at IS NULL)::int,
        started_at = coalesce(x.started_at, r.started_at),
        result = CASE WHEN x.status IN ('succeeded', 'failed') THEN x.result ELSE r.result END,
        failure_reason = CASE WHEN {_BECOMES} = 'failed' THEN x.failure_reason END,
        error = x.error,
        failed_attempts = r.failed_attempts + (x.failure_reason IS NOT NULL)::int,
        attempts = CASE WHEN {_BECOMES} IN ('scheduled', 'waiting')
            THEN r.attempts || {_SETTLED_ATTEMPT} ELSE r.attempts END,
        cancelled_by = CASE WHEN {_BECOMES} = 'cancelled' AND r.cancelled_by = ''
            THEN 'the job itself' ELSE r.cancelled_by END,
        due_at = CASE WHEN {_BECOMES} IN ('scheduled', 'waiting')
            THEN coalesce(x.due_at, clock_timestamp() + x.delay_seconds * interval '1 second') END,
        next_step = x.next_step,
        state = x.state,
        finished_at = CASE WHEN {_BECOMES} IN ({FINAL_WORDS}) THEN x.finished_at END
    FROM (
        SELECT i.*, clock_timestamp() - i.ended_ago * interval '1 second' AS finished_at,
               clock_timestamp() - i.started_ago * interval '1 second' AS started_at
        FROM jsonb_to_recordset(%s::jsonb) AS i(
            id bigint, token bigint, status text, outcome text, result jsonb, failure_reason text,
            error jsonb, delay_seconds float8, due_at timestamptz, next_step text, state jsonb,
            started_ago float8, ended_ago float8)
    ) x
    WHERE r.id = x.id AND r.claim_token = x.token AND r.status = 'running'"""


def settle(
    settled: Iterable[tuple[Claim, Outcome]], *, spans: Mapping[int, Span] | None = None
) -> list[Moved]:
    """Ends or continues claimed runs by the outcome of their attempt; who lost the claim changes nothing.

    A failed attempt goes on as `scheduled` while the job's retry policy allows one more, unless a cancel
    was asked meanwhile. `spans` says, by run id, when each began and ended, for runs that were settled
    together; without it they began when claimed and end now. Returns what was really moved.
    """
    spans = spans or {}
    entries = sorted(
        (_settlement(claim, outcome, spans.get(claim.id, Span())) for claim, outcome in settled),
        key=lambda entry: entry.id,
    )
    return move(_SETTLE, [json.dumps([plain(asdict(entry)) for entry in entries])])


def _settlement(claim: Claim, outcome: Outcome, span: Span) -> _Settlement:
    entry = partial(_Settlement, id=claim.id, token=claim.token, **asdict(span))
    match outcome:
        case Succeeded():
            return entry(status="succeeded", outcome="succeeded", result=outcome.result)
        case Cancelled():
            return entry(status="cancelled", outcome="cancelled")
        case Waiting():
            return entry(
                status="waiting",
                outcome="waiting",
                due_at=outcome.resume_at.isoformat(),
                next_step=outcome.next_step,
                state=outcome.state,
            )
        case Submitted():
            raise TypeError(f"Run {claim.id}: executor {claim.executor!r} submitted to no known engine.")
        case Failed():
            decision = retry.decide(
                claim.retry_policy, attempt=claim.failed_attempts + 1, failed=outcome, random=random.random
            )
            return entry(
                status="scheduled" if isinstance(decision, retry.RetryIn) else "failed",
                outcome=outcome.reason,
                failure_reason=outcome.reason,
                result=outcome.result,
                error={"type": outcome.type, "message": outcome.message, "traceback": outcome.traceback},
                delay_seconds=decision.seconds if isinstance(decision, retry.RetryIn) else None,
            )


def give_back(held: Iterable[tuple[int, int]]) -> list[Moved]:
    """Puts claimed runs (id, token) back in the queue without counting the attempt: a worker that stops."""
    update = f"""
        UPDATE runs_run r SET
            status = CASE WHEN r.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
            attempts = CASE WHEN r.started_at IS NULL THEN r.attempts
                ELSE r.attempts || {_INTERRUPTED} END,
            attempt = r.attempt - (r.started_at IS NOT NULL)::int,
            queued_at = clock_timestamp(), started_at = NULL, deadline_at = NULL, progress = NULL,
            process_id = NULL, worker = '',
            finished_at = CASE WHEN r.cancel_requested_at IS NOT NULL THEN clock_timestamp() END
        FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, token)
        WHERE r.id = x.id AND r.claim_token = x.token AND r.status = 'running'"""
    pairs = list(held)
    return move(update, [[pair[0] for pair in pairs], [pair[1] for pair in pairs]])


_RESCUE = f"""
    UPDATE runs_run r SET
        status = x.becomes,
        lost_attempts = r.lost_attempts + x.begun::int,
        attempt = x.attempt,
        started_at = CASE WHEN x.begun THEN coalesce(r.started_at, r.queued_at) END,
        attempts = CASE WHEN x.becomes = 'queued' AND x.begun
            THEN r.attempts || {_LOST} ELSE r.attempts END,
        failure_reason = CASE WHEN x.becomes = 'failed' THEN x.reason END,
        error = CASE WHEN x.becomes = 'failed' THEN {_LOST_ERROR} END,
        claim_token = nextval('runs_claim_token'),
        queued_at = CASE WHEN x.becomes = 'queued' THEN clock_timestamp() ELSE r.queued_at END,
        finished_at = CASE WHEN x.becomes <> 'queued' THEN clock_timestamp() END
    FROM (
        SELECT held.id, held.claim_token, b.begun,
            held.attempt + (b.begun AND held.started_at IS NULL)::int AS attempt,
            CASE WHEN held.cancel_requested_at IS NOT NULL THEN 'cancelled'
                 WHEN NOT b.begun THEN 'queued'
                 WHEN held.lost_attempts + 1 >= %s OR j.on_lost = 'fail' THEN 'failed'
                 ELSE 'queued' END AS becomes,
            CASE WHEN held.lost_attempts + 1 >= %s THEN 'poisoned' ELSE 'worker_lost' END AS reason
        FROM runs_run held
        JOIN jobs_job j ON j.id = held.job_id
        LEFT JOIN runs_workerprocess p ON p.id = held.process_id
        LEFT JOIN runs_worker w ON w.id = p.worker_id
        CROSS JOIN LATERAL (
            SELECT held.started_at IS NOT NULL OR held.claim_token <= coalesce(p.announced, 0) AS begun) b
        WHERE held.status = 'running' AND held.external_id IS NULL
          AND (w.id IS NULL OR w.lease_until < clock_timestamp() OR p.ended_at IS NOT NULL)
        LIMIT %s FOR UPDATE OF held SKIP LOCKED
    ) x
    WHERE r.id = x.id AND r.claim_token = x.claim_token AND r.status = 'running'"""


def rescue(*, limit: int = 500) -> list[Moved]:
    """Takes runs back whose slot is dead or whose worker's lease has passed: their attempt is lost.

    Back to the queue, unless a cancel was asked (cancelled), the job says `on_lost: fail` (worker_lost), or
    this was the third worker the run has taken with it (poisoned). Lost attempts do not use up the job's,
    and what the slot had claimed but not begun loses none.
    """
    losses = settings.LOST_ATTEMPTS_LIMIT
    with transaction.atomic():
        moved = move(_RESCUE, [losses, losses, limit])
        _note((run for run in moved if run.attempt), kind="rescued")
    return moved


def enqueue(*, limit: int = 1000) -> list[Moved]:
    """Moves what is due from scheduled and waiting to queued, the longest overdue first."""
    return move(
        """
        UPDATE runs_run r SET status = 'queued', queued_at = clock_timestamp(), due_at = NULL
        FROM (
            SELECT id FROM runs_run
            WHERE status IN ('scheduled', 'waiting') AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
        ) x
        WHERE r.id = x.id AND r.status IN ('scheduled', 'waiting')""",
        [limit],
    )


def skip(*, limit: int = 1000) -> list[Moved]:
    """Skips what waits for a job that was made inactive."""
    return move(
        """
        UPDATE runs_run r SET status = 'skipped', skip_reason = 'The job is inactive.', due_at = NULL,
               finished_at = clock_timestamp()
        FROM (
            SELECT held.id FROM runs_run held JOIN jobs_job j ON j.id = held.job_id
            WHERE held.status IN ('scheduled', 'queued') AND j.status = 'inactive'
            LIMIT %s FOR UPDATE OF held SKIP LOCKED
        ) x
        WHERE r.id = x.id AND r.status IN ('scheduled', 'queued')""",
        [limit],
    )


def cancel(runs: QuerySet[Run], *, by: str) -> list[Moved]:
    """Ends what is open and not running, and asks what is running to stop; final runs are left alone.

    A running one is `cancelled` only when its work has really stopped: its worker learns of the request
    from the row (`runs.heartbeat`). Asking twice changes nothing.
    """
    update = """
        UPDATE runs_run r SET
            cancel_requested_at = coalesce(r.cancel_requested_at, clock_timestamp()),
            cancelled_by = CASE WHEN r.cancelled_by = '' THEN %s ELSE r.cancelled_by END,
            status = CASE WHEN r.status = 'running' THEN 'running' ELSE 'cancelled' END,
            due_at = NULL,
            finished_at = CASE WHEN r.status <> 'running' THEN clock_timestamp() END
        WHERE r.id = ANY(%s) AND (r.status IN ('scheduled', 'queued', 'waiting')
              OR (r.status = 'running' AND r.cancel_requested_at IS NULL))"""
    with transaction.atomic():
        moved = move(update, [by[:200], list(runs.values_list("pk", flat=True))])
        _note(moved, kind="cancel_requested", actor=by[:200])
    return moved


def complete(
    run_id: int, *, status: str, result: Any, error: Mapping[str, Any] | None, by: str
) -> list[Moved]:
    """Ends a run that a program carries out itself, as it reports: `status` is succeeded or failed.

    From running or waiting in one move, from queued in two: it was begun and ended elsewhere. Whoever holds a
    claim on it loses it. Returns nothing if the run is neither queued, running nor waiting.
    """
    begin = """
        UPDATE runs_run r SET status = 'running', claim_token = nextval('runs_claim_token'), worker = %s,
               attempt = r.attempt + 1, started_at = clock_timestamp()
        WHERE r.id = %s AND r.status = 'queued'"""
    end = """
        UPDATE runs_run r SET status = x.status, claim_token = nextval('runs_claim_token'), due_at = NULL,
               result = CASE WHEN x.status = 'succeeded' THEN x.result END,
               error = CASE WHEN x.status = 'failed' THEN x.error END,
               failure_reason = CASE WHEN x.status = 'failed' THEN 'error' END,
               failed_attempts = r.failed_attempts + (x.status = 'failed')::int,
               finished_at = clock_timestamp()
        FROM jsonb_to_record(%s::jsonb) AS x(id bigint, status text, result jsonb, error jsonb)
        WHERE r.id = x.id AND r.status IN ('running', 'waiting')"""
    entry = {"id": run_id, "status": status, "result": result, "error": error}
    with transaction.atomic():
        move(begin, [by[:200], run_id])
        moved = move(end, [json.dumps(plain(entry))])
        _note(moved, kind="completed", actor=by[:200])
    return moved


def _note(moved: Iterable[Moved], *, kind: str, actor: str = "") -> None:
    RunEvent.objects.bulk_create(
        RunEvent(run_id=run.id, kind=kind, actor=actor, detail={"attempt": run.attempt, "status": run.status})
        for run in moved
    )

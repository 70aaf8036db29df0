"""The only writer of `Run.status`: every verb of the state machine, each one guarded statement.

A move names the statuses it may leave and, where somebody holds a claim, the claim's token. A row that does
not come back was moved by another first; callers take that quietly. What each statement also does for the runs
that it ends is said in `runs.moves`. Times are the database's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from jobs.executors import Cancelled, Failed, Outcome, Succeeded
from runs import circuits
from runs.claims import JOB, Claim, Wish, claims_of, columns_of
from runs.models import Run
from runs.moves import Moved, move, moved_of, moving
from runs.plain import plain
from runs.settlements import Span, columns
from runs.statements import Statement, planned, planned_tuples, together_tuples

# What it does to the rows stands in the migration that makes the function.
_SETTLING: Final = moving(
    "SELECT {columns} FROM runs_settle(%s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::jsonb[]) r"
)

# The attempt that ends here, as an entry of `Run.attempts`; the names in braces are SQL.
_ATTEMPT = """jsonb_build_array(jsonb_build_object(
    'attempt', {attempt}, 'outcome', {outcome}, 'worker', r.worker, 'queued_at', r.queued_at,
    'started_at', coalesce(r.started_at, r.queued_at), 'finished_at', clock_timestamp(), 'error', {error}))"""
_INTERRUPTED = _ATTEMPT.format(attempt="x.attempt", outcome="'interrupted'", error="NULL::jsonb")
_LOST_ERROR = """jsonb_build_object('type', 'WorkerLost', 'traceback', '', 'message',
    'The worker ' || r.worker || ' vanished in the middle of attempt ' || x.attempt || '.')"""
_LOST = _ATTEMPT.format(attempt="x.attempt", outcome="'lost'", error=_LOST_ERROR)


# What the job says stands only where another job's run, or none, came before.
_FIRST: Final = "CASE WHEN r.job_id IS DISTINCT FROM lag(r.job_id) OVER (ORDER BY r.token) THEN {} END"
_CLAIMING: Final = f"""SELECT {columns_of("r.token", _FIRST.format(JOB.replace("j.", "r.")))}
    FROM runs_claim(%s, %s, %s, %s, %s, %s, %s) r ORDER BY r.token"""
_TURN: Final = f"""SELECT {columns_of("r.token", JOB.replace("j.", "r."))}
    FROM runs_turn(%s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s) r"""


def claim(wish: Wish) -> list[Claim]:
    """Takes the lane's best startable runs for a slot: by priority, which grows
    with the time they have waited (`runs_urgency`), then by age.

    The first of them, as the wish says, begin now and count as attempts; the slot announces the others before
    it begins them (`runs.workers.announce`). What may start is decided by the view `runs_gate`, which
    `runs.why` words. Nothing is taken for a process whose worker has lost its lease or is stopping.
    """
    (rows,) = together_tuples(_claiming(wish))
    return claims_of(rows)


def _claiming(wish: Wish) -> Statement:
    begun = wish.limit if wish.begun is None else wish.begun
    aging = (settings.AGING_SECONDS, settings.AGING_LIMIT)
    arguments = [wish.lane, wish.limit, begun, wish.process_id, wish.worker, *aging]
    return _CLAIMING, arguments


_HELD: Final = f"""
    SELECT {columns_of("r.claim_token", JOB)}
    FROM runs_run r JOIN jobs_job j ON j.id = r.job_id
    WHERE r.id = %s AND r.claim_token = %s AND r.status = 'running'"""


# When it was claimed, as far as the row still knows.
_BEGIN: Final = """
    UPDATE runs_run r SET attempt = r.attempt + 1,
        started_at = least(r.deadline_at - j.timeout_seconds * interval '1 second', clock_timestamp())
    FROM jobs_job j
    WHERE r.id = %s AND r.claim_token = %s AND r.status = 'running' AND r.started_at IS NULL AND j.id = r.job_id
    RETURNING r.id"""


def held(run_id: int, *, token: int) -> Claim | None:
    """The claim on a running run, for whoever must settle it in its slot's place; None if it is over.

    A run of a chunk has no start before its slot settles it, so it is given one here: its attempt is to be seen.
    """
    planned(_BEGIN, [run_id, token])
    claims = claims_of(planned_tuples(_HELD, [run_id, token]))
    return claims[0] if claims else None


def held_by(worker_id: int) -> list[tuple[int, int]]:
    """The claims (id, token) that slots of the worker hold."""
    held = Run.objects.filter(status=Run.Status.RUNNING, process__worker_id=worker_id)
    return [(run_id, token) for run_id, token in held.values_list("pk", "claim_token") if token is not None]


def settle(
    settled: Iterable[tuple[Claim, Outcome]], *, spans: Mapping[int, Span] | None = None
) -> list[Moved]:
    """Ends or continues claimed runs by the outcome of their attempt; who lost the claim changes nothing.

    A failed attempt goes on as `scheduled` while the job's retry policy allows one more, unless a cancel
    was asked meanwhile. `spans` says, by run id, when each began and ended, for runs that were settled
    together; without it they began when claimed and end now. Returns what was really moved.
    """
    settled = list(settled)
    # A claim that saw a probe ended, and not yet what that means, would let another one through.
    counted = any(claim.circuit_target is not None for claim, _ in settled)
    with transaction.atomic() if counted else nullcontext():
        (rows,) = together_tuples(_settling(settled, spans or {}))
        moved = moved_of(rows)
        _note_calls(settled, moved)
    return moved


def settle_and_claim(
    settled: Iterable[tuple[Claim, Outcome]], *, spans: Mapping[int, Span], wish: Wish
) -> tuple[list[Moved], list[Claim]]:
    """Settles and then claims, as `settle` and `claim` do, in one transaction and one way to the database.

    In two where a circuit breaker counts, because what may be claimed then depends on what was settled.
    """
    settled = list(settled)
    if wish.limit == 1 and len(settled) == 1 and (turn := _turn(*settled[0], spans, wish)) is not None:
        return turn
    if any(claim.circuit_target is not None for claim, _ in settled):
        return settle(settled, spans=spans), claim(wish)
    settlements, claims = together_tuples(_settling(settled, spans), _claiming(wish))
    return moved_of(settlements), claims_of(claims)


def _turn(
    claim: Claim, outcome: Outcome, spans: Mapping[int, Span], wish: Wish
) -> tuple[list[Moved], list[Claim]] | None:
    """The same for one run of which nothing comes but its success, in one small call; None if more may come of it."""
    span = spans.get(claim.id, Span())
    if not isinstance(outcome, Succeeded) or claim.circuit_target is not None or span.started_ago is not None:
        return None
    result = None if outcome.result is None else json.dumps(plain(outcome.result))
    slot = (wish.lane, wish.process_id, wish.worker, settings.AGING_SECONDS, settings.AGING_LIMIT)
    (rows,) = together_tuples((_TURN, [claim.id, claim.token, result, span.ended_ago, *slot]))
    if not rows:
        return None
    moved = Moved(
        id=claim.id,
        job_id=claim.job_id,
        status="succeeded",
        lane=wish.lane,
        attempt=claim.attempt,
        cancel_requested=False,
        followed=False,
        concurrency_key=None,
    )
    return [moved], claims_of(rows[1:])


def _note_calls(settled: Iterable[tuple[Claim, Outcome]], moved: Iterable[Moved]) -> None:
    """Lets circuit breakers count what was really settled; a cancelled or broken attempt says nothing."""
    guarded = [(claim, outcome) for claim, outcome in settled if claim.circuit_target is not None]
    if not guarded:
        return
    accepted = {run.id for run in moved}
    circuits.note(
        circuits.Call(
            target=claim.circuit_target or "",
            run_id=claim.id,
            job_id=claim.job_id,
            failed=isinstance(outcome, Failed),
        )
        for claim, outcome in guarded
        if claim.id in accepted
        and not isinstance(outcome, Cancelled)
        and not (isinstance(outcome, Failed) and outcome.reason == "broken")
    )


def _settling(settled: Iterable[tuple[Claim, Outcome]], spans: Mapping[int, Span]) -> Statement:
    return _SETTLING, columns(settled, spans)


def give_back(held: Iterable[tuple[int, int]], *, is_begun: bool = True) -> list[Moved]:
    """Puts claimed runs (id, token) back in the queue without counting the attempt: a worker that stops.

    What of a chunk was not announced has not begun, and leaves no trace; the others show an interrupted attempt,
    unless their slot itself says that it has not begun them.
    """
    update = f"""
        UPDATE runs_run r SET
            status = CASE WHEN r.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
            attempts = CASE WHEN x.begun THEN r.attempts || {_INTERRUPTED} ELSE r.attempts END,
            attempt = r.attempt - (r.started_at IS NOT NULL)::int,
            queued_at = clock_timestamp(), started_at = NULL, deadline_at = NULL, progress = NULL,
            process_id = NULL, worker = '',
            finished_at = CASE WHEN r.cancel_requested_at IS NOT NULL THEN clock_timestamp() END
        FROM (
            SELECT held.id, given.token, held.attempt + (held.started_at IS NULL)::int AS attempt,
                %s::boolean AND (held.started_at IS NOT NULL OR held.claim_token <= coalesce(p.announced, 0)) AS begun
            FROM unnest(%s::bigint[], %s::bigint[]) AS given(id, token)
            JOIN runs_run held ON held.id = given.id
            LEFT JOIN runs_workerprocess p ON p.id = held.process_id
        ) x
        WHERE r.id = x.id AND r.claim_token = x.token AND r.status = 'running'"""
    pairs = list(held)
    return move(update, [is_begun, [pair[0] for pair in pairs], [pair[1] for pair in pairs]])


# What is to be moved is found once, as a CTE always is. As a part of the UPDATE it was looked for again for each run
# that the planner, who knows little of a queue, began with: beside a campaign that took the 30 seconds that a statement
# may take, and meanwhile nothing that was claimed could be cleared away from the index that claims walk.
_RESCUE = f"""
    WITH x AS MATERIALIZED (
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
        LIMIT %s FOR UPDATE OF held SKIP LOCKED)
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
    FROM x
    WHERE r.id = x.id AND r.claim_token = x.claim_token AND r.status || '' = 'running'"""


def rescue(*, limit: int = 500) -> list[Moved]:
    """Takes runs back whose slot is dead or whose worker's lease has passed: their attempt is lost.

    Back to the queue, unless a cancel was asked (cancelled), the job says `on_lost: fail` (worker_lost), or
    this was the third worker the run has taken with it (poisoned). Lost attempts do not use up the job's,
    and what the slot had claimed but not begun loses none.
    """
    losses = settings.LOST_ATTEMPTS_LIMIT
    with transaction.atomic():
        moved = move(_RESCUE, [losses, losses, limit])
        _note([run for run in moved if run.attempt], kind="rescued")
    return moved


# Of two runs that keep the last of a dedup key, the one that was started; the other waits for its end.
_STARTED_TWIN = """SELECT 1 FROM runs_run twin
    WHERE twin.job_id = due.job_id AND twin.dedup_key = due.dedup_key AND twin.keeps_last
      AND twin.claim_token IS NOT NULL AND twin.status IN ('scheduled', 'queued', 'running', 'waiting')
      AND twin.id <> due.id"""


def enqueue(*, limit: int = 1000, only: int | None = None) -> list[Moved]:
    """Moves what is due from scheduled and waiting to queued, the longest overdue first; or `only` one run.

    One that keeps the last of its dedup key waits until the one before it has ended.
    """
    one, arguments = ("", [limit]) if only is None else ("AND due.id = %s", [only, limit])
    update = f"""
        WITH x AS MATERIALIZED (
            SELECT due.id FROM runs_run due
            WHERE due.status IN ('scheduled', 'waiting') AND due.due_at <= clock_timestamp() {one}
              AND NOT (due.keeps_last AND due.claim_token IS NULL AND EXISTS ({_STARTED_TWIN}))
            ORDER BY due.due_at LIMIT %s FOR UPDATE SKIP LOCKED)
        UPDATE runs_run r SET status = 'queued', queued_at = clock_timestamp(), due_at = NULL
        FROM x
        WHERE r.id = x.id AND r.status || '' IN ('scheduled', 'waiting')"""
    return move(update, arguments)


def replace(run_id: int, *, by: str) -> list[Moved]:
    """Cancels a run that was never claimed, because another takes its place; nothing if it was."""
    update = """
        UPDATE runs_run r SET status = 'cancelled', cancelled_by = %s, due_at = NULL,
               finished_at = clock_timestamp()
        WHERE r.id = %s AND r.status IN ('scheduled', 'queued') AND r.claim_token IS NULL"""
    with transaction.atomic():
        moved = move(update, [by[:200], run_id])
        _note(moved, kind="replaced", actor=by[:200])
    return moved


# Queued runs are found by the levels of the lanes (`runs_levels`): usually none of these is to be skipped, and then
# nobody reads through a queue of a million. Of scheduled ones the next that are due are looked at.
_LEVEL: Final = """runs_lane l CROSS JOIN runs_levels(l.name) level
            JOIN runs_claimgroup g ON g.id = level.group_id"""
_OF_LEVEL: Final = """CROSS JOIN LATERAL (
                SELECT r.id FROM runs_run r
                WHERE r.status = 'queued' AND r.lane = l.name AND r.group_id = level.group_id
                  AND r.priority >= level.priority AND r.priority <= level.priority
                ORDER BY r.priority, r.id LIMIT %s FOR UPDATE SKIP LOCKED) held"""


def skip(*, limit: int = 1000) -> list[Moved]:
    """Skips what waits for a job that was made inactive; what is to be queued much later, when that comes near."""
    return move(
        f"""
        WITH x AS MATERIALIZED (
            SELECT held.id FROM {_LEVEL}
            JOIN jobs_job j ON j.id = g.job_id AND j.status = 'inactive' {_OF_LEVEL}
            WHERE EXISTS (SELECT 1 FROM jobs_job inactive WHERE inactive.status = 'inactive')
            UNION ALL
            SELECT held.id FROM (
                SELECT held.id FROM (
                    SELECT r.id, r.job_id FROM runs_run r WHERE r.status IN ('scheduled', 'waiting')
                    ORDER BY r.due_at LIMIT %s) next
                JOIN jobs_job j ON j.id = next.job_id AND j.status = 'inactive'
                JOIN runs_run held ON held.id = next.id FOR UPDATE OF held SKIP LOCKED) held
            LIMIT %s)
        UPDATE runs_run r SET status = 'skipped', skip_reason = 'The job is inactive.', due_at = NULL,
               finished_at = clock_timestamp()
        FROM x
        WHERE r.id = x.id AND r.status || '' IN ('scheduled', 'queued')""",
        [limit, limit, limit],
    )


def skip_aimed(*, limit: int = 1000) -> list[Moved]:
    """Skips what campaigns have queued for a target that is paused, and that was put aside (`runs.targets`)."""
    return move(
        f"""
        WITH x AS MATERIALIZED (
            SELECT held.id FROM {_LEVEL} AND g.campaign_id IS NOT NULL
            JOIN runs_pausedtarget p ON p.name = g.target {_OF_LEVEL}
            WHERE p.paused_until IS NULL OR p.paused_until > clock_timestamp()
            LIMIT %s)
        UPDATE runs_run r SET status = 'skipped', skip_reason = 'The target is paused.', due_at = NULL,
               finished_at = clock_timestamp()
        FROM x
        WHERE r.id = x.id AND r.status || '' = 'queued'""",
        [limit, limit],
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
               result = x.result,
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


# In the database, and not by the ORM, whose part of cancelling a campaign was nine tenths.
_NOTE: Final = """
    INSERT INTO runs_runevent (run_id, kind, actor, detail)
    SELECT x.id, %s, %s, jsonb_build_object('attempt', x.attempt, 'status', x.status)
    FROM unnest(%s::bigint[], %s::int[], %s::text[]) AS x(id, attempt, status)"""


def _note(moved: Sequence[Moved], *, kind: str, actor: str = "") -> None:
    if moved:
        columns: list[list[Any]] = [
            [run.id for run in moved],
            [run.attempt for run in moved],
            [run.status for run in moved],
        ]
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, [kind, actor, *columns])

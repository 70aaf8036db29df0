"""Carries claimed runs out: from a hint to settled runs, in this slot.

High and default runs are claimed one by one. Bulk runs are claimed in chunks, of about a quarter of a second of
work as far as the job's last runs tell, begun in slices of at most 50 ms, and settled a slice at a time: what
a dead slot had claimed but not begun goes back without an attempt. Whatever a job's code does stays inside the
executor; what the database does is tried again until the lease would be over, and then left to the rescue.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from psycopg.pq import TransactionStatus

from jobs import executors
from jobs.executors import Cancelled, Failed, Launch, Outcome
from runs import dispatch, followers, lifecycle, workers
from runs.attempts import AttemptContext, current
from runs.lifecycle import Claim, Span
from runs.models import run_name
from runs.moves import Moved

log = structlog.get_logger(__name__)

# A slot that finds more and more work gives the loop back to Celery from time to time, which then can stop,
# or replace a process that has grown.
DRAIN_SECONDS = 1.0
CHUNK_SECONDS = 0.25
SLICE_SECONDS = 0.05
CHUNK_LIMIT = 500

Answer = TypeVar("Answer")
Ended = tuple[Claim, Outcome, float, float]  # with when it began and ended, by the monotonic clock


class Pace:
    """How long one run of a job took lately, in seconds; and so how many to claim and to begin at a time."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._job_id = 0

    def note(self, job_id: int, seconds: float) -> None:
        """A run of the job took so long; slower is believed at once, faster by and by."""
        known = self._seconds.get(job_id, seconds)
        self._seconds[job_id] = max(seconds, 0.8 * known + 0.2 * seconds)
        self._job_id = job_id

    def fits(self, seconds: float, *, job_id: int | None = None) -> int:
        """How many runs of the job (by default, of that last seen) fit into `seconds`; at least one."""
        usual = self._seconds.get(job_id or self._job_id)
        return 1 if usual is None else max(1, min(int(seconds / max(usual, 1e-6)), CHUNK_LIMIT))


_pace = Pace()


def drain(lane: str) -> int:
    """Carries out runs of `lane` until none may start or a second has passed; returns how many.

    If there may be more, a new hint goes out first, so that the lane is never left with work and no hint.
    """
    until = time.monotonic() + DRAIN_SECONDS
    done = 0
    while claimed := _claim(lane):
        done += _carry_out(claimed)
        if time.monotonic() > until:
            dispatch.hint(lane)
            break
    if not done:
        with suppress(OperationalError, InterfaceError):
            workers.look_again()
    return done


def _claim(lane: str) -> list[Claim]:
    """What this slot is given; nothing while the database is away.

    If the connection is lost in the middle of a claim, nobody knows whether it held: nothing is carried out, and
    the slot's row is ended, so that what it may hold goes back. This process is another slot from then on.
    """
    limit = _pace.fits(CHUNK_SECONDS) if lane == "bulk" else 1
    try:
        slot = workers.this_slot()
        if slot is None:
            return []
        return lifecycle.claim(
            lane=lane,
            limit=limit,
            begun=_pace.fits(SLICE_SECONDS),
            process_id=slot.process_id,
            worker=slot.name,
        )
    except (OperationalError, InterfaceError) as error:
        connection.close()
        log.warning("claim_unknown", lane=lane, error=str(error).strip())
    with suppress(OperationalError, InterfaceError):
        _insist(workers.end_slot)
    return []


def _carry_out(claims: Sequence[Claim]) -> int:
    """Begins the claims in slices and settles each slice; returns how many were carried out.

    If they take much longer than their kind used to, the rest goes back for other slots to take.
    """
    waiting = iter(claims)
    begun = list(islice(waiting, _pace.fits(SLICE_SECONDS)))
    until = time.monotonic() + 2 * CHUNK_SECONDS
    done = 0
    cancelled: set[int] = set()
    while begun:
        ended = [_attempt(claim, is_cancelled=claim.id in cancelled) for claim in begun]
        _settle(ended, alone=len(claims) == 1)
        done += len(ended)
        if time.monotonic() > until:
            rest = [(claim.id, claim.token) for claim in waiting]
            if rest:
                _insist(lambda rest=rest: lifecycle.give_back(rest))  # type: ignore[misc]
            break
        begun = list(islice(waiting, _pace.fits(SLICE_SECONDS)))
        announced = _announce(begun)
        if announced is None:
            break
        cancelled = announced
    return done


def _announce(begun: Sequence[Claim]) -> set[int] | None:
    """Announces a slice; returns which of it are to be cancelled, or None if it may not begin."""
    slot = workers.this_slot()
    if slot is None or not begun:
        return None
    return workers.announce(slot, token=begun[-1].token, run_ids=[claim.id for claim in begun])


def _attempt(claim: Claim, *, is_cancelled: bool) -> Ended:
    began = time.monotonic()
    if is_cancelled:
        return claim, Cancelled(), began, began
    context = AttemptContext(claim)
    current.begin(context)
    try:
        outcome = _execute(claim, context)
    finally:
        current.end()
    ended = time.monotonic()
    _close_what_was_left_open()
    _pace.note(claim.job_id, ended - began)
    try:
        _insist(context.flush)
    except (OperationalError, InterfaceError) as error:
        log.error("log_not_stored", run_id=claim.id, error=str(error).strip())
    return claim, outcome, began, ended


def _close_what_was_left_open() -> None:
    """Gives up the connection if job code, which shares it, left a transaction open in it."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    raw = wrapper.connection
    if raw is None:
        return
    idle = raw.info.transaction_status == TransactionStatus.IDLE
    if not idle or wrapper.in_atomic_block or not wrapper.autocommit:
        raw.close()
        del connections[DEFAULT_DB_ALIAS]  # with all that Django believes of it


def _settle(ended: Sequence[Ended], *, alone: bool) -> None:
    """Settles a slice; a run that was claimed alone began when it was claimed, by the database's clock."""

    def settle() -> list[Moved]:
        now = time.monotonic()
        spans = {
            claim.id: Span(started_ago=None if alone else now - began, ended_ago=now - end)
            for claim, _, began, end in ended
        }
        moved = lifecycle.settle([(claim, outcome) for claim, outcome, _, _ in ended], spans=spans)
        if len(moved) < len(ended):
            fenced = {claim.id for claim, *_ in ended} - {run.id for run in moved}
            log.warning("fenced", run_ids=sorted(fenced))
        return moved

    try:
        followers.follow_moved(_insist(settle))
    except (OperationalError, InterfaceError) as error:
        # The database stayed away for a whole lease: the runs are rescued, their attempts count as lost.
        log.error("settle_given_up", run_ids=[claim.id for claim, *_ in ended], error=str(error).strip())


def _execute(claim: Claim, context: AttemptContext) -> Outcome:
    try:
        executor = executors.get(claim.executor)
    except KeyError:
        return Failed(
            reason="broken",
            type="UnknownExecutor",
            message=f"{claim.executor!r} is not an executor of this site.",
            retryable=False,
        )
    return executor.execute(_launch(claim), context)


def _launch(claim: Claim) -> Launch:
    return Launch(
        run_id=claim.id,
        run_name=run_name(
            kind=claim.trigger_kind, slug=claim.slug, created_at=claim.created_at, number=claim.id
        ),
        job=claim.slug,
        executor=claim.executor,
        configuration=claim.configuration,
        parameters=claim.parameters,
        attempt=claim.attempt,
        max_attempts=claim.max_attempts,
        timeout_seconds=float(claim.timeout_seconds),
        trigger=claim.trigger_kind,
        context=claim.context,
    )


def _insist(action: Callable[[], Answer]) -> Answer:
    """Does `action`, again and again while the database is away, for as long as the lease may last."""
    until = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.5)

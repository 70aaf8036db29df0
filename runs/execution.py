"""Carries claimed runs out: from a hint to settled runs, in this slot.

High and default runs are claimed one by one. Bulk runs are claimed in chunks, of about a quarter of a second of
work as far as the job's last runs tell, begun in slices of at most 50 ms, and settled a slice at a time: what
a dead slot had claimed but not begun goes back without an attempt, and so does what a slot finds to take
much longer than the jobs that it knew. Whatever a job's code does stays inside the
executor; what the database does is tried again until the lease would be over, and then left to the rescue.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from psycopg.pq import TransactionStatus

from jobs import executors
from jobs.executors import Cancelled, Failed, Launch, Outcome, timer
from runs import dispatch, followers, lifecycle, statements, workers
from runs.attempts import AttemptContext, current
from runs.claims import Claim, Wish
from runs.moves import Moved
from runs.settlements import Span
from runs.share import Share

log = structlog.get_logger(__name__)

# A slot that finds more and more work gives the loop back to Celery from time to time, which then can stop,
# or replace a process that has grown.
DRAIN_SECONDS = 1.0
STAY_SECONDS = 60.0
CHUNK_SECONDS = 0.25
SLICE_SECONDS = 0.05
CHUNK_LIMIT = 500
# A slice that takes so many times as long as it should is of a job that this slot did not know.
LATE = 4

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
        return _number(seconds, self._seconds.get(job_id or self._job_id))

    def fits_any(self, seconds: float) -> int:
        """The same of whatever job this slot has carried out: what it will be given may be of the slowest."""
        return _number(seconds, max(self._seconds.values(), default=None))


def _number(seconds: float, usual: float | None) -> int:
    return 1 if usual is None else max(1, min(int(seconds / max(usual, 1e-6)), CHUNK_LIMIT))


_pace = Pace()
_share = Share()


@dataclass(frozen=True, slots=True)
class Slice:
    """Attempts that ended and are to be settled together; a run that was claimed `alone` began when claimed."""

    ended: Sequence[Ended]
    alone: bool


def serve(lane: str) -> None:
    """Drains `lane`; and then bulk for as long as this slot owes it, if it serves bulk and other lanes."""
    began = time.monotonic()
    drain(lane)
    if "bulk" not in workers.lanes or len(workers.lanes) == 1:
        return
    _share.note(lane, time.monotonic() - began)
    owed = _share.owed()
    if owed < SLICE_SECONDS:
        return
    began = time.monotonic()
    if drain("bulk", seconds=min(owed, DRAIN_SECONDS)):
        _share.note("bulk", time.monotonic() - began)
    else:
        _share.forget()


def drain(lane: str, *, seconds: float = DRAIN_SECONDS) -> int:
    """Carries out runs of `lane` until none may start or `seconds` have passed; returns how many.

    If there may be more, a new hint goes out first, so that the lane is never left with work and no hint. A
    hint that a draining worker was given goes back, if another one can take the lane's work.
    """
    until = time.monotonic() + seconds
    done = 0
    claimed = _claim(lane)
    while claimed:
        count, last = _carry_out(claimed)
        done += count
        if time.monotonic() > until:
            dispatch.hint(lane)
            _settle(last)
            break
        claimed = _settle_and_claim(last, lane)
    if not done:
        with suppress(OperationalError, InterfaceError):
            workers.look_again()
            if workers.gives_way(lane):
                dispatch.hint(lane)
    return done


def stay(lane: str) -> None:
    """Carries out what each hint for `lane` brings, without the way through Celery, which takes milliseconds.

    For some seconds: then Celery may replace this process, and a hint sees to it that a slot stays again.
    """
    for _ in dispatch.hints(lane, seconds=STAY_SECONDS, is_over=workers.is_stopping):
        drain(lane)
    if not workers.is_stopping():
        dispatch.hint(lane)


def _claim(lane: str) -> list[Claim]:
    """What this slot is given; nothing while the database is away.

    If the connection is lost in the middle of a claim, nobody knows whether it held: nothing is carried out, and
    the slot's row is ended, so that what it may hold goes back. This process is another slot from then on, and
    tries once more, because a connection that was lost while nobody used it is found out only now.
    """
    for _ in range(2):
        try:
            wish = _wish(lane)
            return [] if wish is None else _noticed(lifecycle.claim(wish))
        except (OperationalError, InterfaceError) as error:
            connection.close()
            log.warning("claim_unknown", lane=lane, error=str(error).strip())
        _end_slot()
    return []


def _noticed(claims: list[Claim]) -> list[Claim]:
    """The claims, when the connection knows how many runs there are by now. What they need is not in doubt any more."""
    with suppress(OperationalError, InterfaceError):
        statements.grown_to(max((claim.id for claim in claims), default=0))
    return claims


def _wish(lane: str) -> Wish | None:
    """What this slot would claim now; None while its worker has no live lease. Raises the database's errors."""
    slot = workers.this_slot()
    if slot is None:
        return None
    return Wish(
        lane=lane,
        limit=_pace.fits(CHUNK_SECONDS) if lane == "bulk" else 1,
        begun=_pace.fits_any(SLICE_SECONDS),
        process_id=slot.process_id,
        worker=slot.name,
    )


def _end_slot() -> None:
    with suppress(OperationalError, InterfaceError):
        _insist(workers.end_slot)


def _carry_out(claims: Sequence[Claim]) -> tuple[int, Slice]:
    """Begins the claims in slices and settles each but the last; returns how many were carried out, and that one.

    If they take much longer than their kind used to, the rest goes back for other slots to take, and with it what was
    said to begin and has not: which job a slot would be given nobody knew when it said how many it would begin.
    """
    waiting = deque(claims)
    begun = _next(waiting, _pace.fits_any(SLICE_SECONDS))
    until = time.monotonic() + 2 * CHUNK_SECONDS
    done = 0
    cancelled: set[int] = set()
    while True:
        timer.renew()
        ended = _attempts(begun, cancelled)
        last = Slice(ended, alone=len(claims) == 1)
        done += len(ended)
        rest = [*begun[len(ended) :], *waiting]
        if not rest:
            return done, last
        if len(ended) < len(begun) or time.monotonic() > until:
            _hand_back(rest)
            return done, last
        begun = _next(waiting, _pace.fits(SLICE_SECONDS, job_id=waiting[0].job_id))
        _settle(last)
        announced = _announce(begun)
        if announced is None:
            return done, Slice((), alone=False)
        cancelled = announced


def _attempts(begun: Sequence[Claim], cancelled: Collection[int]) -> list[Ended]:
    """Carries a slice out, or what of it fits into `LATE` times as long as a slice should take."""
    until = time.monotonic() + LATE * SLICE_SECONDS
    ended = []
    for claim in begun:
        ended.append(_attempt(claim, is_cancelled=claim.id in cancelled))
        if time.monotonic() > until:
            break
    return ended


def _hand_back(rest: Sequence[Claim]) -> None:
    """Puts back what this slot holds and has not begun, whatever it said."""
    pairs = [(claim.id, claim.token) for claim in rest]
    _insist(lambda: lifecycle.give_back(pairs, is_begun=False))


def _next(waiting: deque[Claim], count: int) -> list[Claim]:
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]


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
    if context.has_words():
        _store_words(context)
    return claim, outcome, began, ended


def _store_words(context: AttemptContext) -> None:
    try:
        _insist(context.flush)
    except (OperationalError, InterfaceError) as error:
        log.error("log_not_stored", run_id=context.run_id, error=str(error).strip())


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


def _settle_and_claim(last: Slice, lane: str) -> list[Claim]:
    """Settles the slice and claims what is next at once, or settles it at least; returns what this slot is given."""
    if not last.ended:
        return _claim(lane)
    try:
        wish = _wish(lane)
        if wish is not None:
            moved, claims = lifecycle.settle_and_claim(_outcomes(last), spans=_spans(last), wish=wish)
            _go_on(last, moved)
            return _noticed(claims)
    except (OperationalError, InterfaceError) as error:
        connection.close()
        log.warning("claim_unknown", lane=lane, error=str(error).strip())
        _settle(last)
        _end_slot()  # only now: what a dead slot holds is taken for lost
        return []
    _settle(last)
    return []


def _settle(last: Slice) -> None:
    """Settles a slice, if it takes as long as a lease."""

    def settle() -> list[Moved]:
        return lifecycle.settle(_outcomes(last), spans=_spans(last))

    try:
        _go_on(last, _insist(settle))
    except (OperationalError, InterfaceError) as error:
        # The database stayed away for a whole lease: the runs are rescued, their attempts count as lost.
        log.error("settle_given_up", run_ids=[claim.id for claim, *_ in last.ended], error=str(error).strip())


def _outcomes(last: Slice) -> list[tuple[Claim, Outcome]]:
    return [(claim, outcome) for claim, outcome, _, _ in last.ended]


def _spans(last: Slice) -> dict[int, Span]:
    """When the attempts began and ended, seen from now, because the clock that counts is the database's."""
    now = time.monotonic()
    return {
        claim.id: Span(None if last.alone else now - began, now - end) for claim, _, began, end in last.ended
    }


def _go_on(last: Slice, moved: Sequence[Moved]) -> None:
    """What comes after a settlement: those who follow, and a word on who had lost his claim."""
    if len(moved) < len(last.ended):
        fenced = {claim.id for claim, *_ in last.ended} - {run.id for run in moved}
        log.warning("fenced", run_ids=sorted(fenced))
    followers.follow_moved(moved)


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

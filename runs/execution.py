"""Carries claimed runs out: from a hint to settled runs, one after the other, in this slot.

The way of one attempt: claim, build a plain `Launch`, let the executor work, store the rest of the log, settle.
Whatever the job's code does stays inside the executor; what the database does is tried again until the lease
would be over, and then left to the rescue.
"""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db.models import JSONField, Value

from jobs import executors, parameters
from jobs.executors import Failed, Interrupted, Launch, Outcome, interruption
from runs import dispatch, lifecycle, workers
from runs.lifecycle import Claim
from runs.logs import LogWriter, masker
from runs.models import Run, run_name
from runs.plain import plain

log = structlog.get_logger(__name__)

# A slot that finds more and more work gives the loop back to Celery from time to time, which then can stop,
# or replace a process that has grown.
DRAIN_SECONDS = 1.0
FLUSH_SECONDS = 0.5

Answer = TypeVar("Answer")


def drain(lane: str) -> int:
    """Carries out runs of `lane` until none may start or a second has passed; returns how many.

    If there may be more, a new hint goes out first, so that the lane is never left with work and no hint.
    """
    until = time.monotonic() + DRAIN_SECONDS
    done = 0
    while (claimed := _claim(lane)) is not None:
        _carry_out(claimed)
        done += 1
        if time.monotonic() > until:
            dispatch.hint(lane)
            break
    if not done:
        workers.look_again()
    return done


def _claim(lane: str) -> Claim | None:
    slot = workers.this_slot()
    if slot is None:
        return None
    claims = lifecycle.claim(lane=lane, limit=1, process_id=slot.process_id, worker=slot.name)
    return claims[0] if claims else None


def _carry_out(claim: Claim) -> None:
    context = AttemptContext(claim)
    _current.begin(context)
    try:
        outcome = _execute(claim, context)
    finally:
        _current.end()
    try:
        _insist(lambda: _finish(claim, context, outcome))
    except (OperationalError, InterfaceError) as error:
        # The database stayed away for a whole lease: the run is rescued, and its attempt counts as lost.
        log.error("settle_given_up", run_id=claim.id, error=str(error))


def _finish(claim: Claim, context: "AttemptContext", outcome: Outcome) -> None:
    context.flush()
    if not lifecycle.settle([(claim, outcome)]):
        log.warning("fenced", run_id=claim.id, token=claim.token)


def _execute(claim: Claim, context: "AttemptContext") -> Outcome:
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


class AttemptContext:
    """What the code of one attempt may say and ask (jobs.executors.JobContext), over the run's row.

    Lines and progress are stored every half second by the reporter thread and once more at the end; an
    attempt that says nothing costs no write.
    """

    def __init__(self, claim: Claim) -> None:
        self.run_id = claim.id
        self.attempt = claim.attempt
        self._token = claim.token
        self._cancelled = False
        self._progress: dict[str, object] | None = None
        secrets = parameters.secrets(claim.schema, claim.parameters)
        self._log = LogWriter(run_id=claim.id, attempt=claim.attempt, token=claim.token, mask=masker(secrets))

    def log(self, *message: object, level: str = "info") -> None:
        """Adds a line to the run's log; the parts are joined by blanks, as `print` does."""
        with interruption.shielded():
            self._log.write(" ".join(map(str, message)), level=level)
            _current.wake()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Says how far the run is; only the latest is kept."""
        with interruption.shielded():
            self._progress = {"done": done, "total": total, "message": str(message)[:500]}
            _current.wake()

    def is_cancelled(self) -> bool:
        """True once a cancel was asked; job code that asks may tidy up and return."""
        return self._cancelled

    def extend(self, seconds: float) -> None:
        """Moves the attempt's deadline `seconds` later, for the worker's watch as well."""
        with interruption.shielded():
            _insist(lambda: self._move_deadline(seconds))

    def _move_deadline(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE runs_run SET deadline_at = deadline_at + %s * interval '1 second'
                   WHERE id = %s AND claim_token = %s AND status = 'running'""",
                [seconds, self.run_id, self._token],
            )

    def cancel(self) -> None:
        """A cancel was asked: called by this slot's signal handler."""
        self._cancelled = True

    def flush(self) -> None:
        """Stores what was said since the last time."""
        self._log.flush()
        progress, self._progress = self._progress, None
        if progress is None:
            return
        try:
            self._store_progress(progress)
        except BaseException:
            self._progress = self._progress or progress
            raise

    def _store_progress(self, progress: dict[str, object]) -> None:
        held = Run.objects.filter(pk=self.run_id, claim_token=self._token, status=Run.Status.RUNNING)
        held.update(progress=Value(plain(progress), JSONField()))


class _Current:
    """The attempt that goes on in this slot, if any, and the thread that reports on it."""

    def __init__(self) -> None:
        self.context: AttemptContext | None = None
        self._something = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, context: AttemptContext) -> None:
        interruption.forget()
        self.context = context

    def end(self) -> None:
        self.context = None
        interruption.forget()

    def wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._report, name="reporter", daemon=True)
            self._thread.start()
        self._something.set()

    def _report(self) -> None:
        while True:
            self._something.wait()
            time.sleep(FLUSH_SECONDS)
            self._something.clear()
            context = self.context
            if context is None:
                continue
            try:
                context.flush()
            except (OperationalError, InterfaceError) as error:
                log.warning("report_not_stored", run_id=context.run_id, error=str(error))
                connection.close()
                self._something.set()
            finally:
                close_old_connections()


_current = _Current()


def listen() -> None:
    """Makes this process a slot that hears its worker's heartbeat process: see `on_cancel`."""
    signal.signal(signal.SIGUSR2, on_cancel)


def on_cancel(signum: int, frame: FrameType | None) -> None:
    """The first signal says that a cancel was asked; the second, after the grace, stops the job's code."""
    context = _current.context
    if context is None:
        return
    if context.is_cancelled():
        interruption.deliver(Interrupted())
    context.cancel()

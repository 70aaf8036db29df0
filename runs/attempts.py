"""The attempt that goes on in this slot: what its code may say and ask, and the thread that reports on it.

Signals of the worker's heartbeat process say only "look": which run a cancel is meant for stands in its row,
because between the request and the signal this slot may have gone on to another run.
"""

import contextlib
import gc
import json
import os
import signal
import threading
import time
from types import FrameType

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db.models import QuerySet

from jobs import parameters
from jobs.executors import Interrupted, interruption, timer
from runs.claims import Claim
from runs.logs import LogWriter, masker
from runs.models import Run
from runs.plain import plain
from runs.statements import together

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.5
# Nobody reads a first word sooner, and most short attempts have ended by then and store what they said themselves.
FIRST_SECONDS = 0.05


_PROGRESS = """
    UPDATE runs_run SET progress = %s::text::jsonb
    WHERE id = %s::bigint AND claim_token = %s::bigint AND status || '' = 'running' RETURNING 1 AS stored"""


class AttemptContext:
    """What the code of one attempt may say and ask (jobs.executors.JobContext), over the run's row.

    Lines and progress are stored every half second by the reporter thread and once more at the end; an
    attempt that says nothing costs no write.
    """

    def __init__(self, claim: Claim) -> None:
        self.run_id = claim.id
        self.attempt = claim.attempt
        self._claim = claim
        self._cancelled = False
        self._progress: dict[str, object] | None = None
        self._log: LogWriter | None = None

    def log(self, *message: object, level: str = "info") -> None:
        """Adds a line to the run's log; the parts are joined by blanks, as `print` does."""
        with interruption.shielded():
            if self._log is None:
                self._log = self._writer()
            self._log.write(" ".join(map(str, message)), level=level)
            current.wake()

    def _writer(self) -> LogWriter:
        claim = self._claim
        secrets = parameters.secrets(claim.schema, claim.parameters)
        return LogWriter(run_id=claim.id, attempt=claim.attempt, token=claim.token, mask=masker(secrets))

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Says how far the run is; only the latest is kept."""
        with interruption.shielded():
            self._progress = {"done": done, "total": total, "message": str(message)[:500]}
            current.wake()

    def is_cancelled(self) -> bool:
        """True once a cancel was asked; job code that asks may tidy up and return."""
        return self._cancelled

    def extend(self, seconds: float) -> None:
        """Moves the attempt's deadline `seconds` later, for the worker's watch as well."""
        with interruption.shielded(), connection.cursor() as cursor:
            cursor.execute(
                """UPDATE runs_run SET deadline_at = deadline_at + %s * interval '1 second'
                   WHERE id = %s AND claim_token = %s AND status = 'running'""",
                [seconds, self.run_id, self._claim.token],
            )

    def look(self) -> None:
        """Looks whether a cancel was asked of this very attempt."""
        if self._held().filter(cancel_requested_at__isnull=False).exists():
            self._cancelled = True

    def has_words(self) -> bool:
        """Whether there is, or was, something to be stored."""
        return self._log is not None or self._progress is not None

    def flush(self) -> None:
        """Stores what was said since the last time; raises the database's error and keeps it if it cannot."""
        progress, self._progress = self._progress, None
        words = [] if progress is None else [json.dumps(plain(progress))]
        also = [(_PROGRESS, [text, self.run_id, self._claim.token]) for text in words]
        try:
            if self._log is not None:
                self._log.flush(*also)
            elif also:
                together(*also)
        except BaseException:
            if self._progress is None:  # job code may have said more meanwhile
                self._progress = progress
            raise

    def _held(self) -> QuerySet[Run]:
        return Run.objects.filter(pk=self.run_id, claim_token=self._claim.token, status=Run.Status.RUNNING)


class Current:
    """The attempt under way in this process, if any, and the reporter thread.

    The thread is woken through a pipe, because a signal handler may take no lock that the code it
    interrupted could hold.
    """

    def __init__(self) -> None:
        self.context: AttemptContext | None = None
        self._thread: threading.Thread | None = None
        self._reading, self._writing = -1, -1
        self._woken = False
        self._asked = False

    def begin(self, context: AttemptContext) -> None:
        """From now on this attempt is reported on, and meant by signals."""
        self.context = context

    def end(self) -> None:
        """No attempt is under way."""
        self.context = None

    def wake(self) -> None:
        """There is something to report."""
        if self._thread is None:
            self.listen()
        if not self._woken:
            self._woken = True
            os.write(self._writing, b"x")

    def listen(self) -> None:
        """Starts the reporter thread of this process."""
        if self._thread is None:
            self._reading, self._writing = os.pipe()
            self._thread = threading.Thread(target=self._report_for_ever, name="reporter", daemon=True)
            self._thread.start()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal lets the attempt look whether it is to be cancelled; the next one stops its code."""
        context = self.context
        if context is None:
            return
        if context.is_cancelled():
            interruption.deliver(Interrupted())
            return
        self._asked = True
        with contextlib.suppress(OSError):
            os.write(self._writing, b"!")

    def _report_for_ever(self) -> None:
        reported_at = 0.0
        while True:
            os.read(self._reading, 4096)
            # The first words go out soon, in case they are the last; more of them every half second.
            since = time.monotonic() - reported_at
            if not self._asked:
                time.sleep(max(FLUSH_SECONDS - since, FIRST_SECONDS))
            reported_at = time.monotonic()
            self._woken = False
            context = self.context
            if context is not None:
                self._report(context)

    def _report(self, context: AttemptContext) -> None:
        try:
            if self._asked:
                self._asked = False
                context.look()
            context.flush()
        except (OperationalError, InterfaceError) as error:
            log.warning("report_not_stored", run_id=context.run_id, error=str(error).strip())
            connection.close()
            self.wake()
        finally:
            close_old_connections()


current = Current()


def become_slot() -> None:
    """Makes this process a slot: it hears its worker's heartbeat process, and reports on what it carries."""
    current.listen()
    timer.stay()
    # What was loaded so far stays: to look through it again and again took a tenth of the time of a small run.
    gc.freeze()
    signal.signal(signal.SIGUSR2, current.on_signal)

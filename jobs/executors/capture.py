"""Sends what job code prints and logs in this process to the run's log, line by line."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import IO, Any, Final, cast

from django.conf import settings

from jobs.executors.base import JobContext
from jobs.executors.interruption import is_shielded
from jobs.executors.lines import Lines

STDOUT_LEVEL: Final = "info"
# Many programs report progress there, so it is not an error by itself.
STDERR_LEVEL: Final = "warning"
_LEVELS: Final = (
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
    (0, "debug"),
)


@contextmanager
def captured(context: JobContext) -> Iterator[None]:
    """While it lasts, stdout, stderr and logging go to `context.log`; afterwards all is as it was."""
    streams = sys.stdout, sys.stderr
    root = logging.getLogger()
    level = root.level
    outputs = [_Output(context, STDOUT_LEVEL), _Output(context, STDERR_LEVEL)]
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(cast(IO[bytes], output), "utf-8", "backslashreplace", write_through=True)
        for output in outputs
    )
    _handler.context = context
    root.addHandler(_handler)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        root.removeHandler(_handler)
        _handler.context = None
        if root.level != level:  # it makes logging forget what it knows of every logger
            root.setLevel(level)
        for output in outputs:
            output.finish()


class _Output(io.RawIOBase):
    def __init__(self, context: JobContext, level: str) -> None:
        self._context, self._level = context, level
        self._lines: Lines | None = (
            None  # most jobs print nothing, and making it takes longer than many a job
        )
        self._lock = RLock()  # threads of the job may print at once
        self._finished = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        # A thread that outlives its job may still hold this stream; its words belong to no run.
        with self._lock:
            if not self._finished:
                if self._lines is None:
                    self._lines = Lines(self._emit, limit=settings.LOG_LINE_LIMIT)
                self._lines.feed(bytes(data))
        return memoryview(data).nbytes

    def flush(self) -> None:
        with self._lock:
            if not self._finished and self._lines is not None:
                self._lines.pause()

    def finish(self) -> None:
        with self._lock:
            if self._lines is not None:
                self._lines.close()
            self._finished = True

    def _emit(self, line: str) -> None:
        self._context.log(line, level=self._level)


class _Handler(logging.Handler):
    context: JobContext | None = None

    def emit(self, record: logging.LogRecord) -> None:
        context = self.context
        if context is None or is_shielded():
            return  # nobody's words, or the site's own while it handles a call of the job
        level = next(name for number, name in _LEVELS if record.levelno >= number)
        for line in self.format(record).splitlines() or [""]:
            context.log(line[: settings.LOG_LINE_LIMIT], level=level)


# One for all attempts of this process: each would be noted by the logging module.
_handler: Final = _Handler()

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
    root, handler = logging.getLogger(), _Handler(context)
    level = root.level
    outputs = [_Output(context, STDOUT_LEVEL), _Output(context, STDERR_LEVEL)]
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(cast(IO[bytes], output), "utf-8", "backslashreplace", write_through=True)
        for output in outputs
    )
    root.addHandler(handler)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        root.removeHandler(handler)
        if root.level != level:  # it makes logging forget what it knows of every logger
            root.setLevel(level)
        for output in outputs:
            output.finish()


class _Output(io.RawIOBase):
    def __init__(self, context: JobContext, level: str) -> None:
        self._lines = Lines(lambda line: context.log(line, level=level), limit=settings.LOG_LINE_LIMIT)
        self._lock = RLock()  # threads of the job may print at once
        self._finished = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        # A thread that outlives its job may still hold this stream; its words belong to no run.
        with self._lock:
            if not self._finished:
                self._lines.feed(bytes(data))
        return memoryview(data).nbytes

    def flush(self) -> None:
        with self._lock:
            if not self._finished:
                self._lines.pause()

    def finish(self) -> None:
        with self._lock:
            self._lines.close()
            self._finished = True


class _Handler(logging.Handler):
    def __init__(self, context: JobContext) -> None:
        super().__init__()
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        if is_shielded():
            return  # the site's own words while it handles a call of the job
        level = next(name for number, name in _LEVELS if record.levelno >= number)
        for line in self.format(record).splitlines() or [""]:
            self._context.log(line[: settings.LOG_LINE_LIMIT], level=level)

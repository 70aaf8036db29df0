"""Sends what job code prints and logs in this process to the run's log, line by line."""

import io
import logging
import sys
from threading import RLock
from types import TracebackType
from typing import IO, Any, Final, Self, cast

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
# Threads of a job may print at once, the first word too.
_making: Final = RLock()


class captured:  # noqa: N801 - used as `with captured(context):`; a generator costs as much as many a job
    """While it lasts, stdout, stderr and logging go to `context.log`; afterwards all is as it was."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def __enter__(self) -> Self:
        self._before = sys.stdout, sys.stderr
        root = logging.root
        self._level = root.level
        self._streams = _Stream(self._context, STDOUT_LEVEL), _Stream(self._context, STDERR_LEVEL)
        sys.stdout, sys.stderr = cast(tuple[io.TextIOBase, io.TextIOBase], self._streams)
        _handler.context = self._context
        # As `addHandler` does, without its lock: who logs takes none to look through the list either.
        root.handlers.append(_handler)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stdout, sys.stderr = self._before
        root = logging.root
        if _handler in root.handlers:  # job code may have set logging up anew
            root.handlers.remove(_handler)
        _handler.context = None
        if root.level != self._level:  # it makes logging forget what it knows of every logger
            root.setLevel(self._level)
        for stream in self._streams:
            stream.finish()


class _Stream:
    """A text stream like stdout that is made when it is first used: most jobs print nothing, and making it takes
    longer than many a job."""

    def __init__(self, context: JobContext, level: str) -> None:
        self._context, self._level = context, level
        self._output: _Output | None = None
        self._text: io.TextIOWrapper | None = None
        self._is_finished = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    def __enter__(self) -> io.TextIOWrapper:
        return self._made().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._made().__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._made())

    def _made(self) -> io.TextIOWrapper:
        with _making:
            if self._text is None:
                self._output = _Output(self._context, self._level)
                if self._is_finished:
                    self._output.finish()
                raw = cast(IO[bytes], self._output)
                self._text = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
            return self._text

    def finish(self) -> None:
        """Its attempt is over. A thread that outlives its job may still hold it; its words belong to no run."""
        self._is_finished = True
        with _making:
            if self._output is not None:
                self._output.finish()


io.TextIOBase.register(_Stream)


class _Output(io.RawIOBase):
    def __init__(self, context: JobContext, level: str) -> None:
        self._context, self._level = context, level
        self._lines = Lines(self._emit, limit=settings.LOG_LINE_LIMIT)
        self._lock = RLock()  # threads of the job may print at once
        self._finished = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
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
            if not self._finished:
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

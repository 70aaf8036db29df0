"""Ends job code in this process when its time is over: SIGALRM at the deadline, and again after it."""

import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

from jobs.executors.attempt import Attempt
from jobs.executors.interruption import deliver

# Job code that swallows the exception gets it again after this many seconds.
AGAIN_SECONDS: Final = 1.0


class TimedOut(KeyboardInterrupt):
    """Raised inside job code when its time is over; a KeyboardInterrupt for the reasons of Interrupted."""


class Timer:
    """A context manager around job code, in the main thread; `rang` says whether the time was over."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._before: Any = None
        self.rang = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._ring)
        self._attempt.on_extend = self._set
        self._set()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before if self._before is not None else signal.SIG_DFL)

    def _set(self) -> None:
        remaining = self._attempt.remaining_seconds()
        if remaining is not None and not self.rang:
            # 0 would switch the timer off.
            signal.setitimer(signal.ITIMER_REAL, max(remaining, 0.001), AGAIN_SECONDS)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self.rang = True
        deliver(TimedOut(f"The attempt took longer than its {self._attempt.timeout_seconds:g} s."))

"""Ends job code in this process when its time is over: SIGALRM at the deadline, and again after it.

In a slot the clock stays set from one attempt to the next, for whichever deadline comes first: an attempt that is
over in microseconds would spend most of them on setting it and taking it back. Rung too early, it is set anew.
"""

import os
import signal
from _signal import getsignal  # type: ignore[import-not-found]  # that of `signal` makes an Enum of what it finds
from math import inf
from time import monotonic
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
        self.rang = False

    def __enter__(self) -> Self:
        self._attempt.on_extend = _clock.look
        _clock.watch(self)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _clock.let_go(self)

    def remaining_seconds(self) -> float:
        """Until it is to ring; infinite without a deadline."""
        remaining = self._attempt.remaining_seconds()
        return inf if remaining is None else remaining

    def ring(self) -> None:
        """The time is over."""
        self.rang = True
        deliver(TimedOut(f"The attempt took longer than its {self._attempt.timeout_seconds:g} s."))


class _Clock:
    """SIGALRM of this process and the timer that it is meant for."""

    def __init__(self) -> None:
        self._handler = self._ring  # the same object each time, to be known again
        self.stays = False
        self._timer: Timer | None = None
        self._rings_at = inf
        self._before: Any = None

    def watch(self, timer: Timer) -> None:
        self._timer = timer
        if getsignal(signal.SIGALRM) is not self._handler:
            # Not ours yet, or job code took it, and then perhaps the clock as well.
            self._before = signal.signal(signal.SIGALRM, self._handler)
            self._rings_at = inf
        self.look()

    def look(self) -> None:
        """Sets the clock if it would ring too late."""
        timer = self._timer
        if timer is None or timer.rang:
            return
        remaining = timer.remaining_seconds()
        if remaining == inf:
            return
        at = monotonic() + remaining
        if at < self._rings_at:
            self._rings_at = at
            signal.setitimer(signal.ITIMER_REAL, max(remaining, 0.001))  # 0 would switch it off

    def let_go(self, timer: Timer) -> None:
        self._timer = None
        if timer.rang or not self.stays:
            self._rings_at = inf
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not self.stays:
            signal.signal(signal.SIGALRM, self._before if self._before is not None else signal.SIG_DFL)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self._rings_at = inf
        timer = self._timer
        if timer is None:
            return
        if not timer.rang and timer.remaining_seconds() > 0:
            self.look()
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        timer.ring()

    def forget(self) -> None:
        """Takes it for not set."""
        self._rings_at = inf

    def forked(self) -> None:
        """A child inherits the handler, but no clock."""
        self.forget()
        self.stays = False


_clock: Final = _Clock()
os.register_at_fork(after_in_child=_clock.forked)


def stay() -> None:
    """From now on SIGALRM of this process is for job code only, as in a slot."""
    _clock.stays = True


def renew() -> None:
    """Has the next attempt set the clock, whatever was set: job code may have used it for itself."""
    _clock.forget()

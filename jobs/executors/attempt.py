"""One attempt under way: the context that job code gets, and whether the attempt may still go on."""

from collections.abc import Callable
from math import isfinite
from time import monotonic
from typing import Literal

from jobs.executors.base import Interrupted, JobContext, Launch
from jobs.executors.interruption import kept, shielded

Stop = Literal["timeout", "cancelled"]
# How long an executor may wait before it asks again whether to stop, and how often it needs to ask.
POLL_SECONDS = 0.25
ASK_SECONDS = 0.1


class Attempt:
    """A JobContext around the slot's: calls are shielded from interruption, and it keeps the deadline.

    `timeout_seconds` counts from the making of this object; `extend` moves it.
    """

    def __init__(self, launch: Launch, context: JobContext) -> None:
        self._context = context
        self.timeout_seconds = launch.timeout_seconds
        self._deadline = None if launch.timeout_seconds is None else monotonic() + launch.timeout_seconds
        self._asked_at = float("-inf")
        self.on_extend: Callable[[], None] = lambda: None
        # Job code has heard of the cancel: when it returns now, it returns because of that.
        self.told_cancelled = False

    @property
    def run_id(self) -> int:
        return self._context.run_id

    @property
    def attempt(self) -> int:
        return self._context.attempt

    def log(self, *message: object, level: str = "info") -> None:
        with shielded():
            self._context.log(*message, level=level)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        with shielded():
            self._context.progress(done, total, message)

    def is_cancelled(self) -> bool:
        with shielded():
            cancelled = self._context.is_cancelled()
        self.told_cancelled = self.told_cancelled or cancelled
        return cancelled

    def extend(self, seconds: float) -> None:
        if not isfinite(seconds) or seconds < 0:
            raise ValueError(f"extend() was called with {seconds!r}; expected 0 or more seconds.")
        with shielded():
            if self._deadline is not None and self.timeout_seconds is not None:
                self._deadline += seconds
                self.timeout_seconds += seconds
            self.on_extend()
            self._context.extend(seconds)

    def remaining_seconds(self) -> float | None:
        """Until the deadline, 0 when it has passed; None: there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def stop(self, *, slack_seconds: float = 0.0) -> Stop | None:
        """Why the work must stop now, asked by executors that wait for something outside.

        `slack_seconds` are granted after the deadline. Whether a cancel was asked is looked up at most
        every ASK_SECONDS.
        """
        if isinstance(kept(), Interrupted):
            return "cancelled"
        now = monotonic()
        if self._deadline is not None and now >= self._deadline + slack_seconds:
            return "timeout"
        if now - self._asked_at < ASK_SECONDS:
            return None
        self._asked_at = now
        return "cancelled" if self._context.is_cancelled() else None

"""The slot's side of an attempt, for tests of executors: remembers what job code says."""

from collections.abc import Callable, Mapping
from threading import Event
from time import monotonic, sleep
from typing import Any

from jobs.executors import Launch


class RecordingContext:
    """A JobContext that keeps everything. `cancel_when` is asked, with each line, whether to cancel now."""

    def __init__(self, *, run_id: int = 7, attempt: int = 2) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.lines: list[tuple[str, str]] = []
        self.progressed: list[tuple[float, float | None, str]] = []
        self.extended: list[float] = []
        self.cancelled = Event()
        self.cancelled_at: float | None = None
        self.cancel_when: Callable[[str], bool] = lambda line: False

    def log(self, *message: object, level: str = "info") -> None:
        line = " ".join(map(str, message))
        self.lines.append((level, line))
        if self.cancel_when(line):
            self.cancel()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.progressed.append((done, total, message))

    def is_cancelled(self) -> bool:
        return self.cancelled.is_set()

    def extend(self, seconds: float) -> None:
        self.extended.append(seconds)

    def cancel(self) -> None:
        if self.cancelled_at is None:
            self.cancelled_at = monotonic()
        self.cancelled.set()

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)


def a_launch(
    executor: str,
    configuration: Mapping[str, Any] | None = None,
    *,
    job: str = "sample",
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = 20,
) -> Launch:
    """The launch of attempt 2 of run 7."""
    return Launch(
        run_id=7,
        job=job,
        executor=executor,
        configuration=configuration or {},
        parameters=parameters or {},
        attempt=2,
        max_attempts=3,
        timeout_seconds=timeout_seconds,
        trigger="manual",
    )


def wait_until(holds: Callable[[], bool], *, seconds: float = 90) -> bool:
    """Polls until `holds()`, at most so long; says whether it came true."""
    deadline = monotonic() + seconds
    while not holds():
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True

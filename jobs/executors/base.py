"""What an executor is given, may say while it works, and may answer. Nothing here knows a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from jobs.faults import Faulty

FailureReason = Literal["error", "timeout", "broken"]
LogLevel = Literal["debug", "info", "warning", "error"]


# Nobody changes a launch, but to have Python see to that would double what it takes to make one.
@dataclass(slots=True, kw_only=True)
class Launch:
    """One attempt to carry out, as plain data: an executor never sees a row.

    `parameters` are merged and validated; `timeout_seconds` None means no limit; `trigger` is the
    trigger kind of the run, `context` what its cause knew.
    """

    run_id: int
    job: str
    executor: str
    configuration: Mapping[str, Any]
    parameters: Mapping[str, Any]
    attempt: int
    max_attempts: int
    timeout_seconds: float | None
    trigger: str
    context: Mapping[str, Any] = field(default_factory=dict)


class JobContext(Protocol):
    """What job code may say and ask while it runs. Every call is cheap; none raises for a lost connection."""

    @property
    def run_id(self) -> int: ...

    @property
    def attempt(self) -> int: ...

    def log(self, *message: object, level: str = "info") -> None:
        """Adds a line to the run's log; the parts are joined by blanks, as `print` does."""

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Says how far the run is; only the latest is kept."""

    def is_cancelled(self) -> bool:
        """True once a cancel was asked; job code that asks may tidy up and return."""

    def extend(self, seconds: float) -> None:
        """Moves the attempt's deadline `seconds` later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The work is done; `result` is JSON."""

    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt came to nothing. `broken` means that no try can succeed until someone mends the job.

    `result` is what it left all the same, such as the counts of a test suite that failed.
    `retry_after_seconds` is what the other side asked for (HTTP's Retry-After); None: it said nothing.
    """

    reason: FailureReason
    type: str
    message: str
    traceback: str = ""
    retryable: bool = True
    retry_after_seconds: float | None = None
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The work was stopped because a cancel was asked, and nothing of it runs any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The work goes on at `resume_at` with `next_step`, given `state` again; no slot is held meanwhile."""

    resume_at: datetime
    next_step: str
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An engine has taken the work over; its callbacks or a poll bring the end."""

    external_id: str
    external_status: str


Outcome = Succeeded | Failed | Cancelled | Waiting | Submitted


class Interrupted(KeyboardInterrupt):
    """A cancel was asked and the grace is over: raised inside job code by the slot (see interruption).

    A KeyboardInterrupt, because libraries that clean up know that one (psycopg cancels the query,
    subprocess ends its child), and because `except Exception` in job code does not swallow it.
    """


class InvalidConfiguration(Faulty):
    """A job's configuration is not one its executor can carry out; pointers point into the configuration."""


class Executor(Protocol):
    """How a job is carried out. One instance serves all runs and keeps nothing between them."""

    @property
    def slug(self) -> str: ...

    def check(self, configuration: Mapping[str, Any]) -> None:
        """Raises InvalidConfiguration; looks at nothing outside this process."""

    def execute(self, launch: Launch, context: JobContext) -> Outcome:
        """Carries out one attempt, in the main thread of a slot. Raises nothing, whatever the work does.

        Enforces `launch.timeout_seconds`, notices `context.is_cancelled()` within half a second where the
        work is outside this process, and leaves no process, file or thread of the work behind.
        """

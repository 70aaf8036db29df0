"""Decides whether and when a failed attempt is tried again. A pure policy: others carry the decision out."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from jobs.executors.base import Failed
from jobs.faults import Fault, Faulty, pointer

# The longest wait that another party may ask for by Retry-After, whatever the policy's longest delay.
LONGEST_ASKED_SECONDS = 3600.0


class InvalidRetryPolicy(Faulty):
    """A retry policy out of range; pointers name its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how late a job is tried again.

    The wait after attempt n is `first_delay_seconds` x `factor`^(n-1), at most `longest_delay_seconds`,
    then spread by `jitter` (0.2: up to 20 % shorter or longer). `max_attempts` counts attempts that
    ended in an error or a time-out; 1 means no retry. Raises InvalidRetryPolicy.
    """

    max_attempts: int = 1
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 60.0
    factor: float = 2.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        errors = [
            Fault(pointer=pointer(name), code="range", detail=f"{name} is {value!r}; expected {expected}.")
            for name, value, holds, expected in self._rules()
            if not holds
        ]
        if errors:
            raise InvalidRetryPolicy(errors)

    def _rules(self) -> list[tuple[str, object, bool, str]]:
        attempts, first, longest = self.max_attempts, self.first_delay_seconds, self.longest_delay_seconds
        whole = _number(attempts) and attempts == int(attempts)
        return [
            ("max_attempts", attempts, whole and attempts >= 1, "a whole number from 1"),
            ("first_delay_seconds", first, _number(first) and first >= 0, "0 or more seconds"),
            (
                "longest_delay_seconds",
                longest,
                _number(longest) and (not _number(first) or longest >= first),
                f"at least the first delay, {first!r} s",
            ),
            ("factor", self.factor, _number(self.factor) and self.factor >= 1, "1 or more"),
            ("jitter", self.jitter, _number(self.jitter) and 0 <= self.jitter <= 1, "a share from 0 to 1"),
        ]

    def delay_seconds(self, *, attempt: int) -> float:
        """The wait after `attempt` (counted from 1), before jitter."""
        try:
            delay = self.first_delay_seconds * float(self.factor) ** (attempt - 1)
        except OverflowError:
            return float(self.longest_delay_seconds)
        return float(min(delay, self.longest_delay_seconds))


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again when this many seconds have passed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The run has failed; `why` is a sentence."""

    why: str


def decide(
    policy: RetryPolicy, *, attempt: int, failed: Failed, random: Callable[[], float]
) -> RetryIn | GiveUp:
    """What follows `failed`, the end of the attempt that was counted as number `attempt` (from 1).

    `random` gives numbers from 0 to 1, evenly; it spreads runs that failed together.
    """
    if failed.reason == "broken":
        return GiveUp("The job is broken, so another try cannot succeed.")
    if not failed.retryable:
        return GiveUp("The error is one that another try does not mend.")
    if attempt >= policy.max_attempts:
        return GiveUp(f"All {policy.max_attempts} tries failed." if attempt > 1 else "The job has one try.")
    spread = 1 + policy.jitter * (2 * random() - 1)
    asked = min(failed.retry_after_seconds or 0.0, LONGEST_ASKED_SECONDS)
    return RetryIn(max(policy.delay_seconds(attempt=attempt) * spread, asked))


def words(policy: RetryPolicy) -> str:
    """The policy for people: "up to 5 tries, 1 s → 60 s, ×2, ±20 %"."""
    if policy.max_attempts == 1:
        return "one try"
    first, longest = policy.first_delay_seconds, policy.longest_delay_seconds
    growing = policy.factor > 1 and longest > first > 0
    parts = [
        f"up to {policy.max_attempts} tries",
        f"{first:g} s → {longest:g} s" if growing else f"{first:g} s",
    ]
    if growing:
        parts.append(f"×{policy.factor:g}")
    if policy.jitter and first:
        parts.append(f"±{policy.jitter * 100:g} %")
    return ", ".join(parts)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

"""Whether and when a failed attempt is tried again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import retry
from jobs.executors import Failed
from jobs.executors.base import FailureReason
from jobs.retry import GiveUp, InvalidRetryPolicy, RetryIn, RetryPolicy


def failure(reason: FailureReason = "error", **more: Any) -> Failed:
    return Failed(reason=reason, type="ValueError", message="no apples", **more)


def middle() -> float:
    return 0.5


def test_without_a_policy_there_is_one_try() -> None:
    decision = retry.decide(RetryPolicy(), attempt=1, failed=failure(), random=middle)
    assert decision == GiveUp("The job has one try.")


def test_delays_grow_up_to_the_longest() -> None:
    policy = RetryPolicy(max_attempts=9, first_delay_seconds=1, longest_delay_seconds=10, factor=3, jitter=0)
    decisions = [retry.decide(policy, attempt=n, failed=failure(), random=middle) for n in range(1, 6)]
    assert decisions == [RetryIn(1), RetryIn(3), RetryIn(9), RetryIn(10), RetryIn(10)]


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 8.0), (0.5, 10.0), (0.75, 11.0)])
def test_jitter_spreads_the_delay_to_both_sides(random: float, seconds: float) -> None:
    policy = RetryPolicy(max_attempts=2, first_delay_seconds=10, jitter=0.2)
    decision = retry.decide(policy, attempt=1, failed=failure(), random=lambda: random)
    assert isinstance(decision, RetryIn)
    assert decision.seconds == pytest.approx(seconds)


def test_the_last_try_ends_it() -> None:
    policy = RetryPolicy(max_attempts=3)
    assert isinstance(retry.decide(policy, attempt=2, failed=failure("timeout"), random=middle), RetryIn)
    last = retry.decide(policy, attempt=3, failed=failure(), random=middle)
    assert last == GiveUp("All 3 tries failed.")


@pytest.mark.parametrize(
    ("failed", "why"),
    [(failure("broken"), "broken"), (failure(retryable=False), "does not mend")],
)
def test_what_another_try_cannot_mend_is_not_tried_again(failed: Failed, why: str) -> None:
    decision = retry.decide(RetryPolicy(max_attempts=9), attempt=1, failed=failed, random=middle)
    assert isinstance(decision, GiveUp)
    assert why in decision.why


@pytest.mark.parametrize(("asked", "seconds"), [(None, 1), (0.5, 1), (30, 30), (1e9, 3600)])
def test_the_other_side_may_ask_for_a_longer_wait_within_reason(asked: float | None, seconds: float) -> None:
    policy = RetryPolicy(max_attempts=2, first_delay_seconds=1, jitter=0)
    failed = failure(retry_after_seconds=asked)
    assert retry.decide(policy, attempt=1, failed=failed, random=middle) == RetryIn(seconds)


@given(
    attempt=st.integers(1, 10_000),
    factor=st.floats(1, 1e6),
    first=st.floats(0, 100),
    jitter=st.floats(0, 1),
    random=st.floats(0, 1, exclude_max=True),
)
def test_no_delay_is_negative_or_beyond_the_longest_and_its_jitter(
    attempt: int, factor: float, first: float, jitter: float, random: float
) -> None:
    policy = RetryPolicy(
        max_attempts=20_000,
        first_delay_seconds=first,
        longest_delay_seconds=100,
        factor=factor,
        jitter=jitter,
    )
    decision = retry.decide(policy, attempt=attempt, failed=failure(), random=lambda: random)
    assert isinstance(decision, RetryIn)
    assert 0 <= decision.seconds <= 200


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"max_attempts": 0}, "/max_attempts", "max_attempts is 0; expected a whole number from 1."),
        ({"max_attempts": 1.5}, "/max_attempts", "1.5; expected a whole number"),
        ({"max_attempts": True}, "/max_attempts", "True; expected a whole number"),
        ({"first_delay_seconds": -1}, "/first_delay_seconds", "expected 0 or more seconds"),
        ({"first_delay_seconds": float("nan")}, "/first_delay_seconds", "nan"),
        ({"first_delay_seconds": "1"}, "/first_delay_seconds", "'1'"),
        ({"longest_delay_seconds": 0.5}, "/longest_delay_seconds", "at least the first delay, 1.0 s"),
        ({"factor": 0.9}, "/factor", "1 or more"),
        ({"jitter": 1.1}, "/jitter", "a share from 0 to 1"),
    ],
)
def test_a_policy_out_of_range_is_refused(fields: dict[str, Any], pointer: str, said: str) -> None:
    with pytest.raises(InvalidRetryPolicy) as refused:
        RetryPolicy(**fields)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert said in refused.value.errors[0].detail


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRetryPolicy) as refused:
        RetryPolicy(max_attempts=0, factor=0, jitter=2)
    assert len(refused.value.errors) == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "one try"),
        ({"max_attempts": 5}, "up to 5 tries, 1 s → 60 s, ×2, ±20 %"),
        ({"max_attempts": 2, "factor": 1, "jitter": 0, "first_delay_seconds": 7.5}, "up to 2 tries, 7.5 s"),
        ({"max_attempts": 2, "first_delay_seconds": 0}, "up to 2 tries, 0 s"),
        ({"max_attempts": 3, "longest_delay_seconds": 86400}, "up to 3 tries, 1 s → 86400 s, ×2, ±20 %"),
    ],
)
def test_a_policy_is_said_in_words(fields: dict[str, Any], said: str) -> None:
    assert retry.words(RetryPolicy(**fields)) == said

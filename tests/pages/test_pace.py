"""runs.views.pace: the more pages of runs are open, the longer each waits before it asks again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.views.pace import CALM, LONGEST, Crowd


def waits(crowd: Crowd, pages: int, *, now: float, seconds: float = 1.0) -> float:
    """What the last of so many pages is told that all ask, the second time with all of them known."""
    told = 0.0
    for moment in (now, now + 1):
        for run in range(pages):
            told = crowd.wait(("session", run), seconds, now=moment)
    return told


@pytest.mark.parametrize(
    ("pages", "expected"), [(1, 1.0), (30, 1.0), (60, 2.0), (240, 8.0), (100_000, LONGEST)]
)
def test_sixty_pages_wait_twice_as_long_as_thirty(pages: int, expected: float) -> None:
    assert waits(Crowd(), pages, now=0) == expected


def test_old_runs_that_ask_seldom_crowd_nobody() -> None:
    assert waits(Crowd(), 600, now=0, seconds=15.0) == 15.0


def test_pages_that_were_closed_count_no_more() -> None:
    crowd = Crowd()
    waits(crowd, 200, now=0)
    assert waits(crowd, 1, now=100) == 1.0


def test_the_same_page_in_two_sessions_counts_twice() -> None:
    crowd = Crowd()
    for moment in (0, 1):
        told = [crowd.wait((f"session {number}", 7), 1.0, now=moment) for number in range(60)]
    assert told[-1] == 2.0


@given(pages=st.integers(1, 400), seconds=st.sampled_from([1.0, 2.0, 5.0, 15.0]))
def test_no_crowd_asks_more_often_than_is_calm_nor_waits_too_long(pages: int, seconds: float) -> None:
    told = waits(Crowd(), pages, now=0, seconds=seconds)
    assert seconds <= told <= LONGEST
    assert told == LONGEST or pages / told <= CALM * 1.05

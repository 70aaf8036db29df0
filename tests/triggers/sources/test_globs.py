"""triggers.sources.globs, held against pathlib where both can."""

import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggers.sources import globs

NAMES = st.sampled_from(["a", "b", "a.csv", "b.csv"])
PARTS = st.sampled_from(["*", "**", "a", "*.csv", "?", "[ab]*"])


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a.csv", "*.csv", True),
        ("in/a.csv", "*.csv", False),
        ("in/a.csv", "in/*.csv", True),
        ("a.csv", "**/*.csv", True),
        ("x/y/z/a.csv", "**/*.csv", True),
        ("x/y/z/a.csv", "x/**/a.*", True),
        (".a.csv", "*.csv", False),
        (".a.csv", ".*.csv", True),
        ("x/.git/a.csv", "**/*.csv", False),
        ("A.csv", "a.csv", False),
    ],
)
def test_patterns_are_read_as_a_shell_does(path: str, pattern: str, fits: bool) -> None:
    assert globs.matches(path.split("/"), pattern.split("/")) is fits


@given(path=st.lists(NAMES, min_size=1, max_size=4), pattern=st.lists(PARTS, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_may_hold_something_that_fits_is_entered(path: list[str], pattern: list[str]) -> None:
    fits = globs.matches(path, pattern)
    if fits:
        assert all(globs.may_hold(path[:depth], pattern) for depth in range(len(path)))
    if sys.version_info >= (3, 13) and pattern[-1] != "**":
        assert fits == PurePosixPath(*path).full_match("/".join(pattern))

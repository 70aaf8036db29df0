"""triggers.events.filters: which deliveries are wanted, and what is said of the others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st

from triggers.events import filters

DOCUMENT = {
    "ref": "refs/heads/release/2", "n": 3, "ok": True, "who": {"type": "User", "token": "hunter2"},
    "labels": ["bug", "urgent"], "nothing": None, "$": {"event": "push", "paths": ["src/app.py", "docs/a.md"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, True),
        ({"at": "/n", "equals": 3}, True),
        ({"at": "/n", "equals": 3.0}, True),
        ({"at": "/n", "equals": True}, False),
        ({"at": "/ok", "equals": 1}, False),
        ({"at": "/ok", "equals": True}, True),
        ({"at": "/nothing", "equals": None}, True),
        ({"at": "/nowhere", "equals": None}, False),
        ({"at": "/nothing", "exists": True}, True),
        ({"at": "/nowhere", "exists": False}, True),
        ({"at": "/nowhere", "exists": True}, False),
        ({"at": "/n", "exists": False}, False),
        ({"at": "/who/type", "one_of": ["Bot", "User"]}, True),
        ({"at": "/ref", "like": "refs/heads/release/*"}, True),
        ({"at": "/ref", "like": ["x", "*/2"]}, True),
        ({"at": "/$/paths", "like": "src/*"}, True),
        ({"at": "/$/paths", "like": "test/*"}, False),
        ({"at": "/n", "like": "*"}, False),
        ({"at": "/labels", "contains": "bug"}, True),
        ({"at": "/ref", "contains": "heads"}, True),
        ({"at": "/n", "contains": 3}, False),
        ({"at": "/n", "at_least": 3}, True),
        ({"at": "/n", "at_most": 2.5}, False),
        ({"at": "/ok", "at_least": 0}, False),
        ({"all": [{"at": "/n", "equals": 3}, {"not": {"at": "/who/type", "equals": "Bot"}}]}, True),
        ({"any": [{"at": "/n", "equals": 4}, {"at": "/ok", "equals": True}]}, True),
        ({"any": [{"at": "/n", "equals": 4}, {"at": "/ok", "equals": False}]}, False),
        ({"not": {}}, False),
    ],
)
def test_a_filter_wants_what_its_conditions_say(found: dict[str, Any], expected: bool) -> None:
    filters.check(found)
    why = filters.objection(found, DOCUMENT)
    assert (why is None) is expected, why
    assert why is None or why.endswith(".")


def test_the_reason_names_the_value_and_what_was_expected_but_no_secret() -> None:
    assert filters.objection({"at": "/n", "equals": 4}, DOCUMENT) == "'/n' is 3; expected: /n is 4."
    assert "hunter2" not in (filters.objection({"at": "/who/token", "equals": "x"}, DOCUMENT) or "")


@pytest.mark.parametrize(
    ("found", "part"),
    [
        (None, "expected an object"),
        ([], "expected an object"),
        ({"at": "/n"}, "expected 'at' with one of"),
        ({"equals": 3}, "expected 'at' with one of"),
        ({"at": "/n", "equals": 3, "like": "x"}, "expected 'at' with one of"),
        ({"at": "/n", "matches": "x"}, "expected 'at' with one of"),
        ({"at": "n", "equals": 3}, "begin with '/'"),
        ({"at": 5, "equals": 3}, "expected a JSON Pointer"),
        ({"at": "/n", "equals": {}}, "can't be"),
        ({"at": "/n", "equals": "x" * 501}, "can't be"),
        ({"at": "/n", "one_of": []}, "can't be"),
        ({"at": "/n", "one_of": "abc"}, "can't be"),
        ({"at": "/n", "at_least": True}, "can't be"),
        ({"at": "/n", "exists": "yes"}, "can't be"),
        ({"all": []}, "expected a list of filters"),
        ({"all": {}}, "expected a list of filters"),
        ({"all": [{}], "any": [{}]}, "stands alone"),
        ({"all": [{"any": [5]}]}, "/all/0/any/0"),
        ({"any": [{"at": "/n", "equals": 3}] * 101}, "more conditions than 100"),
    ],
)
def test_a_filter_that_can_not_be_read_is_refused_with_its_place(found: Any, part: str) -> None:
    with pytest.raises(filters.InvalidFilter, match=part):
        filters.check(found)


def test_a_filter_is_not_nested_endlessly() -> None:
    found: dict[str, Any] = {}
    for _ in range(9):
        found = {"not": found}
    with pytest.raises(filters.InvalidFilter, match="deeper than 8"):
        filters.check(found)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert filters.objection({"at": "/x", "like": "*a" * 200 + "b"}, {"x": "a" * 5000})


PARTS = st.recursive(
    st.none() | st.integers() | st.text("/ax~", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*filters.TESTS, *filters.GROUPS, "at"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@few(max_examples=150)
@given(PARTS, PARTS)
def test_any_filter_is_refused_or_decides(found: Any, document: Any) -> None:
    try:
        filters.check(found)
    except filters.InvalidFilter:
        return
    why = filters.objection(found, document)
    assert why is None or why

"""triggers.mapping: JSON Pointers as RFC 6901 has them, and clear words where they lead nowhere."""

from typing import Any

import pytest

from triggers import mapping

# RFC 6901, section 5.
RFC: dict[str, Any] = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_the_examples_of_the_standard_hold(pointer: str, value: object) -> None:
    assert mapping.resolve(RFC, pointer) == value


def test_null_is_a_value_like_any_other() -> None:
    assert mapping.apply({"x": "/a"}, {"a": None}) == {"x": None}


@pytest.mark.parametrize(
    "pointer", ["/foo/2", "/foo/01", "/foo/-", "/foo/-1", "/foo/x", "/bar", "/foo/0/deep"]
)
def test_a_pointer_that_leads_nowhere_says_how_far_it_led(pointer: str) -> None:
    with pytest.raises(mapping.NotThere, match=r"Parameter 'x': There is no value at '.*has no '"):
        mapping.apply({"x": pointer}, RFC)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "Expected an object"),
        ({"x": 1}, "'x' is 1; expected a JSON Pointer"),
        ({"x": "result/rows"}, "expected it to begin with '/'"),
        ({"x": "/a~2"}, "expected '~0'"),
        ({"x": "/a~"}, "expected '~0'"),
    ],
)
def test_a_table_that_no_document_can_be_read_by_is_refused(table: object, message: str) -> None:
    with pytest.raises(mapping.InvalidMapping, match=message):
        mapping.check(table)


def test_a_good_table_passes() -> None:
    mapping.check({"rows": "/result/rows", "all": ""})

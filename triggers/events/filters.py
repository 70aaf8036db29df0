"""Decides whether a delivery is one that a trigger wants: conditions on values, each found by a JSON Pointer.

A filter is JSON and no language of its own, so there is nothing to escape from. A condition is an object with `at`
(a JSON Pointer) and one test; `all`, `any` and `not` put filters together; `{}` wants everything:

    {"all": [{"at": "/$/branch", "like": "release/*"}, {"not": {"at": "/sender/type", "equals": "Bot"}}]}

A test of a value that is not there fails, but for `exists`.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from jobs.expectations import MASK, shown
from triggers import mapping
from triggers.events import masking

DEPTH_LIMIT: Final = 8
CONDITION_LIMIT: Final = 100
TEXT_LIMIT: Final = 500
GROUPS: Final = ("all", "any", "not")


class InvalidFilter(ValueError):
    """A filter that can't be read; the message names the part and what was expected."""


def check(found: object) -> None:
    """Raises InvalidFilter unless `found` is a filter."""
    if _count(found, "", depth=0) > CONDITION_LIMIT:
        raise InvalidFilter(f"The filter has more conditions than {CONDITION_LIMIT}.")


def objection(found: Mapping[str, Any], document: Any) -> str | None:
    """Why `document` is not wanted, in a sentence; None if it is. `found` is a filter that was checked."""
    if not found:
        return None
    if "all" in found:
        return next((why for part in found["all"] if (why := objection(part, document))), None)
    if "any" in found:
        reasons = [objection(part, document) for part in found["any"]]
        return None if None in reasons else " And: ".join(filter(None, reasons))
    if "not" in found:
        return (
            f"Not wanted is: {_words(found['not'])}." if objection(found["not"], document) is None else None
        )
    return _condition(found, document)


def _condition(found: Mapping[str, Any], document: Any) -> str | None:
    pointer, (name, expected) = found["at"], _test(found)
    try:
        value = mapping.resolve(document, pointer)
    except mapping.NotThere:
        if name == "exists":
            return None if expected is False else f"There is no value at {pointer!r}."
        return f"There is no value at {pointer!r}; expected: {_words(found)}."
    holds, _, _ = TESTS[name]
    seen = MASK if masking.is_secret(pointer) else shown(value)
    return None if holds(value, expected) else f"{pointer!r} is {seen}; expected: {_words(found)}."


def _test(found: Mapping[str, Any]) -> tuple[str, Any]:
    return next((name, expected) for name, expected in found.items() if name != "at")


def _words(found: Mapping[str, Any]) -> str:
    for group in ("all", "any"):
        if group in found:
            return f"{group} of ({'; '.join(_words(part) for part in found[group])})"
    if "not" in found:
        return f"not ({_words(found['not'])})"
    if not found:
        return "everything"
    name, expected = _test(found)
    return f"{found['at']} {TESTS[name][2]} {shown(expected)}"


def _count(found: object, place: str, *, depth: int) -> int:
    """How many conditions the filter has; raises InvalidFilter."""
    where = f"At {place or 'the top'} of the filter"
    if not isinstance(found, Mapping):
        raise InvalidFilter(f"{where}: {shown(found)}; expected an object.")
    if depth > DEPTH_LIMIT:
        raise InvalidFilter(f"{where}: it is nested deeper than {DEPTH_LIMIT} levels.")
    if not found:
        return 0
    groups = [name for name in GROUPS if name in found]
    if not groups:
        _check_condition(found, where)
        return 1
    if len(found) > 1:
        raise InvalidFilter(
            f"{where}: {groups[0]!r} stands alone in its object, but {shown(found)} was given."
        )
    inner = found[groups[0]]
    if groups[0] == "not":
        return _count(inner, f"{place}/not", depth=depth + 1)
    if not isinstance(inner, list) or not inner:
        raise InvalidFilter(f"{where}: {groups[0]!r} is {shown(inner)}; expected a list of filters.")
    return sum(_count(part, f"{place}/{groups[0]}/{n}", depth=depth + 1) for n, part in enumerate(inner))


def _check_condition(found: Mapping[Any, Any], where: str) -> None:
    names = [name for name in found if name != "at"]
    if "at" not in found or len(names) != 1 or names[0] not in TESTS:
        raise InvalidFilter(
            f"{where}: {shown(found)}; expected 'at' with one of {', '.join(TESTS)}, or one of {', '.join(GROUPS)}."
        )
    try:
        mapping.check({"at": found["at"]})
    except mapping.InvalidMapping as error:
        raise InvalidFilter(f"{where}: {error}") from None
    _, allowed, _ = TESTS[names[0]]
    if not allowed(found[names[0]]):
        raise InvalidFilter(f"{where}: {names[0]!r} can't be {shown(found[names[0]])}.")


def _equal(value: Any, expected: Any) -> bool:
    """JSON's equality: true is not 1."""
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    return bool(value == expected)


def _texts(value: Any) -> list[str]:
    """The texts that a pattern is tried on: the value, or the items of a list."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _like(value: Any, patterns: str | list[str]) -> bool:
    wanted = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(text, pattern) for text in _texts(value) for pattern in wanted)


def _contains(value: Any, expected: Any) -> bool:
    if isinstance(value, list):
        return any(_equal(item, expected) for item in value)
    return isinstance(value, str) and isinstance(expected, str) and expected in value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or _is_text(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_LIMIT


def _is_list_of(allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(allowed, value))


# Each test: whether it holds, what it may compare with, and its words.
TESTS: Final[Mapping[str, tuple[Callable[[Any, Any], bool], Callable[[Any], bool], str]]] = {
    "exists": (lambda value, expected: expected, lambda value: isinstance(value, bool), "exists:"),
    "equals": (_equal, _is_plain, "is"),
    "one_of": (
        lambda value, expected: any(_equal(value, one) for one in expected),
        _is_list_of(_is_plain),
        "is one of",
    ),
    "like": (_like, lambda value: _is_text(value) or _is_list_of(_is_text)(value), "is like"),
    "contains": (_contains, _is_plain, "contains"),
    "at_least": (lambda value, expected: _is_number(value) and value >= expected, _is_number, "is at least"),
    "at_most": (lambda value, expected: _is_number(value) and value <= expected, _is_number, "is at most"),
}

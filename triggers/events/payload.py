"""Reads the body of a delivery: JSON, a form (with JSON in its field `payload`, or of texts), or plain text."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final
from urllib.parse import parse_qsl

from triggers.events.base import Received, Unreadable

DEPTH_LIMIT: Final = 64
FIELD_LIMIT: Final = 1000
FORM: Final = "application/x-www-form-urlencoded"
DOLLAR: Final = "$"


def read(received: Received) -> Any:
    """The payload; raises Unreadable."""
    kind = received.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = received.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8: byte {error.start} can't be read.") from None
    if kind == FORM:
        return _form(text)
    return text if kind == "text/plain" else _json(text)


def document(payload: Any, details: Mapping[str, Any]) -> dict[str, Any]:
    """What filters and mappings point into: the payload's members, and under `$` what is known beside them."""
    members = payload if isinstance(payload, dict) else {}
    return {**members, DOLLAR: {**details, "payload": payload}}


def _form(text: str) -> Any:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELD_LIMIT)
    except ValueError as error:
        raise Unreadable(f"The body is not a form: {error}.") from None
    fields = dict(pairs)
    return _json(fields["payload"]) if fields.keys() == {"payload"} else fields


def _json(text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unreadable(f"The body is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise Unreadable(f"The body is nested deeper than {DEPTH_LIMIT} levels.") from None
    except ValueError as error:  # a number that no program should have to read
        raise Unreadable(f"The body is not JSON that can be read: {error}.") from None
    if _is_deep(found):
        raise Unreadable(f"The body is nested deeper than {DEPTH_LIMIT} levels.")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _is_deep(found: Any) -> bool:
    """Whether it is nested too deeply; level by level, for it may be very deep."""
    level = [found]
    for _ in range(DEPTH_LIMIT):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)

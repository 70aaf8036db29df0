"""Reads JSON bodies strictly: what one program would read so and another otherwise is refused."""

import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import IO, Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from jobs.expectations import shown, unreadable
from jobs.faults import pointer

DEPTH_LIMIT: Final = 64
UTF8: Final = frozenset({"utf-8", "utf8"})
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Accepts one JSON object in UTF-8, without repeated keys, NaN or text that PostgreSQL can't store."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The object; raises ParseError, UnsupportedMediaType or RequestDataTooBig."""
        charset = _CHARSET.search(media_type or "")
        if charset and charset[1].lower() not in UTF8:
            raise UnsupportedMediaType(
                media_type or "", detail=f"The charset is {shown(charset[1])}; expected utf-8."
            )
        request: Request | None = (parser_context or {}).get("request")
        return read(_bytes(stream, request))


def _bytes(stream: IO[Any], request: Request | None) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    announced = (request.META.get("CONTENT_LENGTH") or "0") if request is not None else "0"
    if announced.isdigit() and int(announced) > limit:
        raise RequestDataTooBig(announced)
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise RequestDataTooBig(str(len(body)))
    return body


def read(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; raises ParseError with a sentence that names the place and the fault."""
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} can't be read.") from None
    except json.JSONDecodeError as error:
        raise ParseError(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise ParseError(f"The body is nested deeper than {DEPTH_LIMIT} levels.") from None
    except ValueError as error:
        raise ParseError(f"The body is not readable JSON: {unreadable(error)}") from None
    if not isinstance(document, dict):
        raise ParseError(f"The body is {shown(document)}; expected an object, such as {{}}.")
    for problem in _problems(document):
        raise ParseError(problem)
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ParseError(f"The key {shown(repeated)} is given more than once in one object.")
    return found


def _no_constant(name: str) -> None:
    raise ParseError(f"{name} is not a JSON number; expected a finite number or null.")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ParseError(f"The number {text[:40]} is too large; expected one up to 1.7e308.")
    return number


def _problems(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a document that could be read; without recursion, for it may be deep."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and _unstorable(value):
            yield f"The text at {_place(path)} has U+0000 or half a surrogate pair, which can't be stored."
        elif isinstance(value, dict | list) and len(path) >= DEPTH_LIMIT:
            yield f"The body is nested deeper than {DEPTH_LIMIT} levels."
        elif isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
            if any(map(_unstorable, value)):
                yield f"A key at {_place(path)} has U+0000 or half a surrogate pair, which can't be stored."
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]


def _place(path: tuple[str | int, ...]) -> str:
    return shown(pointer(*path)) if path else "the top"


def _unstorable(text: str) -> bool:
    return (not text.isascii() and _SURROGATE.search(text) is not None) or "\0" in text

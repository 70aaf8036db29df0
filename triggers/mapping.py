"""Decides parameters from a JSON document: a table of parameter names and JSON Pointers (RFC 6901) to values."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jobs.expectations import shown

_ESCAPE: Final = re.compile(r"~(?![01])")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")


class InvalidMapping(ValueError):
    """A table that no document could be read by; the message names the entry and what was expected."""


class NotThere(LookupError):
    """The document has no value at a pointer; the message says how far the pointer led."""


def check(mapping: object) -> None:
    """Raises InvalidMapping unless `mapping` is an object of parameter names and JSON Pointers."""
    if not isinstance(mapping, Mapping):
        raise InvalidMapping(
            f"Expected an object of parameter names and JSON Pointers, not {shown(mapping)}."
        )
    for name, pointer in mapping.items():
        if not isinstance(pointer, str):
            raise InvalidMapping(
                f"{name!r} is {shown(pointer)}; expected a JSON Pointer such as '/result/rows'."
            )
        try:
            parts(pointer)
        except InvalidMapping as error:
            raise InvalidMapping(f"{name!r}: {error}") from None


def parts(pointer: str) -> list[str]:
    """The steps of a JSON Pointer, unescaped; the empty pointer, which means the whole document, has none."""
    if pointer and not pointer.startswith("/"):
        raise InvalidMapping(
            f"{pointer!r} is not a JSON Pointer: expected it to begin with '/', as '/result/rows'."
        )
    if _ESCAPE.search(pointer):
        raise InvalidMapping(
            f"{pointer!r} is not a JSON Pointer: expected '~0' (for ~) or '~1' (for /) after '~'."
        )
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def resolve(document: Any, pointer: str) -> Any:
    """The value at `pointer` in `document`; raises NotThere."""
    value, led = document, ""
    for part in parts(pointer):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise NotThere(f"There is no value at {pointer!r}: {led or 'the document'} has no {part!r}.")
        led += f"/{part}"
    return value


def apply(mapping: Mapping[str, str], document: Any) -> dict[str, Any]:
    """The parameters that `document` gives; raises NotThere for the first one it does not give."""
    found = {}
    for name, pointer in mapping.items():
        try:
            found[name] = resolve(document, pointer)
        except NotThere as error:
            raise NotThere(f"Parameter {name!r}: {error}") from None
    return found

"""Reads what a browser sent for one form field, which is always text, as the JSON its schema wants."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

Kind = Literal[
    "text", "textarea", "password", "email", "url", "date", "integer", "number", "checkbox",
    "select", "multiselect", "lines", "json",
]  # fmt: skip
# The field says nothing of its parameter.
ABSENT: Final = object()
TYPE_KINDS: Final[Mapping[str, Kind]] = {"string": "text", "integer": "integer", "number": "number"}


class FormData(Protocol):
    """What a browser sent: Django's QueryDict, for one."""

    def get(self, key: str, default: str, /) -> Any: ...

    def getlist(self, key: str, /) -> list[Any]: ...


def as_text(value: Any) -> str:
    """A JSON value as the text a field shows and sends."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read(place: Mapping[str, Any], kind: Kind, data: FormData, name: str, *, required: bool) -> Any:
    """What the field `name` says, as JSON, or ABSENT; `place` is the parameter's schema.

    What is no JSON of the right kind raises ValueError (RecursionError when nested too deep).
    """
    if kind == "checkbox":
        return data.get(name, "") not in {"", "false", "off"}
    if kind == "multiselect":
        chosen = data.getlist(name)
        return _chosen(place["items"]["enum"], chosen) if chosen or "default" in place or required else ABSENT
    text = str(data.get(name, "") or "")
    if kind not in {"text", "textarea", "password"}:
        text = text.strip()
    if not text:
        return _empty(place, kind)
    return _READERS.get(kind, _as_text)(text.replace("\r\n", "\n"), place)


def _empty(place: Mapping[str, Any], kind: Kind) -> Any:
    """What an emptied field says: nothing, unless the default is something and had to be cleared."""
    if place.get("default") in (None, "", []) or kind == "password":
        return ABSENT
    if place.get("nullable"):
        return None
    if kind == "lines":
        return []
    return "" if kind in {"text", "textarea"} else ABSENT


def _as_text(text: str, place: Mapping[str, Any]) -> Any:
    return text


def _as_lines(text: str, place: Mapping[str, Any]) -> list[Any]:
    read = _READERS.get(TYPE_KINDS[place["items"]["type"]], _as_text)
    return [read(line.strip(), place["items"]) for line in text.split("\n") if line.strip()]


def _as_choice(text: str, place: Mapping[str, Any]) -> Any:
    options = place.get("enum", [True, False])
    return _chosen(options, [text])[0]


def _chosen(options: list[Any], texts: list[str]) -> list[Any]:
    """The options of these texts; a text that is none of them stays one, for the schema to refuse."""
    by_text = {as_text(option): option for option in options}
    return [by_text.get(text, text) for text in texts]


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Any]]] = {
    "integer": lambda text, place: _whole(text),
    "number": lambda text, place: float(text) if set(text) & set(".eE") else _whole(text),
    "select": _as_choice,
    "lines": _as_lines,
    "json": lambda text, place: json.loads(text, parse_constant=_no_constant),
}


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):  # int() takes 1_000 and other scripts' digits as well
        raise ValueError(text)
    return int(text)


def _no_constant(name: str) -> Any:
    raise ValueError(name)

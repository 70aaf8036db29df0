"""Turns a parameter schema into the fields of an HTML form, and what the form sends back into parameters."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from jobs.expectations import MASK, describe, shown
from jobs.faults import Fault, pointer
from jobs.parameters import InvalidParameters
from jobs.parameters import faults as faults_of
from jobs.schemas import Schema, expanded

Kind = Literal[
    "text", "textarea", "password", "email", "url", "date", "integer", "number", "checkbox",
    "select", "multiselect", "lines", "json",
]  # fmt: skip
_FORMAT_KINDS: Final[Mapping[str, Kind]] = {
    "password": "password",
    "email": "email",
    "uri": "url",
    "date": "date",
    "textarea": "textarea",
}
_TYPE_KINDS: Final[Mapping[str, Kind]] = {"string": "text", "integer": "integer", "number": "number"}
# Longer than this, a text gets a field of several lines.
LINE_LENGTH: Final = 200
YES_NO: Final = (("true", "Yes"), ("false", "No"))


class FormData(Protocol):
    """What a browser sent: Django's QueryDict, for one."""

    def get(self, key: str, default: str = "", /) -> Any: ...

    def getlist(self, key: str, /) -> list[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One parameter as a form field.

    `name` is the HTML name, `parameter` the schema's. `value` is the text to show ("" for none); a
    checkbox and the choices of a select compare it with their own, a multiselect looks into `values`.
    `choices` are (value, label).
    """

    name: str
    parameter: str
    label: str
    kind: Kind
    required: bool
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    expected: str = ""
    value: str = ""
    values: tuple[str, ...] = ()
    minimum: Any = None
    maximum: Any = None
    step: str = ""
    pattern: str = ""
    min_length: int | None = None
    max_length: int | None = None


def fields(
    schema: Schema, values: Mapping[str, Any], *, prefix: str = "", typed: FormData | None = None
) -> list[FormField]:
    """A field for each property, in the schema's order, filled with `values` or the schema's defaults.

    `typed`, a form that was refused, is shown as it came. Secrets are never filled in. `prefix` is put
    before each HTML name.
    """
    required = schema.get("required", [])
    made = [
        _field(name, _flat(inner, schema), values, required=name in required, prefix=prefix)
        for name, inner in schema.get("properties", {}).items()
    ]
    return made if typed is None else [_retyped(field, typed) for field in made]


def from_form(schema: Schema, data: FormData, *, prefix: str = "") -> dict[str, Any]:
    """The parameters a form says. A field left empty is left out, so that the job's default holds.

    Where the default is not empty, an empty field means null or "", if the schema allows it. Raises
    InvalidParameters with all that is wrong.
    """
    parameters: dict[str, Any] = {}
    errors: list[Fault] = []
    for name, inner in schema.get("properties", {}).items():
        place = _flat(inner, schema)
        try:
            value = _value(place, name in schema.get("required", []), data, prefix + name)
        except (ValueError, RecursionError):
            errors.append(_unreadable(name, place, data.get(prefix + name, "")))
            continue
        if value is not _ABSENT:
            parameters[name] = value
    unread = {error.pointer for error in errors}
    errors += [
        fault for fault in faults_of(schema, _defaults(schema) | parameters) if fault.pointer not in unread
    ]
    if errors:
        raise InvalidParameters(errors)
    return parameters


_ABSENT: Final = object()


def _flat(inner: object, root: Schema) -> dict[str, Any]:
    """A property with what it refers to, and "T or null" as T: what a form field has to know of it."""
    if not isinstance(inner, Mapping):
        return {}
    flat: dict[str, Any] = {}
    if "$ref" in inner or "allOf" in inner:
        for place in reversed(expanded(inner, root)):
            flat.update(place)
    flat.update(inner)
    branches = [branch for branch in flat.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1 and len(flat["anyOf"]) == 2:
        flat = (
            branches[0] | {key: value for key, value in flat.items() if key != "anyOf"} | {"nullable": True}
        )
    types = flat.get("type")
    if isinstance(types, list):
        rest = [kind for kind in types if kind != "null"]
        flat |= {"type": rest[0] if len(rest) == 1 else rest, "nullable": "null" in types}
    return flat


def _kind(place: Mapping[str, Any], *, required: bool) -> Kind:
    kind = place.get("type")
    if "enum" in place:
        return "select"
    if kind == "boolean":
        # A checkbox can't say "not given".
        return "checkbox" if (required or "default" in place) and not place.get("nullable") else "select"
    if kind == "array":
        items = place.get("items", {})
        if "enum" in items:
            return "multiselect"
        return "lines" if items.get("type") in _TYPE_KINDS else "json"
    if kind == "string":
        long = place.get("maxLength", 0) > LINE_LENGTH
        return _FORMAT_KINDS.get(place.get("format", ""), "textarea" if long else "text")
    return _TYPE_KINDS.get(kind, "json") if isinstance(kind, str) else "json"


def _field(
    name: str, place: Mapping[str, Any], values: Mapping[str, Any], *, required: bool, prefix: str
) -> FormField:
    kind = _kind(place, required=required)
    value = None if kind == "password" or place.get("writeOnly") else values.get(name, place.get("default"))
    several = tuple(map(_text, value)) if isinstance(value, list) and kind in {"multiselect", "lines"} else ()
    return FormField(
        name=prefix + name,
        parameter=name,
        label=place.get("title") or name.replace("_", " ").replace("-", " ").strip().capitalize(),
        kind=kind,
        required=required and kind != "checkbox",
        choices=_choices(place, kind, required=required),
        help=place.get("description", ""),
        expected=describe(place),
        value="\n".join(several) if kind == "lines" else _shown(value, kind),
        values=several,
        minimum=place.get("minimum"),
        maximum=place.get("maximum"),
        step={"integer": "1", "number": "any"}.get(kind, ""),
        pattern=place.get("pattern", ""),
        min_length=place.get("minLength"),
        max_length=place.get("maxLength"),
    )


def _retyped(field: FormField, typed: FormData) -> FormField:
    if field.kind == "password":
        return field
    return replace(
        field, value=str(typed.get(field.name, "")), values=tuple(map(str, typed.getlist(field.name)))
    )


def _choices(place: Mapping[str, Any], kind: Kind, *, required: bool) -> tuple[tuple[str, str], ...]:
    if kind == "multiselect":
        return tuple((_text(option), _text(option)) for option in place["items"]["enum"])
    if kind != "select":
        return ()
    options = place.get("enum")
    choices = YES_NO if options is None else tuple((_text(o), _text(o)) for o in options if o is not None)
    return choices if required and not place.get("nullable") else (("", "–"), *choices)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, indent=2) if kind == "json" else _text(value)


def _value(place: Mapping[str, Any], required: bool, data: FormData, name: str) -> Any:
    kind = _kind(place, required=required)
    if kind == "checkbox":
        return data.get(name, "") not in {"", "false", "off"}
    if kind == "multiselect":
        chosen = data.getlist(name)
        return (
            _chosen(place["items"]["enum"], chosen) if chosen or "default" in place or required else _ABSENT
        )
    text = str(data.get(name, "") or "")
    if kind not in {"text", "textarea", "password"}:
        text = text.strip()
    if not text:
        return _empty(place, kind)
    return _READERS.get(kind, _as_text)(text.replace("\r\n", "\n"), place)


def _empty(place: Mapping[str, Any], kind: Kind) -> Any:
    """What an emptied field says: nothing, unless the default is something and had to be cleared."""
    if place.get("default") in (None, "", []) or kind == "password":
        return _ABSENT
    if place.get("nullable"):
        return None
    if kind == "lines":
        return []
    return "" if kind in {"text", "textarea"} else _ABSENT


def _as_text(text: str, place: Mapping[str, Any]) -> Any:
    return text


def _as_lines(text: str, place: Mapping[str, Any]) -> list[Any]:
    read = _READERS.get(_TYPE_KINDS[place["items"]["type"]], _as_text)
    return [read(line.strip(), place["items"]) for line in text.split("\n") if line.strip()]


def _as_choice(text: str, place: Mapping[str, Any]) -> Any:
    options = place.get("enum", [True, False])
    return _chosen(options, [text])[0]


def _chosen(options: list[Any], texts: list[str]) -> list[Any]:
    """The options of these texts; a text that is none of them stays one, for the schema to refuse."""
    by_text = {_text(option): option for option in options}
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


def _unreadable(name: str, place: Mapping[str, Any], text: str) -> Fault:
    expected = "JSON: " + describe(place) if _kind(place, required=False) == "json" else describe(place)
    return Fault(
        pointer=pointer(name), code="type", detail=f"{name!r} is {shown(text)}; expected {expected}."
    )


def _defaults(schema: Schema) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: inner["default"] for name, inner in properties.items() if "default" in inner}

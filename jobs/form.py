"""Turns a parameter schema into the fields of an HTML form, and what the form sends back into parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from jobs.expectations import MASK, describe, shown
from jobs.faults import Fault, pointer
from jobs.parameters import InvalidParameters, merge
from jobs.parameters import faults as faults_of
from jobs.schemas import Schema, expanded
from jobs.typed import ABSENT, TYPE_KINDS, FormData, Kind, as_text, read

_FORMAT_KINDS: Final[Mapping[str, Kind]] = {
    "password": "password",
    "email": "email",
    "uri": "url",
    "date": "date",
    "textarea": "textarea",
}
# Longer than this, a text gets a field of several lines.
LINE_LENGTH: Final = 200
YES_NO: Final = (("true", "Yes"), ("false", "No"))


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


def from_form(
    schema: Schema, data: FormData, *, prefix: str = "", defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The parameters a form says. A field left empty is left out, so that the job's default holds.

    Where the schema's default is not empty, an empty field means null or "", if the schema allows it.
    Raises InvalidParameters with all that is wrong; what `defaults`, the job's, supply is not missing.
    """
    parameters: dict[str, Any] = {}
    errors: list[Fault] = []
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        place = _flat(inner, schema)
        try:
            kind = _kind(place, required=name in required)
            value = read(place, kind, data, prefix + name, required=name in required)
        except (ValueError, RecursionError):
            errors.append(_unreadable(name, place, data.get(prefix + name, "")))
            continue
        if value is not ABSENT:
            parameters[name] = value
    unread = {error.pointer for error in errors}
    whole = merge(_defaults(schema), defaults, parameters)
    errors += [fault for fault in faults_of(schema, whole) if fault.pointer not in unread]
    if errors:
        raise InvalidParameters(errors)
    return parameters


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
    if len(branches) == 1 and len(flat["anyOf"]) == 2 and isinstance(branches[0], Mapping):
        flat = {**branches[0], **{key: flat[key] for key in flat if key != "anyOf"}, "nullable": True}
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
        return _list_kind(place.get("items"))
    if kind == "string":
        long = place.get("maxLength", 0) > LINE_LENGTH
        return _FORMAT_KINDS.get(place.get("format", ""), "textarea" if long else "text")
    return TYPE_KINDS.get(kind, "json") if isinstance(kind, str) else "json"


def _list_kind(items: object) -> Kind:
    if not isinstance(items, Mapping):
        return "json"
    if "enum" in items:
        return "multiselect"
    return "lines" if items.get("type") in list(TYPE_KINDS) else "json"


def _field(
    name: str, place: Mapping[str, Any], values: Mapping[str, Any], *, required: bool, prefix: str
) -> FormField:
    kind = _kind(place, required=required)
    value = None if kind == "password" or place.get("writeOnly") else values.get(name, place.get("default"))
    several = (
        tuple(map(as_text, value)) if isinstance(value, list) and kind in {"multiselect", "lines"} else ()
    )
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
        return tuple((as_text(option), as_text(option)) for option in place["items"]["enum"])
    if kind != "select":
        return ()
    options = place.get("enum")
    choices = YES_NO if options is None else tuple((as_text(o), as_text(o)) for o in options if o is not None)
    return choices if required and not place.get("nullable") else (("", "–"), *choices)


def _shown(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, indent=2) if kind == "json" else as_text(value)


def _unreadable(name: str, place: Mapping[str, Any], text: str) -> Fault:
    expected = "JSON: " + describe(place) if _kind(place, required=False) == "json" else describe(place)
    value = MASK if place.get("writeOnly") else shown(text)
    return Fault(pointer=pointer(name), code="type", detail=f"{name!r} is {value}; expected {expected}.")


def _defaults(schema: Schema) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: inner["default"] for name, inner in properties.items() if "default" in inner}

"""Translates Python annotations: into JSON Schema, and JSON values into what the annotation promises."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

import jsonschema_rs

_SIMPLE: Final[Mapping[Any, Mapping[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    types.NoneType: {"type": "null"},
    dict: {"type": "object"},
    list: {"type": "array"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    UUID: {"type": "string", "format": "uuid"},
    Any: {},
}
_FROM_JSON: Final[Mapping[Any, Callable[[Any], Any]]] = {
    int: int,  # JSON Schema's integers include 1.0
    float: float,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
}
SUPPORTED: Final = (
    "str, int, float, bool, None, list[T], dict[str, T], Literal, Enum, datetime, date, time, UUID, "
    "a union of these, a TypedDict, a dataclass, or Annotated[T, {…schema…}]"
)


class Keywords(dict[str, Any]):
    """An object for Annotated that may stand inside a union, where Python wants hashable things."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class UnknownAnnotation(TypeError):
    """An annotation that can't be said in JSON Schema."""


class Kind(NamedTuple):
    """A kind of annotation, and its two translations."""

    fits: Callable[[Any], bool]
    schema: Callable[[Any], dict[str, Any]]
    value: Callable[[Any, Any], Any]


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what `annotation` allows; raises UnknownAnnotation."""
    for kind in _KINDS:
        if kind.fits(annotation):
            return kind.schema(annotation)
    raise UnknownAnnotation(f"{annotation!r}, which JSON Schema can't say; expected {SUPPORTED}.")


def value_of(annotation: Any, value: Any) -> Any:
    """The JSON `value` as `annotation` promises it: an ISO text as a datetime, a text as its Enum's member.

    `value` has passed the schema of `annotation`. Raises ValueError where that says too little.
    """
    for kind in _KINDS:
        if kind.fits(annotation):
            return kind.value(annotation, value)
    return value


def _is_simple(annotation: Any) -> bool:
    try:
        return annotation in _SIMPLE
    except TypeError:  # an Annotated with a dict in it can't be hashed
        return False


def _is_class(annotation: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(annotation, type) and check(annotation)


def _origin(*origins: Any) -> Callable[[Any], bool]:
    return lambda annotation: get_origin(annotation) in origins


def _branch_of(annotation: Any, value: Any) -> Any:
    """The first member of a union that `value` is valid for."""
    for arg in get_args(annotation):
        if jsonschema_rs.is_valid(schema_of(arg), value, validate_formats=True):
            return arg
    return Any


def _annotated(annotation: Any) -> dict[str, Any]:
    """Annotated's extras: an object adds keywords, a text describes; others are not ours."""
    inner, *extras = get_args(annotation)
    schema = schema_of(inner)
    for extra in extras:
        if isinstance(extra, Mapping):
            schema.update(extra)
        elif isinstance(extra, str):
            schema["description"] = extra
    return schema


def _enum(values: Any) -> dict[str, Any]:
    options = list(values)
    kinds = list(dict.fromkeys(_json_type(option) for option in options))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": options}


def _json_type(value: object) -> str:
    for kind, schema in _SIMPLE.items():
        if type(value) is kind:
            return str(schema["type"])
    raise UnknownAnnotation(
        f"The choice {value!r} is no JSON value; expected a text, a number, a boolean or None."
    )


def _union(annotation: Any) -> dict[str, Any]:
    """Plain types and "or null" as a list of types, which reads better and gives the simpler form field."""
    branches = [schema_of(arg) for arg in get_args(annotation)]
    rest = [branch for branch in branches if branch != _SIMPLE[None]]
    nullable = len(rest) < len(branches)
    if len(rest) == 1 and nullable and isinstance(rest[0].get("type"), str) and "enum" not in rest[0]:
        return rest[0] | {"type": [rest[0]["type"], "null"]}
    if all(branch.keys() == {"type"} and isinstance(branch["type"], str) for branch in branches):
        return {"type": [branch["type"] for branch in branches]}
    return {"anyOf": branches}


def _record(annotation: Any) -> dict[str, Any]:
    hints = get_type_hints(annotation, include_extras=True)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema_of(hint) for name, hint in hints.items()},
        "required": _required(annotation, hints),
        "additionalProperties": False,
    }
    return schema if schema["required"] else {key: schema[key] for key in schema if key != "required"}


def _required(annotation: Any, hints: Mapping[str, Any]) -> list[str]:
    if is_typeddict(annotation):
        return [name for name in hints if name in annotation.__required_keys__]
    return [f.name for f in fields(annotation) if f.default is MISSING and f.default_factory is MISSING]


def _members(annotation: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(annotation, include_extras=True)
    return {name: value_of(hints.get(name, Any), item) for name, item in value.items()}


_KINDS: Final = (
    Kind(
        _is_simple,
        lambda annotation: dict(_SIMPLE[annotation]),
        lambda annotation, value: _FROM_JSON[annotation](value) if annotation in _FROM_JSON else value,
    ),
    Kind(_origin(Annotated), _annotated, lambda annotation, value: value_of(get_args(annotation)[0], value)),
    Kind(
        _origin(Required, NotRequired),
        lambda annotation: schema_of(get_args(annotation)[0]),
        lambda annotation, value: value_of(get_args(annotation)[0], value),
    ),
    Kind(_origin(Literal), lambda annotation: _enum(get_args(annotation)), lambda _annotation, value: value),
    Kind(
        _origin(Union, types.UnionType),
        _union,
        lambda annotation, value: value_of(_branch_of(annotation, value), value),
    ),
    Kind(
        _origin(list),
        lambda annotation: {"type": "array", "items": schema_of(get_args(annotation)[0])},
        lambda annotation, value: [value_of(get_args(annotation)[0], item) for item in value],
    ),
    Kind(
        lambda annotation: get_origin(annotation) is dict and get_args(annotation)[0] is str,
        lambda annotation: {"type": "object", "additionalProperties": schema_of(get_args(annotation)[1])},
        lambda annotation, value: {
            key: value_of(get_args(annotation)[1], item) for key, item in value.items()
        },
    ),
    Kind(
        lambda annotation: _is_class(annotation, lambda cls: issubclass(cls, Enum)),
        lambda annotation: _enum([member.value for member in annotation]),
        lambda annotation, value: annotation(value),
    ),
    Kind(is_typeddict, _record, _members),
    Kind(
        lambda annotation: _is_class(annotation, is_dataclass),
        _record,
        lambda annotation, value: annotation(**_members(annotation, value)),
    ),
)

"""Decides which parameters a run may have: merges layers, validates by the job's schema, masks secrets."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from math import isfinite
from typing import Any, Final

import jsonschema_rs

from jobs.expectations import MASK, describe, shown
from jobs.faults import Fault, Faulty, pointer
from jobs.schemas import (
    InvalidSchema,
    Path,
    Schema,
    check_schema,
    expanded,
    follow,
    may_hide,
    places,
    validator,
)

__all__ = [
    "InvalidParameters",
    "InvalidSchema",
    "check_schema",
    "checker",
    "faults",
    "is_secret",
    "mask",
    "merge",
    "secrets",
    "validate",
]

DEPTH_LIMIT: Final = 64
FAULTS_SHOWN: Final = 50
# What a sentence calls the object itself.
WHOLE: Final = "The object of parameters"
# 4300 digits: Python turns no longer whole number into text.
NUMBER_BITS: Final = 14_284
_KEYS_REFUSED: Final = frozenset({"additionalProperties", "unevaluatedProperties"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class InvalidParameters(Faulty):
    """Parameters that the job's schema refuses; pointers point into the parameters."""


def merge(*layers: Mapping[str, Any] | None) -> dict[str, Any]:
    """One object of all `layers`, weakest first; a key of a later layer replaces the whole value."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer or {})
    return merged


def validate(schema: Schema, parameters: object) -> None:
    """Raises InvalidParameters with everything that is wrong, or InvalidSchema.

    Keys that the schema does not declare are refused unless it says otherwise (`additionalProperties`,
    `patternProperties`). Values that JSON or PostgreSQL can't hold (NaN, U+0000, half a surrogate pair)
    are refused, too.
    """
    errors = faults(schema, parameters)
    if errors:
        raise InvalidParameters(errors)


def faults(schema: Schema, parameters: object) -> list[Fault]:
    """What `validate` would raise, as a list."""
    return _faults(schema, validator(schema), parameters)


def checker(schema: Schema) -> Callable[[object], list[Fault]]:
    """`faults` for parameters of one schema, for whoever has a hundred thousand of them. Raises InvalidSchema."""
    return partial(_faults, schema, validator(schema))


def _faults(schema: Schema, compiled: jsonschema_rs.Draft202012Validator, parameters: object) -> list[Fault]:
    if not isinstance(parameters, Mapping):
        return [_fault((), "type", f"The parameters are {shown(parameters)}; expected an object.")]
    found = [] if _is_simple(parameters) else list(_unstorable(parameters, ()))
    if found:
        return found
    if compiled.is_valid(parameters):
        return []
    errors = compiled.iter_errors(parameters)
    found = [fault for error in errors for fault in _translated(error, schema, parameters)]
    return list(dict.fromkeys(found))[:FAULTS_SHOWN]


def mask(schema: Schema, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` with every value hidden that the schema calls `writeOnly` or of format `password`."""
    if not may_hide(schema):
        return dict(parameters)
    masked: dict[str, Any] = _masked(parameters, expanded(schema, schema), schema, ())
    return masked


def is_secret(schema: Schema, path: Path) -> bool:
    """Whether the value at `path`, or anything it lies in, is to be hidden from people."""
    return any(
        _secret(place) for length in range(1, len(path) + 1) for place in places(schema, path[:length])
    )


def secrets(schema: Schema, parameters: Mapping[str, Any]) -> list[str]:
    """The texts in `parameters` that `mask` hides, for whoever must keep them out of a log."""
    return list(_hidden(parameters, mask(schema, parameters))) if may_hide(schema) else []


def _hidden(value: Any, masked: Any) -> Iterator[str]:
    if masked == MASK and value != MASK:
        yield value if isinstance(value, str) else json.dumps(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _hidden(item, masked[key])
    elif isinstance(value, list):
        for item, hidden in zip(value, masked, strict=True):
            yield from _hidden(item, hidden)


def _secret(schema: Schema) -> bool:
    return schema.get("writeOnly") is True or schema.get("format") == "password"


def _masked(value: Any, found: list[Schema], root: Schema, path: Path) -> Any:
    if path and value is not None and any(map(_secret, found)):
        return MASK
    if isinstance(value, Mapping):
        return {
            key: _masked(item, places(root, (*path, key)), root, (*path, key)) for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _masked(item, places(root, (*path, index)), root, (*path, index))
            for index, item in enumerate(value)
        ]
    return value


def _is_simple(parameters: Mapping[str, Any]) -> bool:
    """Whether all are small plain values, as most are: then nobody need walk through them."""
    for name, value in parameters.items():
        kind = type(value)
        if kind is str:
            if not value.isascii() or "\0" in value:
                return False
        elif kind is int:
            if not -(2**63) < value < 2**63:
                return False
        elif kind is float:
            if not isfinite(value):
                return False
        elif kind is not bool and value is not None:
            return False
        if not name.isascii() or "\0" in name:
            return False
    return True


def _unstorable(value: object, path: Path) -> Iterator[Fault]:
    if isinstance(value, str):
        if "\0" in value or (not value.isascii() and _SURROGATE.search(value)):
            detail = f"{_name(path)} has a text with U+0000 or half a surrogate pair, which can't be stored."
            yield _fault(path, "text", detail)
    elif isinstance(value, float) and not isfinite(value):
        yield _fault(path, "number", f"{_name(path)} is {value}; expected a finite number.")
    elif isinstance(value, int) and value.bit_length() > NUMBER_BITS:
        yield _fault(path, "number", f"{_name(path)} is a number of more than 4300 digits; expected fewer.")
    elif isinstance(value, Mapping | list) and len(path) >= DEPTH_LIMIT:
        yield _fault(path, "depth", f"The parameters are nested deeper than {DEPTH_LIMIT} levels.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unstorable(key, path)
            yield from _unstorable(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable(item, (*path, index))


def _translated(
    error: jsonschema_rs.ValidationError, schema: Schema, parameters: Mapping[str, Any]
) -> Iterator[Fault]:
    path, kind = tuple(error.instance_path), error.kind
    match kind:
        case jsonschema_rs.ValidationErrorKind.Required():
            yield _missing((*path, kind.property), schema)
        case (
            jsonschema_rs.ValidationErrorKind.AdditionalProperties()
            | jsonschema_rs.ValidationErrorKind.UnevaluatedProperties()
        ):
            yield from _unknowns(path, kind.unexpected, schema)
        case jsonschema_rs.ValidationErrorKind.FalseSchema() if _KEYS_REFUSED & set(error.schema_path[-1:]):
            # So it says `additionalProperties: false` beside no properties at all.
            yield from _unknowns(path, _at(parameters, path), schema)
        case jsonschema_rs.ValidationErrorKind.PropertyNames():
            expected = describe(_holder(schema, error))
            yield _fault(path, "name", f"{_name(path)} has a key its schema refuses; expected {expected}.")
        case _:
            value = MASK if is_secret(schema, path) else shown(_at(parameters, path))
            expected = describe(_holder(schema, error))
            yield _fault(path, _code(kind.name), f"{_name(path)} is {value}; expected {expected}.")


def _missing(path: Path, schema: Schema) -> Fault:
    declared = places(schema, path)
    expected = describe(declared[0]) if declared else "a value"
    return _fault(path, "required", f"{_name(path)} is missing; expected {expected}.")


def _unknowns(path: Path, keys: Iterable[str], schema: Schema) -> Iterator[Fault]:
    # A property whose value is wrong counts as unevaluated as well; it has a fault of its own.
    declared = _declared(schema, path)
    return (_unknown((*path, key), declared) for key in keys if key not in declared)


def _unknown(path: Path, declared: list[str]) -> Fault:
    near = get_close_matches(str(path[-1]), declared, n=1)
    if near:
        expected = f"did you mean {near[0]!r}?"
    elif declared:
        expected = f"expected only {', '.join(map(repr, declared[:20]))}."
    else:
        expected = "expected no parameters." if len(path) == 1 else "expected no keys."
    return _fault(path, "unknown", f"{_name(path)} is unknown; {expected}")


def _declared(schema: Schema, path: Path) -> list[str]:
    return list(dict.fromkeys(name for place in places(schema, path) for name in place.get("properties", {})))


def _holder(schema: Schema, error: jsonschema_rs.ValidationError) -> Any:
    """The subschema whose keyword failed; a false schema is itself the place."""
    false = isinstance(error.kind, jsonschema_rs.ValidationErrorKind.FalseSchema)
    return _at(schema, tuple(error.schema_path if false else error.schema_path[:-1]))


def _at(document: Any, path: Path) -> Any:
    for part in path:
        document = follow(document, part)
    return document


def _name(path: Path) -> str:
    """How a sentence calls the value at `path`: 'filter.prices[0]'."""
    if not path:
        return WHOLE
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return repr("".join(parts).removeprefix("."))


def _code(keyword: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), keyword)


def _fault(path: Path, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer(*path), code=code, detail=detail)

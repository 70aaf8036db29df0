"""Decides which JSON Schemas (draft 2020-12) a job may have for its parameters, and finds places in them."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from jobs.expectations import shown
from jobs.faults import Fault, Faulty, pointer

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SIZE_LIMIT: Final = 64 * 1024  # bytes of canonical JSON
DEPTH_LIMIT: Final = 40
# Keywords whose values are data, and those whose values are schemas by name: `$ref` in the first is no
# reference, and a property may be called `$ref` or `enum`.
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_BRANCHES: Final = ("allOf", "anyOf", "oneOf")

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


class InvalidSchema(Faulty):
    """A parameter schema that can't be used; pointers point into the schema."""


def check_schema(schema: object) -> None:
    """Raises InvalidSchema unless `schema` is a JSON Schema of draft 2020-12 that stands by itself.

    References may only point into the schema (`#/$defs/…`): nothing is ever fetched.
    """
    if not isinstance(schema, Mapping):
        raise _refused("", "type", f"The schema is {shown(schema)}; expected an object.")
    canonical = _bounded(schema)
    faults = [*_top_faults(schema), *_reference_faults(schema, ())]
    if faults:
        raise InvalidSchema(faults)
    _compile(canonical)


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """The compiled schema, kept between calls; raises InvalidSchema."""
    return _compile(_canonical(schema))


@lru_cache(maxsize=512)
def _compile(canonical: str) -> jsonschema_rs.Draft202012Validator:
    schema = json.loads(canonical)
    # Not additionalProperties: it would refuse what a `$ref` or `allOf` beside it declares.
    if not {"additionalProperties", "unevaluatedProperties"} & schema.keys():
        schema["unevaluatedProperties"] = False
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000),
        )
    except jsonschema_rs.ValidationError as error:
        raise InvalidSchema([_fault(error)]) from None
    except ValueError as error:
        raise _refused("", "invalid", f"The schema cannot be used: {error}.") from None


def _canonical(schema: object) -> str:
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _bounded(schema: Schema) -> str:
    """The schema's canonical JSON; raises InvalidSchema if it is no JSON, too deep or too large."""
    try:
        depth, canonical = _depth(schema), _canonical(schema)
        size = len(canonical.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused("", "invalid", f"The schema is not JSON: {error}.") from None
    if depth > DEPTH_LIMIT:
        raise _refused(
            "", "depth", f"The schema is nested {depth} levels deep; expected at most {DEPTH_LIMIT}."
        )
    if size > SIZE_LIMIT:
        raise _refused("", "size", f"The schema has {size} bytes; expected at most {SIZE_LIMIT}.")
    return canonical


def _refused(place: str, code: str, detail: str) -> InvalidSchema:
    return InvalidSchema([Fault(pointer=place, code=code, detail=detail)])


def _depth(value: object) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _top_faults(schema: Schema) -> Iterator[Fault]:
    dialect, kind = schema.get("$schema", DIALECT), schema.get("type", "object")
    if str(dialect).rstrip("#") != DIALECT:
        detail = f'"$schema" is {shown(dialect)}; expected "{DIALECT}".'
        yield Fault(pointer="/$schema", code="dialect", detail=detail)
    if kind != "object":
        detail = f'"type" is {shown(kind)}; parameters are an object, so expected "object".'
        yield Fault(pointer="/type", code="type", detail=detail)


def _reference_faults(schema: object, path: Path) -> Iterator[Fault]:
    if not isinstance(schema, Mapping):
        return
    for keyword in ("$ref", "$dynamicRef"):
        target = schema.get(keyword, "#")
        if not str(target).startswith("#"):
            detail = f"{keyword} is {shown(target)}; expected a place in this schema, such as #/$defs/name."
            yield Fault(pointer=pointer(*path, keyword), code="reference", detail=detail)
    for place, inner in _inner(schema):
        yield from _reference_faults(inner, path + place)


def _inner(schema: Schema) -> Iterator[tuple[Path, object]]:
    for keyword, value in schema.items():
        if keyword in _DATA:
            continue
        if keyword in _NAMED and isinstance(value, Mapping):
            yield from (((keyword, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            yield from (((keyword, index), inner) for index, inner in enumerate(value))
        else:
            yield (keyword,), value


def _fault(error: jsonschema_rs.ValidationError) -> Fault:
    place, message = pointer(*error.instance_path), error.message.rstrip(".")
    if error.kind.name == "anyOf":  # says nothing of what is expected
        message = f"{shown(error.instance)} is not a value that JSON Schema knows here"
    return Fault(
        pointer=place, code=error.kind.name, detail=f"{place}: {message}." if place else f"{message}."
    )


def places(root: Schema, path: Path) -> list[Schema]:
    """Every subschema of `root` that may speak about the value at `path`; none: the path is undeclared."""
    found = expanded(root, root)
    for part in path:
        found = [place for schema in found for inner in _at(schema, part) for place in expanded(inner, root)]
    return found


def expanded(schema: object, root: Schema) -> list[Schema]:
    """`schema` with all that it refers to or is combined of."""
    found: list[Schema] = []
    waiting = [schema]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, Mapping) or any(current is seen for seen in found):
            continue
        found.append(current)
        waiting += [branch for keyword in _BRANCHES for branch in current.get(keyword, [])]
        waiting += [current[keyword] for keyword in ("then", "else") if keyword in current]
        if "$ref" in current:
            waiting.append(resolve(root, current["$ref"]))
    return found


def resolve(root: Schema, reference: str) -> object:
    """What the local `reference` (`#/$defs/name`) points to; None if it is not a plain pointer."""
    target: Any = root
    for part in reference.lstrip("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        target = follow(target, int(key) if isinstance(target, list) and key.isdigit() else key)
    return target


def follow(document: Any, part: str | int) -> Any:
    """One step into a JSON document; None where there is nothing."""
    if isinstance(document, Mapping):
        return document.get(part)
    if isinstance(document, list) and isinstance(part, int) and part < len(document):
        return document[part]
    return None


def may_hide(schema: Schema) -> bool:
    """Whether the schema could call anything a secret; a quick no spares a walk through the parameters."""
    canonical = _canonical(schema)
    return '"writeOnly"' in canonical or '"password"' in canonical


def _at(schema: Schema, part: str | int) -> list[object]:
    if isinstance(part, int):
        fixed = schema.get("prefixItems", [])
        return [fixed[part]] if part < len(fixed) else [schema.get("items")]
    declared = schema.get("properties", {})
    if part in declared:
        return [declared[part]]
    return [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]

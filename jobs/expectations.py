"""Says in words what a JSON Schema expects of a value, and shows a value in a sentence."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "••••••"
SHOWN_CHARACTERS: Final = 60
SHOWN_CHOICES: Final = 12

_TYPES: Final[Mapping[str, str]] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "a date and time with its zone, such as 2024-01-31T09:30:00Z",
    "date": "a date such as 2024-01-31",
    "time": "a time with its zone, such as 09:30:00Z",
    "duration": "an ISO 8601 duration such as PT15M",
    "email": "an e-mail address",
    "uri": "an absolute URL such as https://example.com/path",
    "uuid": "a UUID",
    "hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "regex": "a regular expression",
    "password": "a text",
}


def shown(value: object) -> str:
    """`value` as JSON, cut to a length that fits into a sentence."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):  # a whole number of too many digits, or an endless list
        return "a value that can't be shown"
    text = text.replace("\\u0000", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def unreadable(error: ValueError) -> str:
    """A sentence from what `json.loads` raised; Python's own tells how to change the interpreter."""
    if "integer string conversion" in str(error):
        return f"A number has more than {sys.get_int_max_str_digits()} digits."
    return str(error)


def describe(schema: Any) -> str:
    """What `schema` expects, as the end of the sentence "expected …": "a whole number from 1 to 9"."""
    if not isinstance(schema, Mapping):
        return "no value here" if schema is False else "any value"
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        return _choices(schema["enum"])
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return " or ".join(dict.fromkeys(_branch(branch) for branch in schema[keyword]))
    types = _types(schema)
    return " or ".join(_described(kind, schema) for kind in types) or "a value its schema allows"


def _branch(schema: Any) -> str:
    """One of several that are allowed: of objects, by what they must have."""
    needed = schema.get("required") if isinstance(schema, Mapping) else None
    if not needed or schema.get("type", "object") != "object":
        return describe(schema)
    return f"an object with {' and '.join(repr(name) for name in needed[:SHOWN_CHOICES])}"


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    if types:
        return [types] if isinstance(types, str) else list(types)
    if {"minLength", "maxLength", "pattern", "format"} & schema.keys():
        return ["string"]
    if {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & schema.keys():
        return ["number"]
    if {"minItems", "maxItems", "uniqueItems"} & schema.keys():
        return ["array"]
    return ["object"] if {"minProperties", "maxProperties"} & schema.keys() else []


def _described(kind: str, schema: Mapping[str, Any]) -> str:
    if kind == "string":
        parts = [_FORMATS.get(schema.get("format", ""), _TYPES[kind]), _span(schema, "Length", "character")]
        if "pattern" in schema:
            parts.append(f"matching {schema['pattern']}")
        if schema.get("examples"):
            parts.append(f"such as {shown(schema['examples'][0])}")
    elif kind in {"integer", "number"}:
        parts = [_TYPES[kind], _bounds(schema)]
        if "multipleOf" in schema:
            parts.append(f"divisible by {shown(schema['multipleOf'])}")
    elif kind == "array":
        parts = [_TYPES[kind], _span(schema, "Items", "item")]
        if schema.get("uniqueItems"):
            parts.append("without repeats")
    elif kind == "object":
        parts = [_TYPES[kind], _span(schema, "Properties", "key")]
    else:
        parts = [_TYPES.get(kind, kind)]
    return " ".join(part for part in parts if part)


def _choices(options: list[Any]) -> str:
    names = [shown(option) for option in options[:SHOWN_CHOICES]]
    if len(options) > SHOWN_CHOICES:
        names.append(f"… ({len(options)} in all)")
    return names[0] if len(names) == 1 else "one of " + ", ".join(names)


def _span(schema: Mapping[str, Any], suffix: str, noun: str) -> str:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least and most is not None:
        return f"of {least} to {most} {noun}s"
    if least:
        return f"of at least {least} {noun}{'' if least == 1 else 's'}"
    return "" if most is None else f"of at most {most} {noun}{'' if most == 1 else 's'}"


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    parts = []
    if least is not None and most is not None:
        parts.append(f"from {shown(least)} to {shown(most)}")
    elif least is not None:
        parts.append(f"of at least {shown(least)}")
    elif most is not None:
        parts.append(f"of at most {shown(most)}")
    if "exclusiveMinimum" in schema:
        parts.append(f"more than {shown(schema['exclusiveMinimum'])}")
    if "exclusiveMaximum" in schema:
        parts.append(f"less than {shown(schema['exclusiveMaximum'])}")
    return " and ".join(parts)

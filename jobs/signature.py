"""Reads a job function's signature: which parameters it takes, of what kind, with which defaults."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any, get_type_hints
from uuid import UUID

from jobs.annotations import UnknownAnnotation, schema_of
from jobs.executors.base import JobContext

_KINDS_REFUSED = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only, but parameters are passed by name",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values, but parameters are passed by name",
}


class UnfitFunction(TypeError):
    """A function that can't be a job, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a job function takes: a JSON Schema, JSON defaults, and the annotations to convert values by."""

    schema: Mapping[str, Any]
    defaults: Mapping[str, Any]
    hints: Mapping[str, Any]
    takes_context: bool


def read(function: Callable[..., Any]) -> Signature:
    """The signature of a job function; raises UnfitFunction, naming the parameter."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise UnfitFunction("the function is async; let an ordinary function call it with asyncio.run().")
    hints = _hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = bool(parameters) and _is_context(parameters[0], hints)
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    defaults: dict[str, Any] = {}
    for parameter in parameters[1:] if takes_context else parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            schema["additionalProperties"] = True
            continue
        schema["properties"][parameter.name] = _property(parameter, hints)
        if parameter.default is not inspect.Parameter.empty:
            defaults[parameter.name] = schema["properties"][parameter.name]["default"]
    required = [name for name in schema["properties"] if name not in defaults]
    if required:
        schema["required"] = required
    return Signature(schema=schema, defaults=defaults, hints=hints, takes_context=takes_context)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        # The context's class is often imported for type checkers only.
        return get_type_hints(function, localns={"JobContext": JobContext}, include_extras=True)
    except NameError as error:
        raise UnfitFunction(
            f"the annotation {error.name!r} is not defined where the job is declared."
        ) from None


def _is_context(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    return parameter.name == "context" or hints.get(parameter.name) is JobContext


def _property(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> dict[str, Any]:
    if parameter.kind in _KINDS_REFUSED:
        raise UnfitFunction(f"the parameter {parameter.name!r} {_KINDS_REFUSED[parameter.kind]}.")
    default = parameter.default
    guessed = type(default) if type(default) in {str, int, float, bool} else Any
    try:
        schema = schema_of(hints.get(parameter.name, guessed))
    except UnknownAnnotation as error:
        raise UnfitFunction(f"the parameter {parameter.name!r} is annotated {error}") from None
    if default is not inspect.Parameter.empty:
        schema["default"] = _json(default)
    return schema


def _json(value: Any) -> Any:
    """A default value as JSON, the way `value_of` reads it back."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _json(asdict(value))
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, list | tuple) else value

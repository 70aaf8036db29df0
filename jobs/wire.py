"""What requests of the API look like: checked bodies, queries and instants (docs/api.md).

Bodies and queries are described by JSON Schemas: one validator and one wording for them and for a job's
parameters, and the OpenAPI document quotes the very schema that is checked.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from rest_framework import exceptions
from rest_framework.request import Request

from jobs import parameters
from jobs.expectations import shown
from jobs.faults import Fault, Faulty

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
WHOLE_OR_NULL: Final[Schema] = {"type": ["integer", "null"]}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
YES_NO: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
OBJECT_OR_NULL: Final[Schema] = {"type": ["object", "null"]}
TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
ANYTHING: Final[Schema] = {}
SLUG: Final[Schema] = {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 80}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
NO_QUERY: Final[Schema] = {"type": "object", "properties": {}}
INSTANT_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}

_WHOLE_NUMBER: Final = re.compile("-?[0-9]{1,30}")
_YES_NO: Final = {"true": True, "false": False}


class InvalidBody(Faulty):
    """A request's body has values of the wrong type or range; pointers point into the body."""


def refused(error: ValidationError) -> InvalidBody:
    """What a model has against a body, each fault with a pointer to its field."""
    return InvalidBody(
        Fault(pointer="" if name == "__all__" else f"/{name}", code="value", detail=f"{name!r}: {text}")
        for name, texts in error.message_dict.items()
        for text in texts
    )


class InvalidQuery(Faulty):
    """A request's query has an unknown name or value; pointers point into the object of its parameters."""


class InvalidHeader(Faulty):
    """A request's header can't be what it is; pointers name the header."""


class LengthRequired(exceptions.APIException):
    """A body in chunks, which the server would take for an empty one."""

    status_code = 411
    default_code = "length_required"
    default_detail = "The body came in chunks; expected a Content-Length."


def instant_text(at: datetime) -> str:
    """`at` as the API writes it: RFC 3339 in UTC with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """The instant that `text` (RFC 3339) names, in UTC; raises ValueError with a sentence."""
    try:
        return _aware(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{shown(text)} is not an instant; expected a date and time with its zone, such as "
            "2024-01-31T09:30:00Z."
        ) from None


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no zone")
    return at.astimezone(UTC)


def body(request: Request, schema: Schema) -> dict[str, Any]:
    """The request's body, an object that `schema` allows; no body is an empty object. Raises InvalidBody."""
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired
    given = dict(request.data)
    if found := parameters.faults(schema, given):
        raise InvalidBody(map(_of_the_body, found))
    return given


def _of_the_body(fault: Fault) -> Fault:
    whole = parameters.WHOLE
    return replace(fault, detail=fault.detail.replace(whole, "The body", 1)) if not fault.pointer else fault


def query(request: Request, schema: Schema, *, others: bool = False) -> dict[str, Any]:
    """The request's query as an object that `schema` allows, numbers read as such. Raises InvalidQuery.

    `others`: names that the schema does not declare are read by somebody else.
    """
    declared = schema["properties"]
    given = {name: texts for name, texts in request.query_params.lists() if not others or name in declared}
    if repeated := [name for name, texts in given.items() if len(texts) > 1]:
        raise InvalidQuery(map(_repeated, repeated))
    values = {name: _read(texts[0], declared.get(name, {})) for name, texts in given.items()}
    if found := parameters.faults(schema, values):
        raise InvalidQuery(found)
    return {name: place["default"] for name, place in declared.items() if "default" in place} | values


def _repeated(name: str) -> Fault:
    return Fault(pointer=f"/{name}", code="repeated", detail=f"{name!r} was given more than once.")


def _read(text: str, place: Schema) -> object:
    if place.get("type") == "integer" and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if place.get("type") == "boolean":
        return _YES_NO.get(text.lower(), text)
    return text


def instant_of(given: Mapping[str, Any], name: str, refusal: type[Faulty]) -> datetime | None:
    """The instant under `name`, None without one; raises `refusal`."""
    text = given.get(name)
    if text is None:
        return None
    try:
        return instant(text)
    except ValueError as error:
        raise refusal([Fault(pointer=f"/{name}", code="format", detail=f"{name!r}: {error}")]) from None

"""The OpenAPI document: made from what the views declare, so that it says what is checked and nothing else."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from config.api.problems import CONTENT_TYPE
from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Value
from jobs.versions import TAG
from runs.idempotency import KEY_LENGTH

# The parts of addresses; each means the same everywhere.
PATH: Final[Mapping[str, tuple[wire.Schema, str]]] = {
    "slug": (wire.SLUG, "The job's slug."),
    "run": ({"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,200}$"}, "The run's id or name."),
    "trigger": ({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, "The trigger's id."),
    "key": ({"type": "string", "pattern": "^(hw_)?[0-9a-f]{1,16}$"}, "The key's public part."),
    "change": ({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, "The change's id."),
    "public_id": ({"type": "string", "format": "uuid"}, "The public id of an event trigger."),
    "delivery": ({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, "The delivery's id."),
    "campaign": ({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, "The campaign's id."),
}
Place = Literal["query", "path", "header", "cookie"]
IDEMPOTENCY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="The same key with the same body within 24 hours leads to the same run, and no second one.",
)
CHAIN: Final = OpenApiParameter(
    "Headway-Run",
    dict(PATH["run"][0]),
    OpenApiParameter.HEADER,
    description="The running run that makes this call, by id or name: the new run is part of its chain.",
)
REPLAYED: Final = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200],
    description="The run was launched by an earlier request with this Idempotency-Key.",
)
IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": f"^({TAG}|[*])$"},
    OpenApiParameter.HEADER,
    description="The `ETag` of what was read: if it has changed since, nothing is done, and the answer is 412.",
)
LOCATION: Final = OpenApiParameter(
    "Location",
    {"type": "string", "format": "uri"},
    OpenApiParameter.HEADER,
    response=[200, 202],
    description="Where the run is.",
)


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One thing that was wrong with the request."""

    pointer = Value({"type": "string"})
    code = Value(wire.TEXT)
    detail = Value(wire.TEXT)
    vars()["in"] = Value({"type": "string", "enum": ["body", "query", "header"]})


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong, by RFC 9457; `type` is the address of a page that explains it."""

    type = Value({"type": "string", "format": "uri-reference"})
    title = Value(wire.TEXT)
    status = Value({"type": "integer", "minimum": 400, "maximum": 599})
    detail = Value(wire.TEXT)
    code = Value(wire.TEXT)
    vars()["errors"] = ProblemErrorSerializer(many=True, read_only=True)
    request_id = Value(wire.TEXT)


class DeclaredSchema(AutoSchema):
    """Describes a view by its own attributes (`jobs.endpoint.Endpoint`), and its errors as problems."""

    def get_override_parameters(self) -> list[Any]:
        """The parts of the address, the query and the headers."""
        names = [name for name in PATH if f"{{{name}}}" in self.path]
        found = [_parameter(name, *PATH[name], place=OpenApiParameter.PATH, required=True) for name in names]
        if isinstance(self.view, Endpoint) and self.method == "GET":
            schema = self.view.query_schema
            required = schema.get("required", ())
            for name, place in schema["properties"].items():
                found.append(_parameter(name, place, required=name in required))
        if getattr(self.view, "conditional", False) and self.method != "GET":
            found.append(IF_MATCH)
        if getattr(self.view, "launches", False):
            found += [IDEMPOTENCY, CHAIN, REPLAYED, LOCATION]
        return found

    def get_request_serializer(self) -> Any:
        """The very schema that the body is checked by."""
        schema = self._declared("body_schema")
        return {"application/json": schema} if schema else None

    def _get_request_body(self, direction: Any = "request") -> Any:
        """A body is needed where one of its fields is."""
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if body and (self._declared("body_schema") or {}).get("required"):
            body["required"] = True
        return body

    def get_response_serializers(self) -> Any:
        """What the view answers, and for everything else a problem."""
        answers = self._declared("answers")
        if answers is None:
            answers = {200: self.view.get_serializer_class()}  # type: ignore[attr-defined]
        return {**answers, ("default", CONTENT_TYPE): ProblemSerializer}

    def _declared(self, name: str) -> Any:
        """What the method says of itself (`jobs.endpoint.described`), else what the view says."""
        method = getattr(self.view, self.method.lower(), None)
        return getattr(method, name) if hasattr(method, name) else getattr(self.view, name, None)

    def get_operation_id(self) -> str:
        """The method and every part of the address, so that no two are alike."""
        return "_".join([self.method.lower(), *re.findall("[a-z]+", self.path.removeprefix("/api"))])

    def get_summary(self) -> str:
        """The first sentence of what the method says about itself."""
        return str(self.get_description()).split("\n", 1)[0].rstrip(".")

    def get_tags(self) -> list[str]:
        """By the noun that the address begins with."""
        return [self._tokenize_path()[0]]


class ValueExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A field that says itself what it may be."""

    target_class = Value
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        return dict(self.target.schema)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer hw_…`; the word `Token` does as well."""

    target_class = "triggers.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "hw_<public id>_<secret>",
            "description": "A key that a person of this site issued. `Token` in place of `Bearer` does as well.",
        }


def _parameter(
    name: str, schema: wire.Schema, description: str = "", *, place: Place = "query", required: bool = False
) -> OpenApiParameter:
    rest = {key: value for key, value in schema.items() if key != "description"}
    text = description or schema.get("description", "")
    return OpenApiParameter(name, rest, place, required=required, description=text)

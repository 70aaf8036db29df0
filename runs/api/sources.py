"""Sources that are polled for events: list them, make, change and remove one, try it, poll it now."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from jobs.versions import digest, hold, tag
from jobs.wire import InvalidBody
from runs import polling
from runs.api import bodies
from triggers import sources, watching
from triggers.events import masking
from triggers.models import ApiKey, Kind, Source, Trigger
from triggers.models.source import LONGEST_INTERVAL
from triggers.sources.base import Unreachable
from triggers.visibility import visible

_FIELDS: Final[Mapping[str, wire.Schema]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "trigger": {
        "type": "integer",
        "minimum": 1,
        "maximum": 2**63 - 1,
        "description": "The event trigger, of scheme `poll`, that hears of what is found.",
    },
    "options": {"type": "object", "description": "What its kind has to know (docs/sources.md)."},
    "secret": {
        "type": "string",
        "minLength": 1,
        "maxLength": 2000,
        "writeOnly": True,
        "description": "What its kind needs to get in; never shown again.",
    },
    "interval_seconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_INTERVAL},
    "begin": {"type": "string", "enum": [value for value, _ in sources.BEGINNINGS]},
    "enabled": {"type": "boolean"},
}
NEW: Final[wire.Schema] = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": [*sources.KINDS]}, **_FIELDS},
    "required": ["kind", "name", "trigger"],
    "additionalProperties": False,
}
CHANGES: Final[wire.Schema] = {"type": "object", "properties": dict(_FIELDS), "additionalProperties": False}
_TRIED: Final[wire.Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"event": wire.TEXT, "payload": wire.ANYTHING, "fault": wire.TEXT_OR_NULL},
    },
}
SHOWN: Final = 20


class SourceSerializer(serializers.Serializer[Source]):
    """A source. Everything that was there at `caught_up_at` is in the inbox; `lag_seconds` ago that was."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    kind = Value({"type": "string", "enum": [*sources.KINDS]})
    trigger = Value(wire.WHOLE, source="trigger_id")
    job = Value(wire.SLUG, source="trigger.job.slug")
    options = Value(wire.OBJECT, source="whole_options")
    interval_seconds = Value(wire.WHOLE)
    begin = Value(wire.TEXT)
    enabled = Value(wire.YES_NO)
    secret_set_at = Instant()
    next_poll_at = Instant(wire.INSTANT)
    last_poll_at = Instant()
    caught_up_at = Instant()
    lag_seconds = serializers.SerializerMethodField()
    backlog = Value(wire.YES_NO)
    last_error = Text()
    failing_since = Instant()
    found_count = Value(wire.WHOLE)
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)

    @extend_schema_field(dict(wire.NUMBER_OR_NULL))
    def get_lag_seconds(self, source: Source) -> float | None:
        """How long ago it was read to its end."""
        lag = source.lag(timezone.now())
        return None if lag is None else lag.total_seconds()


class TriedSerializer(serializers.Serializer[Any]):
    """What a look would find; `more`: beyond what is shown. With an `error` it could not be looked at."""

    found = Value(_TRIED)
    count = Value(wire.WHOLE)
    more = Value(wire.YES_NO)
    error = Value(wire.TEXT_OR_NULL)


class SourceListView(generics.ListAPIView[Source]):
    """List the sources that are polled for events, or make one."""

    serializer_class = SourceSerializer
    queryset = Source.objects.none()
    job_lookup: ClassVar = "trigger__job"

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return "triggers.add_source" if self.request.method == "POST" else "triggers.view_source"

    def get_queryset(self) -> QuerySet[Source]:
        """The sources with their jobs."""
        return Source.objects.select_related("trigger__job")

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List the sources that are polled for events, newest first."""
        return self.list(request, *arguments, **options)

    @described(body=NEW, answers={201: SourceSerializer})
    def post(self, request: Request) -> Response:
        """Make a source; it is looked at at once."""
        _require(request, "triggers.add_source")
        body = wire.body(request, NEW)
        source = Source(kind=body["kind"])
        _write(request, source, body)
        address = request.build_absolute_uri(f"/api/sources/{source.pk}")
        return _answer(source, status=201, headers={"Location": address})


class SourceView(Endpoint):
    """Read, change or remove one source."""

    conditional: ClassVar = True
    permissions: ClassVar = {"PATCH": "change", "DELETE": "delete"}

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return f"triggers.{self.permissions.get(self.request.method or '', 'view')}_source"

    @described(answers={200: SourceSerializer})
    def get(self, request: Request, source: int) -> Response:
        """Read one source: what it watches, when it was looked at last, and what went wrong.

        The header `ETag` is the version of what people wrote of it: looks do not change it.
        """
        return _answer(find_source(request, source))

    @described(body=CHANGES, answers={200: SourceSerializer})
    def patch(self, request: Request, source: int) -> Response:
        """Change what the body names of one source; if that is what it watches, it begins anew."""
        _require(request, "triggers.change_source")
        body = wire.body(request, CHANGES)
        with transaction.atomic():
            found = _held(request, source)
            _write(request, found, body)
        return _answer(found)

    @described(answers={204: None})
    def delete(self, request: Request, source: int) -> Response:
        """Remove one source; what it brought stays."""
        _require(request, "triggers.delete_source")
        with transaction.atomic():
            _held(request, source).delete()
        return Response(status=204)


class TrySourceView(Endpoint):
    """Look at a source without taking anything from it."""

    required_permission: ClassVar = "triggers.change_source"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: TriedSerializer}

    def post(self, request: Request, source: int) -> Response:
        """Look at a source now: nothing is delivered, remembered, or taken from it."""
        wire.body(request, self.body_schema)
        _require(request, self.required_permission)
        found = find_source(request, source)
        try:
            look = polling.try_out(found)
        except Unreachable as error:
            return Response(
                TriedSerializer({"found": [], "count": 0, "more": False, "error": str(error)}).data
            )
        things = [
            {"event": each.event, "payload": masking.masked(each.payload), "fault": each.fault or None}
            for each in look.found[:SHOWN]
        ]
        more = look.more or len(look.found) > SHOWN
        told = {"found": things, "count": len(look.found), "more": more, "error": None}
        return Response(TriedSerializer(told).data)


class PollSourceView(Endpoint):
    """Have a source looked at now."""

    required_permission: ClassVar = "triggers.change_source"
    body_schema = bodies.NOTHING
    answers: ClassVar = {202: SourceSerializer}

    def post(self, request: Request, source: int) -> Response:
        """Have a source looked at now, by a poller; the answer does not wait for it."""
        wire.body(request, self.body_schema)
        found = find_source(request, source)
        polling.hurry(found)
        return _answer(found, status=202)


def find_source(request: Request, number: int) -> Source:
    """The source of that id; raises NotFound."""
    rows = Source.objects.select_related("trigger__job").filter(pk=number)
    found = visible(rows, auth=request.auth, lookup="trigger__job").first()
    if found is None:
        raise NotFound(f"There is no source {number}.")
    return found


def _require(request: Request, permission: str) -> None:
    """A source reaches into folders and databases: a key may set one up only if its owner may."""
    if isinstance(request.auth, ApiKey) and not request.auth.owner.has_perm(permission):
        raise PermissionDenied(
            f"{request.auth.owner.get_username()}, who owns this key, lacks the permission {permission}."
        )


def _write(request: Request, source: Source, body: Mapping[str, Any]) -> None:
    """Lays the body on the source and stores it. Raises InvalidBody and `triggers.vault.VaultLocked`."""
    if "trigger" in body:
        known = visible(Trigger.objects.filter(kind=Kind.EVENT), auth=request.auth, lookup="job")
        trigger = known.filter(pk=int(body["trigger"])).first()
        if trigger is None:
            detail = (
                f"There is no event trigger {int(body['trigger'])}; expected the id of one of scheme poll."
            )
            raise InvalidBody([Fault(pointer="/trigger", code="value", detail=detail)])
        source.trigger = trigger
    for name in ("name", "options", "begin", "enabled"):
        if name in body:
            setattr(source, name, body[name])
    if "interval_seconds" in body:
        source.interval_seconds = int(body["interval_seconds"])
    if wrong := sources.faults(source.kind, source.options):
        raise InvalidBody(
            [Fault(pointer=f"/options{each.pointer}", code=each.code, detail=each.detail) for each in wrong]
        )
    try:
        watching.save(source, secret=body.get("secret"))
    except ValidationError as error:
        raise wire.refused(error) from None


def _held(request: Request, number: int) -> Source:
    """The source, which nobody else can change meanwhile; raises NotFound and PreconditionFailed."""
    return hold(request, find_source(request, number), version=_version, noun="source")


def _version(source: Source) -> str:
    """Of what people say of it; what polling writes is no other version."""
    settled = (source.interval_seconds, source.begin, source.enabled, source.secret_set_at)
    return digest(source.name, source.trigger_id, source.options, *settled)


def _answer(source: Source, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The source as it stands now, and its version."""
    fresh = Source.objects.select_related("trigger__job").get(pk=source.pk)
    told = {**tag(_version(fresh)), **(headers or {})}
    return Response(SourceSerializer(fresh).data, status=status, headers=told)

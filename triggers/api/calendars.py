"""Calendars over the API: business days and blackouts that schedules keep (`triggers.calendars`)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.faults import Fault
from jobs.fields import Instant, Value
from jobs.versions import digest, hold, tag
from jobs.wire import InvalidBody
from triggers import cron
from triggers.calendars import LINE_LENGTH, MAX_LINES
from triggers.models import ApiKey, Calendar, Scope, Trigger
from triggers.visibility import visible_jobs

_FIELDS: Final[Mapping[str, Any]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^,]+$"},
    "timezone": {"type": "string", "description": "A name such as Europe/Berlin; whose clock is meant."},
    "closed": {
        "type": "array",
        "items": {"type": "string", "maxLength": LINE_LENGTH, "pattern": r"^[^\r\n]*$"},
        "maxItems": MAX_LINES,
        "description": "When it is closed, a period a text: `Sat`, `12-25 Christmas`, `2026-08-03 to 2026-08-14`, "
        "`22:00 to 06:00 Backup`.",
    },
}
CHANGES: Final[wire.Schema] = {"type": "object", "properties": _FIELDS, "additionalProperties": False}
WHOLE: Final[wire.Schema] = {**CHANGES, "required": ["name", "closed"]}
_SCHEDULES: Final[wire.Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": wire.WHOLE, "job": wire.TEXT, "name": wire.TEXT},
    },
}


class CalendarKept(APIException):
    """A calendar that schedules keep is not deleted: they would run when they must not."""

    status_code = 409
    default_code = "refused"


class CalendarSerializer(serializers.Serializer[Calendar]):
    """A calendar. `closing` says why it is closed right now; null: it is open."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    timezone = Value(wire.TEXT, source="timezone.key")
    closed = serializers.SerializerMethodField()
    closing = serializers.SerializerMethodField()
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)

    @extend_schema_field(dict(wire.TEXTS))
    def get_closed(self, calendar: Calendar) -> list[str]:
        """Its periods, one a text."""
        return [line.strip() for line in calendar.closed.splitlines() if line.strip()]

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_closing(self, calendar: Calendar) -> str | None:
        return calendar.closing(timezone.now()) or None


class KeptCalendarSerializer(CalendarSerializer):
    """A calendar with the schedules that keep it, as far as the caller may see them."""

    schedules = serializers.SerializerMethodField()

    @extend_schema_field(dict(_SCHEDULES))
    def get_schedules(self, calendar: Calendar) -> list[dict[str, Any]]:
        jobs = visible_jobs(self.context["request"].auth)
        found = calendar.schedules.filter(job__in=jobs).select_related("job").order_by("pk")
        return [{"id": each.pk, "job": each.job.slug, "name": each.label} for each in found]


class CalendarListView(generics.ListAPIView[Calendar]):
    """List calendars, or make one."""

    serializer_class = CalendarSerializer
    queryset = Calendar.objects.all()
    # A calendar has no job by which a key with a list of jobs could be narrowed: it may look, not change.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])
    required_scope: ClassVar = {
        "GET": Scope.READ, "HEAD": Scope.READ, "OPTIONS": Scope.READ, "POST": Scope.WRITE,
    }  # fmt: skip

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return "triggers.add_calendar" if self.request.method == "POST" else "triggers.view_calendar"

    def get_queryset(self) -> QuerySet[Calendar]:
        """All calendars."""
        return Calendar.objects.all()

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List calendars, newest first."""
        return self.list(request, *arguments, **options)

    @described(body=WHOLE, answers={201: KeptCalendarSerializer})
    def post(self, request: Request) -> Response:
        """Make a calendar; schedules keep it by naming it in `calendars`."""
        _check_unbound(request)
        body = wire.body(request, WHOLE)
        made = Calendar()
        _write(made, body)
        address = request.build_absolute_uri(f"/api/calendars/{made.pk}")
        return _answer(request, made, status=201, headers={"Location": address})


class CalendarView(Endpoint):
    """Read, change or delete one calendar."""

    conditional: ClassVar = True
    answers: ClassVar = {200: KeptCalendarSerializer}
    permissions: ClassVar = {"PUT": "change", "PATCH": "change", "DELETE": "delete"}
    required_scope: ClassVar = {
        "GET": Scope.READ, "HEAD": Scope.READ, "OPTIONS": Scope.READ,
        "PUT": Scope.WRITE, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE,
    }  # fmt: skip

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        act = self.permissions.get(self.request.method or "", "view")
        return f"triggers.{act}_calendar"

    def get(self, request: Request, calendar: int) -> Response:
        """Read one calendar, with the schedules that keep it; the header `ETag` is its version."""
        return _answer(request, _find(calendar))

    @described(body=WHOLE, answers={200: KeptCalendarSerializer})
    def put(self, request: Request, calendar: int) -> Response:
        """Write one calendar whole; a change counts at once, for slots that come from then on."""
        return self._change(request, calendar, WHOLE)

    @described(body=CHANGES, answers={200: KeptCalendarSerializer})
    def patch(self, request: Request, calendar: int) -> Response:
        """Change what the body names; it counts at once, for slots that come from then on."""
        return self._change(request, calendar, CHANGES)

    @described(answers={204: None})
    def delete(self, request: Request, calendar: int) -> Response:
        """Delete one calendar. One that schedules keep stays (409): they would run when they must not."""
        _check_unbound(request)
        with transaction.atomic():
            found = _held(request, calendar)
            if Trigger.objects.filter(calendars=found).exists():
                raise CalendarKept(f"Schedules keep the calendar {found.name!r}: take it out of them first.")
            found.delete()
        return Response(status=204)

    def _change(self, request: Request, number: int, schema: wire.Schema) -> Response:
        _check_unbound(request)
        body = wire.body(request, schema)
        with transaction.atomic():
            found = _held(request, number)
            _write(found, {"timezone": "UTC", **body} if schema is WHOLE else body)
        return _answer(request, found)


def _answer(
    request: Request, found: Calendar, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The calendar with the schedules that keep it, and its version."""
    body = KeptCalendarSerializer(found, context={"request": request}).data
    return Response(body, status=status, headers={**tag(_version(found)), **(headers or {})})


def _version(calendar: Calendar) -> str:
    return digest(calendar.name, calendar.timezone.key, calendar.closed)


def _held(request: Request, number: int) -> Calendar:
    """The calendar, which nobody else can change meanwhile; raises NotFound and PreconditionFailed."""
    return hold(request, _find(number), version=_version, noun="calendar")


def _find(number: int) -> Calendar:
    found = Calendar.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no calendar {number}.")
    return found


def _write(calendar: Calendar, body: Mapping[str, Any]) -> None:
    """Lays the body on the calendar and stores it; raises InvalidBody."""
    given = dict(body)
    if "closed" in given:
        given["closed"] = "\n".join(given["closed"])
    if "timezone" in given:
        given["timezone"] = _zone(given["timezone"])
    for name, value in given.items():
        setattr(calendar, name, value)
    try:
        calendar.full_clean()
    except ValidationError as error:
        raise wire.refused(error) from None
    calendar.save()


def _zone(name: str) -> ZoneInfo:
    try:
        return cron.validate_zone(name)
    except cron.InvalidZone as error:
        raise InvalidBody([Fault(pointer="/timezone", code="timezone", detail=str(error))]) from None


def _check_unbound(request: Request) -> None:
    if isinstance(request.auth, ApiKey) and request.auth.restricted:
        raise PermissionDenied(
            "This API key has a list of jobs; calendars are shared by schedules of all jobs."
        )

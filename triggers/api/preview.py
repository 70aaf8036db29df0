"""The preview of a schedule before it is saved, with a job and without one."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault, Faulty
from jobs.fields import Instant, Value
from jobs.wire import InvalidBody, InvalidQuery
from triggers import cron, schedules
from triggers.cron.preview import MAX_COUNT
from triggers.models import Calendar, Scope
from triggers.visibility import visible_jobs

LONGEST_CRON: Final = 4000  # characters; a cron text has up to 20 lines of 200

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "cron": {
            "type": "string",
            "maxLength": LONGEST_CRON,
            "description": "Five fields or a word such as @daily; one line or several.",
        },
        "timezone": {"type": "string", "default": "UTC", "description": "A name such as Europe/Berlin."},
        "count": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT, "default": 5},
        "calendars": {
            "type": "string",
            "maxLength": 4000,
            "description": "Names of calendars that the schedule would keep, joined by commas.",
        },
        "from": {**wire.INSTANT, "description": "Only slots after this instant; without it, from now."},
    },
    "required": ["cron"],
    "additionalProperties": False,
}


class NextRunSerializer(serializers.Serializer[cron.NextRun]):
    """One slot on the clocks of UTC and of the schedule; `note` says what a clock change or a calendar does to it."""

    utc = Instant(wire.INSTANT)
    local = serializers.SerializerMethodField()
    timestamp = Value(wire.WHOLE)
    note = Value(wire.TEXT)

    @extend_schema_field(dict(wire.INSTANT))
    def get_local(self, run: cron.NextRun) -> str:
        """With the zone's offset at that instant."""
        return run.local.isoformat()


class WarningSerializer(serializers.Serializer[cron.Caution]):
    """What to beware of in the next 12 months; `at` is the clock change it is about."""

    code = Value(wire.TEXT)
    message = Value(wire.TEXT)
    at = Instant()


class PreviewSerializer(serializers.Serializer[cron.Preview]):
    """What a schedule will do."""

    timezone = Value(wire.TEXT)
    description = Value(wire.TEXT)
    next_runs = NextRunSerializer(many=True, read_only=True)
    warnings = WarningSerializer(many=True, read_only=True)


class PreviewView(Endpoint):
    """Preview a schedule, by the query or by a body."""

    required_scope = Scope.READ
    required_permission: ClassVar = "triggers.view_trigger"
    query_schema = SCHEMA
    body_schema = SCHEMA
    answers: ClassVar = {200: PreviewSerializer}

    def get(self, request: Request, slug: str = "") -> Response:
        """Preview a schedule: the next slots, computed by the same code that fires them."""
        return self._preview(request, slug, self.asked, InvalidQuery)

    def post(self, request: Request, slug: str = "") -> Response:
        """Preview a schedule that a body describes: the next slots, by the same code that fires them."""
        return self._preview(request, slug, wire.body(request, SCHEMA), InvalidBody)

    def _preview(
        self, request: Request, slug: str, asked: Mapping[str, Any], refusal: type[Faulty]
    ) -> Response:
        if slug and not visible_jobs(request.auth).filter(slug=slug).exists():
            raise NotFound(f"There is no job {shown(slug)}.")
        return Response(PreviewSerializer(preview(asked, refusal)).data)


def preview(asked: Mapping[str, Any], refusal: type[Faulty]) -> cron.Preview:
    """The preview that `asked` describes; raises `refusal`."""
    after = wire.instant_of(asked, "from", refusal) or timezone.now()
    closing = schedules.closing(_calendars(asked.get("calendars", ""), refusal))
    place = "cron"
    try:
        lines = cron.parse(asked["cron"])
        place = "timezone"
        zone = cron.validate_zone(asked.get("timezone", "UTC"))
        place = "from"
        count = int(asked.get("count", 5))
        return cron.preview(cron=lines, zone=zone, after=after, count=count, closing=closing)
    except (cron.InvalidCron, cron.InvalidZone, cron.InvalidInstant) as error:
        raise refusal([Fault(pointer=f"/{place}", code=place, detail=str(error))]) from None


def _calendars(names: str, refusal: type[Faulty]) -> list[Calendar]:
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    found = list(Calendar.objects.filter(name__in=wanted))
    if unknown := sorted(wanted - {calendar.name for calendar in found}):
        detail = f"There is no calendar {shown(unknown[0])}."
        raise refusal([Fault(pointer="/calendars", code="calendars", detail=detail)])
    return found

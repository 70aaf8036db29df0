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
from jobs.models import Job
from jobs.wire import InvalidBody, InvalidQuery
from triggers import cron, drafts, requirements
from triggers.cron.preview import MAX_COUNT
from triggers.drafts import Draft
from triggers.models import Scope
from triggers.visibility import visible_jobs

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        **drafts.FIELDS,
        "count": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT, "default": 5},
        "viewer_timezone": {
            "type": "string",
            "description": "The zone of a third clock to show the slots on.",
        },
        "from": {**wire.INSTANT, "description": "Only slots after this instant; without it, from now."},
    },
    "required": ["cron"],
    "additionalProperties": False,
}


class NextRunSerializer(serializers.Serializer[cron.NextRun]):
    """One slot on the clocks of UTC, of the schedule and of the viewer, if that was asked for.

    `note` says what a clock change or a calendar does to it, `waits_until` how long it waits for other jobs' runs.
    """

    utc = Instant(wire.INSTANT)
    local = serializers.SerializerMethodField()
    viewer = serializers.SerializerMethodField()
    waits_until = serializers.SerializerMethodField()
    timestamp = Value(wire.WHOLE)
    note = Value(wire.TEXT)

    @extend_schema_field(dict(wire.INSTANT))
    def get_local(self, run: cron.NextRun) -> str:
        """With the zone's offset at that instant."""
        return run.local.isoformat()

    @extend_schema_field(dict(wire.INSTANT_OR_NULL))
    def get_viewer(self, run: cron.NextRun) -> str | None:
        """With the zone's offset at that instant."""
        return run.viewer.isoformat() if run.viewer else None

    @extend_schema_field(dict(wire.INSTANT_OR_NULL))
    def get_waits_until(self, run: cron.NextRun) -> str | None:
        """Null of a schedule that needs no other job."""
        trigger = self.context["draft"].trigger
        return wire.instant_text(requirements.span(trigger, run.utc).until) if trigger.condition else None


class WarningSerializer(serializers.Serializer[cron.Caution]):
    """What to beware of in the next 12 months; `at` is the clock change it is about."""

    code = Value(wire.TEXT)
    message = Value(wire.TEXT)
    at = Instant()


class PreviewSerializer(serializers.Serializer[cron.Preview]):
    """What a schedule will do, in words and as slots; `requirement` is what it needs besides its time, or nothing."""

    timezone = Value(wire.TEXT)
    description = serializers.SerializerMethodField()
    requirement = serializers.SerializerMethodField()
    next_runs = NextRunSerializer(many=True, read_only=True)
    warnings = WarningSerializer(many=True, read_only=True)

    @extend_schema_field(dict(wire.TEXT))
    def get_description(self, found: cron.Preview) -> str:
        """The rule in a sentence, with what it needs."""
        return ", ".join(filter(None, (found.description, self.get_requirement(found))))

    @extend_schema_field(dict(wire.TEXT))
    def get_requirement(self, found: cron.Preview) -> str:
        """What it needs in words."""
        return str(self.context["draft"].requirement)


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
        visible = visible_jobs(request.auth)
        job: Job | None = visible.filter(slug=slug).first() if slug else None
        if slug and job is None:
            raise NotFound(f"There is no job {shown(slug)}.")
        draft = drafts.read(asked, job=job, visible=visible, refusal=refusal)
        found = preview(draft, asked, refusal)
        return Response(PreviewSerializer(found, context={"draft": draft}).data)


def preview(draft: Draft, asked: Mapping[str, Any], refusal: type[Faulty]) -> cron.Preview:
    """The preview of `draft` that `asked` describes; raises `refusal`."""
    after = wire.instant_of(asked, "from", refusal) or timezone.now()
    place = "viewer_timezone"
    try:
        viewer_zone = cron.validate_zone(asked[place]) if place in asked else None
        starts_at = draft.trigger.starts_at
        place = "starts_at" if starts_at and starts_at > after else "from"
        return drafts.preview(draft, after=after, count=int(asked.get("count", 5)), viewer_zone=viewer_zone)
    except (cron.InvalidZone, cron.InvalidInstant) as error:
        raise refusal([Fault(pointer=f"/{place}", code=place, detail=str(error))]) from None

"""Reading a job's triggers: what they are, how often they fired, and each time they should have."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Text, Value
from jobs.versions import tag
from runs import usage
from runs.api.finding import find_job
from triggers import leading
from triggers.events import schemes
from triggers.events.addresses import address_of
from triggers.models import Condition, Kind, Misfire, Needs, Otherwise, Overlap, Since, Trigger

PERMISSION = "triggers.view_trigger"
FOLLOWING: Final = (Kind.DEPENDENCY, Kind.SCHEDULE)
SECRETS: Final[wire.Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"created_at": wire.INSTANT, "expires_at": wire.INSTANT_OR_NULL},
    },
}


class Only(Value):
    """A field that some kinds of triggers have a use for, and that is null for the others."""

    def __init__(self, kinds: Kind | Sequence[Kind], schema: wire.Schema, **options: Any) -> None:
        super().__init__(schema, **options)
        self.kinds = (kinds,) if isinstance(kinds, Kind) else kinds

    def get_attribute(self, instance: Trigger) -> Any:
        return super().get_attribute(instance) if instance.kind in self.kinds else None


class TriggerSerializer(serializers.Serializer[Trigger]):
    """A stored rule that may start a job. Fields that its kind has no use for are null."""

    id = Value(wire.WHOLE)
    public_id = serializers.UUIDField(read_only=True)
    job = Value(wire.SLUG, source="job.slug")
    kind = Value({"type": "string", "enum": Kind.values})
    name = Value(wire.TEXT)
    enabled = Value(wire.YES_NO)
    priority = Value(wire.WHOLE_OR_NULL)
    parameters = serializers.SerializerMethodField()
    rate_limit = Value(wire.TEXT_OR_NULL)

    cron = Text()
    timezone = serializers.SerializerMethodField()
    next_run_at = serializers.SerializerMethodField()
    last_run_at = Instant()
    misfire = serializers.SerializerMethodField()
    overlap = serializers.SerializerMethodField()
    jitter_seconds = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    misfire_limit = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    misfire_deadline_seconds = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    start_within_seconds = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    finish_within_seconds = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    starts_at = Instant()
    ends_at = Instant()
    calendars = serializers.SerializerMethodField()
    paused_at = Instant()
    paused_by = Text()
    paused_reason = Text()
    paused_until = Instant()

    upstream = serializers.SerializerMethodField()
    upstreams = serializers.SerializerMethodField()
    condition = Text({"type": ["string", "null"], "enum": [*Condition.values, None]})
    delay_minutes = Only(Kind.DEPENDENCY, wire.WHOLE_OR_NULL)
    needs = Only(FOLLOWING, {"type": ["string", "null"], "enum": [*Needs.values, None]})
    window_minutes = Only(FOLLOWING, wire.WHOLE_OR_NULL)
    since = Only(Kind.SCHEDULE, {"type": ["string", "null"], "enum": [*Since.values, None]})
    wait_until = serializers.SerializerMethodField()
    wait_minutes = Only(Kind.SCHEDULE, wire.WHOLE_OR_NULL)
    otherwise = Only(Kind.SCHEDULE, {"type": ["string", "null"], "enum": [*Otherwise.values, None]})
    mapping = Only((Kind.DEPENDENCY, Kind.EVENT), wire.OBJECT_OR_NULL)

    scheme = Text({"type": ["string", "null"], "enum": [*schemes.READERS, None]})
    scheme_options = Only(Kind.EVENT, wire.OBJECT_OR_NULL)
    address = serializers.SerializerMethodField()
    secrets = serializers.SerializerMethodField()
    vars()["source"] = Only(Kind.EVENT, wire.WHOLE_OR_NULL, source="source_id")
    events = Only(Kind.EVENT, {"type": ["array", "null"], "items": {"type": "string"}})
    filter = Only(Kind.EVENT, wire.OBJECT_OR_NULL)
    parent_pointer = Only(Kind.EVENT, wire.TEXT_OR_NULL)
    debounce_seconds = Only(Kind.EVENT, wire.WHOLE_OR_NULL)
    debounce_limit = Only(Kind.EVENT, wire.WHOLE_OR_NULL)
    debounce_pointer = Only(Kind.EVENT, wire.TEXT_OR_NULL)

    fired_count = serializers.SerializerMethodField()
    last_fired_at = serializers.SerializerMethodField()
    success_rate = serializers.SerializerMethodField()
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)

    @extend_schema_field(dict(wire.OBJECT))
    def get_parameters(self, trigger: Trigger) -> dict[str, Any]:
        return parameters.mask(trigger.job.schema, trigger.parameters)

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_timezone(self, trigger: Trigger) -> str | None:
        return str(trigger.timezone) if trigger.kind == Kind.SCHEDULE else None

    @extend_schema_field(dict(wire.INSTANT_OR_NULL))
    def get_next_run_at(self, trigger: Trigger) -> str | None:
        """When the schedule fires next, also in the moment before beat has planned it."""
        if trigger.kind != Kind.SCHEDULE:
            return None
        at = leading.next_run_at(trigger, now=timezone.now())
        return wire.instant_text(at) if at else None

    @extend_schema_field({"type": ["string", "null"], "enum": [*Misfire.values, None]})
    def get_misfire(self, trigger: Trigger) -> str | None:
        return trigger.misfire if trigger.kind == Kind.SCHEDULE else None

    @extend_schema_field({"type": ["string", "null"], "enum": [*Overlap.values, None]})
    def get_overlap(self, trigger: Trigger) -> str | None:
        return trigger.overlap if trigger.kind == Kind.SCHEDULE else None

    @extend_schema_field({"type": ["array", "null"], "items": {"type": "string"}})
    def get_calendars(self, trigger: Trigger) -> list[str] | None:
        """The names of the calendars that the schedule keeps."""
        if trigger.kind != Kind.SCHEDULE:
            return None
        return [calendar.name for calendar in trigger.calendars.all()]

    @extend_schema_field({"oneOf": [wire.TEXT, wire.TEXTS, {"type": "null"}]})
    def get_upstream(self, trigger: Trigger) -> str | list[str] | None:
        """The slug of the job it follows; of several, a list."""
        slugs = self.get_upstreams(trigger)
        return slugs[0] if len(slugs) == 1 else slugs or None

    @extend_schema_field(dict(wire.TEXTS))
    def get_upstreams(self, trigger: Trigger) -> list[str]:
        """The slugs of the jobs it follows."""
        return [job.slug for job in trigger.upstreams.all()]

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_wait_until(self, trigger: Trigger) -> str | None:
        """The time of day until which a slot waits."""
        return f"{trigger.wait_until:%H:%M}" if trigger.wait_until else None

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_address(self, trigger: Trigger) -> str | None:
        """Where its deliveries are sent to."""
        return address_of(trigger) if trigger.scheme in schemes.SCHEMES else None

    @extend_schema_field(dict(SECRETS))
    def get_secrets(self, trigger: Trigger) -> list[dict[str, Any]]:
        """When each valid secret of its address was given and until when it is valid; never the secret."""
        return secrets_of(trigger) if trigger.scheme else []

    @extend_schema_field(dict(wire.WHOLE))
    def get_fired_count(self, trigger: Trigger) -> int:
        return self._usage(trigger).fired

    @extend_schema_field(dict(wire.INSTANT_OR_NULL))
    def get_last_fired_at(self, trigger: Trigger) -> str | None:
        at = self._usage(trigger).last_fired_at
        return wire.instant_text(at) if at else None

    @extend_schema_field(dict(wire.NUMBER_OR_NULL))
    def get_success_rate(self, trigger: Trigger) -> float | None:
        return self._usage(trigger).success_rate

    def _usage(self, trigger: Trigger) -> usage.Usage:
        found: usage.Usage = self.context["usage"][trigger.pk]
        return found


class MadeTriggerSerializer(TriggerSerializer):
    """A trigger that was made just now, and the secret that was made for its address."""

    secret = Value(wire.TEXT_OR_NULL)


class RotatedSerializer(serializers.Serializer[Any]):
    """The secrets of an event trigger's address; `secret` is a new one that was made, and shown only here."""

    trigger = Value(wire.WHOLE)
    secret = Value(wire.TEXT_OR_NULL)
    secrets = Value(SECRETS)


def secrets_of(trigger: Trigger) -> list[dict[str, Any]]:
    """What may be known of the valid secrets of the trigger's address, the newest first."""
    return [
        {
            "created_at": wire.instant_text(each.created_at),
            "expires_at": wire.instant_text(each.expires_at) if each.expires_at else None,
        }
        for each in sorted(trigger.secrets.all(), key=lambda secret: -secret.pk)
        if each.expires_at is None or each.expires_at > timezone.now()
    ]


def trigger_objects(triggers: Sequence[Trigger]) -> list[dict[str, Any]]:
    """Several triggers with what they led to."""
    known = usage.of_triggers(trigger.pk for trigger in triggers)
    serializer = TriggerSerializer(triggers, many=True, context={"usage": known})  # type: ignore[arg-type]
    return list(serializer.data)


def find_trigger(request: Request, slug: str, number: int) -> Trigger:
    """The job's trigger of that id; raises NotFound."""
    job = find_job(request, slug)
    trigger = Trigger.objects.select_related("job").filter(job=job, pk=number).first()
    if trigger is None:
        raise NotFound(f"The job {slug!r} has no trigger {number}.")
    return trigger


class TriggerListView(generics.ListAPIView[Trigger]):
    """List a job's triggers."""

    required_permission = PERMISSION
    serializer_class = TriggerSerializer
    queryset = Trigger.objects.none()
    job_lookup: ClassVar = "job"

    def get_queryset(self) -> QuerySet[Trigger]:
        """The triggers of the job in the address."""
        job = find_job(self.request, self.kwargs["slug"])
        found = Trigger.objects.select_related("job").filter(job=job)
        return found.prefetch_related("upstreams", "calendars", "secrets")

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List a job's triggers, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(trigger_objects(page or []))


class TriggerView(Endpoint):
    """Read one trigger."""

    required_permission = PERMISSION
    answers: ClassVar = {200: TriggerSerializer}

    def get(self, request: Request, slug: str, trigger: int) -> Response:
        """Read one trigger; the header `ETag` is its version."""
        found = find_trigger(request, slug, trigger)
        return Response(trigger_objects([found])[0], headers=tag(found.version))

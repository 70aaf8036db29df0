"""The preview of a schedule before it is saved, with a job and without one."""

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
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
from triggers import cron, dependencies, requirements, schedules
from triggers.cron.preview import MAX_COUNT
from triggers.models import Calendar, Condition, Kind, Scope, Trigger
from triggers.visibility import visible_jobs

LONGEST_CRON: Final = 4000  # characters; a cron text has up to 20 lines of 200
Saved = tuple[cron.Cron, ZoneInfo] | None
# What says how a slot waits for upstreams, and nothing without them.
WAITS: Final = ("wait_until", "wait_minutes", "otherwise")

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
        "upstream": {
            "type": "string",
            "maxLength": 4000,
            "description": "Slugs of jobs that the schedule would need, joined by commas.",
        },
        **requirements.FIELDS,
        "trigger": {
            "type": "integer",
            "minimum": 1,
            "description": "The id of the schedule that this one would replace: a warning says what changes. Only "
            "at the address of its job.",
        },
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
        trigger: Trigger = self.context["trigger"]
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
        return requirements.described(self.context["trigger"], self.context["upstreams"])


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
        job = visible.filter(slug=slug).first() if slug else None
        if slug and job is None:
            raise NotFound(f"There is no job {shown(slug)}.")
        found = preview(asked, refusal, saved=_saved(job, asked, refusal))
        needed = _upstreams(asked, visible, refusal)
        trigger = _needing(asked, needed, refusal)
        _check_circle(job, needed, refusal)
        context = {"trigger": trigger, "upstreams": needed}
        return Response(PreviewSerializer(found, context=context).data)


def preview(asked: Mapping[str, Any], refusal: type[Faulty], *, saved: Saved = None) -> cron.Preview:
    """The preview that `asked` describes, beside what is saved; raises `refusal`."""
    after = wire.instant_of(asked, "from", refusal) or timezone.now()
    closing = schedules.closing(_calendars(asked.get("calendars", ""), refusal))
    viewer = asked.get("viewer_timezone")
    place = "cron"
    try:
        lines = cron.parse(asked["cron"])
        place = "timezone"
        zone = cron.validate_zone(asked.get("timezone", "UTC"))
        place = "viewer_timezone"
        viewer_zone = cron.validate_zone(viewer) if viewer is not None else None
        place = "from"
        count = int(asked.get("count", 5))
        return cron.preview(
            cron=lines,
            zone=zone,
            after=after,
            count=count,
            viewer_zone=viewer_zone,
            saved=saved,
            closing=closing,
        )
    except (cron.InvalidCron, cron.InvalidZone, cron.InvalidInstant) as error:
        raise refusal([Fault(pointer=f"/{place}", code=place, detail=str(error))]) from None


def _saved(job: Job | None, asked: Mapping[str, Any], refusal: type[Faulty]) -> Saved:
    if "trigger" not in asked:
        return None
    number = int(asked["trigger"])
    found = Trigger.objects.schedules().filter(job=job, pk=number).first() if number < 2**63 else None
    if job is not None and found is not None:
        try:
            return cron.parse(found.cron), found.timezone
        except cron.InvalidCron:  # written past every door: there is nothing to compare with
            return None
    detail = f"There is no schedule {number} of {f'the job {job.slug!r}' if job else 'no job'}."
    raise refusal([Fault(pointer="/trigger", code="trigger", detail=detail)])


def _calendars(text: str, refusal: type[Faulty]) -> list[Calendar]:
    wanted = _names(text)
    found = list(Calendar.objects.filter(name__in=wanted))
    _check_known("calendar", wanted, {calendar.name for calendar in found}, refusal)
    return found


def _upstreams(asked: Mapping[str, Any], visible: QuerySet[Job], refusal: type[Faulty]) -> list[Job]:
    wanted = _names(asked.get("upstream", ""))
    found = list(visible.filter(slug__in=wanted).order_by("pk")) if wanted else []
    _check_known("job", wanted, {job.slug for job in found}, refusal, pointer="/upstream")
    if not found and (idle := [name for name in WAITS if name in asked]):
        detail = "The schedule would need no other job, so it has nothing to wait for: expected 'upstream' beside it."
        raise refusal([Fault(pointer=f"/{name}", code="value", detail=detail) for name in idle])
    return found


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _check_known(
    noun: str, wanted: set[str], known: set[str], refusal: type[Faulty], *, pointer: str = "/calendars"
) -> None:
    if unknown := sorted(wanted - known):
        detail = f"There is no {noun} {shown(unknown[0])}."
        raise refusal([Fault(pointer=pointer, code=pointer[1:], detail=detail)])


def _needing(asked: Mapping[str, Any], needed: Sequence[Job], refusal: type[Faulty]) -> Trigger:
    """A schedule that is not stored, with what `asked` says of its needs; raises `refusal`."""
    given = {name: asked[name] for name in requirements.FIELDS if name in asked} if needed else {}
    if "wait_until" in given:
        given["wait_until"] = time.fromisoformat(given["wait_until"])
    zone = cron.validate_zone(asked.get("timezone", "UTC"))
    trigger = Trigger(kind=Kind.SCHEDULE, cron=asked["cron"], timezone=zone, **given)
    if needed and not trigger.condition:
        trigger.condition = Condition.ON_SUCCESS
    try:
        trigger.clean()
    except ValidationError as error:
        raise refusal(wire.refused(error).errors) from None
    return trigger


def _check_circle(job: Job | None, needed: Sequence[Job], refusal: type[Faulty]) -> None:
    """The chain, of which the caller may not know each job, is told by `validate-dependency`."""
    if job is None or not needed:
        return
    try:
        dependencies.check(job=job, upstreams=needed)
    except dependencies.CircularDependency as error:
        detail = f"{error.chain[0]!r} can't need {error.chain[-2]!r}, which comes after it."
        raise refusal([Fault(pointer="/upstream", code="circular_dependency", detail=detail)]) from None

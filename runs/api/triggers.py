"""Reading a job's triggers: what they are, how often they fired, and each time they should have."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from jobs.fields import Absent, Instant, Text, Value
from runs import usage
from runs.api.finding import find_job
from runs.models import Run
from triggers.models import Kind, Misfire, Occurrence, Overlap, Trigger

PERMISSION = "triggers.view_trigger"


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
    rate_limit = Absent(wire.OBJECT_OR_NULL)

    cron = Text()
    timezone = serializers.SerializerMethodField()
    next_run_at = Instant()
    last_run_at = Instant()
    misfire = serializers.SerializerMethodField()
    overlap = serializers.SerializerMethodField()
    jitter_seconds = Value(wire.WHOLE)
    starts_at = Instant()
    ends_at = Instant()

    upstream = Absent(wire.TEXT_OR_NULL)
    condition = Absent(wire.TEXT_OR_NULL)
    delay_minutes = Absent(wire.NUMBER_OR_NULL)
    scheme = Absent(wire.TEXT_OR_NULL)

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

    @extend_schema_field({"type": ["string", "null"], "enum": [*Misfire.values, None]})
    def get_misfire(self, trigger: Trigger) -> str | None:
        return trigger.misfire if trigger.kind == Kind.SCHEDULE else None

    @extend_schema_field({"type": ["string", "null"], "enum": [*Overlap.values, None]})
    def get_overlap(self, trigger: Trigger) -> str | None:
        return trigger.overlap if trigger.kind == Kind.SCHEDULE else None

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
        return Trigger.objects.select_related("job").filter(job=job)

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
        return Response(trigger_objects([found])[0], headers={"ETag": f'"{found.version}"'})


class HistorySerializer(serializers.Serializer[Any]):
    """One time a trigger fired, or should have: when, and the run or the reason why none."""

    id = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    slot = Instant()
    outcome = Value({"type": "string", "enum": Occurrence.Outcome.values})
    reason = Text()
    run = Value(wire.WHOLE_OR_NULL)
    run_name = Value(wire.TEXT_OR_NULL)
    run_status = Value(wire.TEXT_OR_NULL)


class TriggerHistoryView(generics.ListAPIView[Any]):
    """List each time a trigger fired or should have."""

    required_permission = PERMISSION
    serializer_class = HistorySerializer
    queryset = Occurrence.objects.none()

    @property
    def job_lookup(self) -> str:
        """Both an occurrence and a run lead to the job in their own way."""
        return "trigger__job" if self._is_schedule else "job"

    def get_queryset(self) -> QuerySet[Any]:
        """A schedule's ledger of slots; of other kinds, which have no slots, the runs."""
        trigger = find_trigger(self.request, self.kwargs["slug"], self.kwargs["trigger"])
        self._is_schedule = trigger.kind == Kind.SCHEDULE
        if self._is_schedule:
            return Occurrence.objects.filter(trigger=trigger)
        return Run.objects.select_related("job").filter(trigger=trigger)

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List each slot of a schedule with its run or the reason why none, newest first.

        A trigger of another kind has no slots: its history are its runs.
        """
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        entries = _slots(page) if self._is_schedule else [_fired(run) for run in page]
        return self.get_paginated_response(HistorySerializer(entries, many=True).data)


def _slots(occurrences: Sequence[Occurrence]) -> list[dict[str, Any]]:
    ids = [entry.run_id for entry in occurrences if entry.run_id]
    runs = Run.objects.select_related("job").in_bulk(ids)
    return [
        {
            "id": entry.pk,
            "at": entry.created_at,
            "slot": entry.slot,
            "outcome": entry.outcome,
            "reason": entry.reason,
            **_run(entry.run_id, runs.get(entry.run_id or 0)),
        }
        for entry in occurrences
    ]


def _fired(run: Run) -> dict[str, Any]:
    outcome = Occurrence.Outcome.FIRED.value
    return {"id": run.pk, "at": run.created_at, "slot": None, "outcome": outcome, "reason": ""} | _run(
        run.pk, run
    )


def _run(number: int | None, run: Run | None) -> dict[str, Any]:
    """A run that was pruned keeps its id in the ledger."""
    return {
        "run": number,
        "run_name": run.name if run else None,
        "run_status": run.status if run else None,
    }

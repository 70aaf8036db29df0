"""Reading jobs: what can be run, with which parameters, and whether it may be started now."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.expectations import MASK, shown
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from jobs.models import DedupMode, Job, JobQuerySet
from jobs.versions import tag
from jobs.wire import InvalidQuery
from runs.api.finding import find_job

PERMISSION = "jobs.view_job"
# Parts of a configuration that may hold secrets: their names are shown, their values are not.
_SECRET_PARTS = frozenset({"headers", "env"})


class JobSerializer(serializers.Serializer[Job]):
    """A definition of work: executor, configuration, parameter schema and policies. Durations are seconds."""

    slug = Value(wire.SLUG)
    name = Value(wire.TEXT)
    description = Value(wire.TEXT)
    tags = Value(wire.TEXTS)
    owner = Value(wire.TEXT_OR_NULL, source="owner.username")
    status = serializers.SerializerMethodField()
    paused_at = Instant()
    paused_by = Text()
    paused_reason = Text()
    paused_until = Instant()
    broken_reason = Value(wire.TEXT_OR_NULL)

    executor = Value(wire.TEXT)
    configuration = serializers.SerializerMethodField()
    schema = Value(wire.OBJECT)
    defaults = serializers.SerializerMethodField()

    priority = Value(wire.WHOLE_OR_NULL)
    timeout_seconds = Value(wire.WHOLE)
    max_attempts = Value(wire.WHOLE)
    retry_first_delay_seconds = Value({"type": "number"})
    retry_longest_delay_seconds = Value({"type": "number"})
    retry_factor = Value({"type": "number"})
    retry_jitter = Value({"type": "number"})
    on_lost = Value({"type": "string", "enum": Job.OnLost.values})
    max_concurrent_runs = Value(wire.WHOLE_OR_NULL)
    concurrency_key_template = Value(wire.TEXT_OR_NULL)
    max_concurrent_per_key = Value(wire.WHOLE)
    max_starts = Value(wire.WHOLE_OR_NULL)
    starts_window_seconds = Value(wire.WHOLE)
    circuit_failure_rate = Value(wire.NUMBER_OR_NULL)
    circuit_min_calls = Value(wire.WHOLE)
    circuit_window_seconds = Value(wire.WHOLE)
    circuit_cooldown_seconds = Value(wire.WHOLE)
    circuit_per_host = Value(wire.YES_NO)
    circuit_target = Value(wire.TEXT_OR_NULL)
    start_within_seconds = Value(wire.WHOLE_OR_NULL)
    finish_within_seconds = Value(wire.WHOLE_OR_NULL)
    dedup_key_template = Value(wire.TEXT_OR_NULL)
    dedup_mode = Value({"type": "string", "enum": DedupMode.values})
    retain_for_seconds = Value(wire.WHOLE_OR_NULL)
    version = Value(wire.WHOLE)
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)

    @extend_schema_field({"type": "string", "enum": Job.Status.values})
    def get_status(self, job: Job) -> str:
        """A pause whose end has passed counts as active."""
        return str(job.effective_status(timezone.now()))

    @extend_schema_field(dict(wire.OBJECT))
    def get_configuration(self, job: Job) -> dict[str, Any]:
        """With the values of headers and of the environment hidden."""
        return {name: _hidden(name, value) for name, value in job.configuration.items()}

    @extend_schema_field(dict(wire.OBJECT))
    def get_defaults(self, job: Job) -> dict[str, Any]:
        """What the job's schema calls a secret is masked."""
        return parameters.mask(job.schema, job.defaults)


class StatusFilter(CharFilter):
    """By status, as people see it."""


class JobFilter(FilterSet):
    """The filters of `GET /api/jobs`; reading `qs` raises InvalidQuery."""

    status = extend_schema_field({"type": "string", "enum": Job.Status.values})(StatusFilter)(
        method="by_status"
    )

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []

    def by_status(self, queryset: JobQuerySet, name: str, value: str) -> JobQuerySet:
        """Raises InvalidQuery."""
        if value in Job.Status.values:
            return queryset.shown_as(value)
        detail = f"{name!r} is {shown(value)}; expected one of {', '.join(Job.Status.values)}."
        raise InvalidQuery([Fault(pointer=f"/{name}", code="value", detail=detail)])


class JobListView(generics.ListAPIView[Job]):
    """List jobs."""

    required_permission = PERMISSION
    queryset = Job.objects.select_related("owner")
    serializer_class = JobSerializer
    filterset_class = JobFilter
    job_lookup: ClassVar = "pk"

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List jobs, newest first."""
        return super().get(request, *arguments, **options)


class JobView(generics.RetrieveAPIView[Job]):
    """Read one job."""

    required_permission = PERMISSION
    queryset = Job.objects.select_related("owner")
    serializer_class = JobSerializer
    lookup_field = "slug"
    job_lookup: ClassVar = "pk"

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """Read one job; the header `ETag` is its version."""
        job = find_job(request, self.kwargs["slug"])
        return Response(self.get_serializer(job).data, headers=tag(job.version))


def _hidden(name: str, value: Any) -> Any:
    if name in _SECRET_PARTS and isinstance(value, Mapping):
        return dict.fromkeys(value, MASK)
    return value

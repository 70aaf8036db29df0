"""What happened to one job: its runs, and how they ended."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from runs import tallies
from runs.api.finding import find_job
from runs.api.objects import RELATED
from runs.api.runs import RunListView
from runs.models import Run


class JobRunsView(RunListView):
    """List a job's runs."""

    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        """The runs of the job in the address."""
        job = find_job(self.request, self.kwargs["slug"])
        return Run.objects.select_related(*RELATED).filter(job=job)

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List a job's runs, newest first."""
        return super().list(request, *arguments, **options)


class StatsSerializer(serializers.Serializer[Any]):
    """How a job's runs ended so far. Durations are those of runs that succeeded."""

    job = serializers.SerializerMethodField()
    run_count = Value(wire.WHOLE)
    succeeded = Value(wire.WHOLE)
    failed = Value(wire.WHOLE)
    cancelled = Value(wire.WHOLE)
    skipped = Value(wire.WHOLE)
    success_rate = Value(wire.NUMBER_OR_NULL)
    average_duration_seconds = Value(wire.NUMBER_OR_NULL)
    last_run_id = Value(wire.WHOLE_OR_NULL)
    last_run_at = Instant()
    last_run_status = Value(wire.TEXT_OR_NULL)

    @extend_schema_field(dict(wire.SLUG))
    def get_job(self, counts: tallies.Counts) -> str:
        """The job's slug."""
        return str(self.context["job"])


class JobStatsView(Endpoint):
    """Read how a job's runs ended."""

    answers: ClassVar = {200: StatsSerializer}

    def get(self, request: Request, slug: str) -> Response:
        """Read how a job's runs ended, from counters that change with each ending."""
        job = find_job(request, slug)
        counts = tallies.of_job(job.pk)
        return Response(StatsSerializer(counts, context={"job": job.slug}).data)

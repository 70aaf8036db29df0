"""What happened to one job: its runs, and how they ended."""

from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from runs import analytics, tallies
from runs.api.finding import find_job
from runs.api.objects import RELATED
from runs.api.runs import RunListView
from runs.models import Run
from runs.stats import SPREAD

DAYS: Final = 30
COUNTS: Final = (
    *("run_count", "succeeded", "failed", "cancelled", "skipped", "success_rate", "average_duration_seconds"),
    *("last_run_id", "last_run_at", "last_run_status"),
)


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
    """How a job's runs ended so far; the mean duration is that of succeeded ones.

    p50 and p95 are of all that had started, of those that ended in the last 30 days.
    """

    job = Value(wire.SLUG)
    run_count = Value(wire.WHOLE)
    succeeded = Value(wire.WHOLE)
    failed = Value(wire.WHOLE)
    cancelled = Value(wire.WHOLE)
    skipped = Value(wire.WHOLE)
    success_rate = Value(wire.NUMBER_OR_NULL)
    average_duration_seconds = Value(wire.NUMBER_OR_NULL)
    wait_p50_seconds = Value(wire.NUMBER_OR_NULL)
    wait_p95_seconds = Value(wire.NUMBER_OR_NULL)
    duration_p50_seconds = Value(wire.NUMBER_OR_NULL)
    duration_p95_seconds = Value(wire.NUMBER_OR_NULL)
    last_run_id = Value(wire.WHOLE_OR_NULL)
    last_run_at = Instant()
    last_run_status = Value(wire.TEXT_OR_NULL)


class JobStatsView(Endpoint):
    """Read how a job's runs ended."""

    answers: ClassVar = {200: StatsSerializer}

    def get(self, request: Request, slug: str) -> Response:
        """Read how a job's runs ended, from counters that change with each ending."""
        job = find_job(request, slug)
        counts = tallies.of_job(job.pk)
        lately = analytics.use(analytics.last_days(timezone.now(), DAYS, jobs=[job.pk])).total
        told = {name: getattr(counts, name) for name in COUNTS} | {
            name: getattr(lately, name) for name in SPREAD
        }
        return Response(StatsSerializer({"job": job.slug, **told}).data)

"""Scheduled jobs: jobs with at least one schedule, their counts and their history (product.md, Scheduled job).

Single-valued fields are those of the schedule whose slot comes next.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.db.models import Exists, OuterRef
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from jobs.models import Job, JobQuerySet
from runs import tallies
from runs.api.launching import find_scheduled_job
from runs.api.objects import RELATED, RunSerializer, run_objects
from runs.models import Run
from triggers import schedules
from triggers.models import Kind, Trigger
from triggers.visibility import visible_jobs

_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
_STATUS: Final = {"type": "string", "enum": Job.Status.values}
_YES: Final = {"type": "boolean", "default": True}


class ScheduledJobSerializer(serializers.Serializer[Any]):
    """A job with a schedule, and how its runs of every kind have ended so far."""

    scheduled_job_id = Value(wire.SLUG)
    name = Value(wire.TEXT)
    status = Value(_STATUS)
    cron_expression = Value(wire.TEXT)
    timezone = Value(wire.TEXT)
    parameters = Value(wire.OBJECT)
    run_count = Value(wire.WHOLE)
    last_run_at = Instant()
    last_run_status = Value(wire.TEXT_OR_NULL)
    last_run_id = Value(wire.WHOLE_OR_NULL)
    next_run_at = Instant()
    success_rate = Value(wire.NUMBER_OR_NULL)
    average_duration_seconds = Value(wire.NUMBER_OR_NULL)


class ScheduledJobsSerializer(serializers.Serializer[Any]):
    """Scheduled jobs, and how many there are in all."""

    scheduled_jobs = ScheduledJobSerializer(many=True, read_only=True)
    total = Value(wire.WHOLE)


class ScheduledJobHistorySerializer(serializers.Serializer[Any]):
    """A scheduled job with its latest runs, by hand and by the clock together."""

    scheduled_job = ScheduledJobSerializer(read_only=True)
    job_runs = RunSerializer(many=True, read_only=True)
    total_runs = Value(wire.WHOLE)


class ScheduledJobListView(Endpoint):
    """List scheduled jobs."""

    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "status": {**_STATUS, "description": "Only those of this status; without it, all."},
            "limit": {**_LIMIT, "description": "How many at most."},
        },
    }
    answers: ClassVar = {200: ScheduledJobsSerializer}

    def get(self, request: Request) -> Response:
        """List scheduled jobs with the numbers of their runs, in the order of their names."""
        jobs = _scheduled(visible_jobs(request.auth), status=self.asked.get("status"))
        page = list(jobs.order_by("name", "pk")[: self.asked["limit"]])
        return Response({"scheduled_jobs": scheduled_job_objects(page), "total": jobs.count()})


class ScheduledJobView(Endpoint):
    """Read one scheduled job with its runs."""

    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "include_runs": {**_YES, "description": "Whether `job_runs` is filled."},
            "limit": {**_LIMIT, "description": "How many runs at most."},
        },
    }
    answers: ClassVar = {200: ScheduledJobHistorySerializer}

    def get(self, request: Request, slug: str) -> Response:
        """Read one scheduled job with its latest runs, newest first; `total_runs` counts those that ended."""
        job = find_scheduled_job(request, slug)
        described = scheduled_job_objects([job])[0]
        runs: list[Run] = []
        if self.asked["include_runs"]:
            history = Run.objects.select_related(*RELATED).filter(job=job).order_by("-pk")
            runs = list(history[: self.asked["limit"]])
        return Response(
            {
                "scheduled_job": described,
                "job_runs": run_objects(runs, request),
                "total_runs": described["run_count"],
            }
        )


def scheduled_job_objects(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The objects of `jobs`, each of which has a schedule; three queries for any number."""
    counts = tallies.of_jobs(job.pk for job in jobs)
    leading = _leading_schedules(jobs)
    described = [_described(job, leading[job.pk], counts[job.pk]) for job in jobs]
    return list(ScheduledJobSerializer(described, many=True).data)


def _described(job: Job, schedule: Trigger, counts: tallies.Counts) -> dict[str, Any]:
    merged = parameters.merge(job.defaults, schedule.parameters)
    return {
        "scheduled_job_id": job.slug,
        "name": job.name,
        "status": job.effective_status(timezone.now()),
        "cron_expression": schedule.cron,
        "timezone": str(schedule.timezone),
        "parameters": parameters.mask(job.schema, merged),
        "next_run_at": next_run_at(schedule),
        **{
            name: getattr(counts, name)
            for name in ("run_count", "last_run_at", "last_run_status", "last_run_id")
        },
        "success_rate": counts.success_rate,
        "average_duration_seconds": counts.average_duration_seconds,
    }


def next_run_at(schedule: Trigger) -> Any:
    """When the schedule fires next; worked out where beat has not yet planned it after a change."""
    if not schedule.enabled or schedule.exhausted:
        return None
    if schedule.next_run_at is not None:
        return schedule.next_run_at
    slot = schedules.next_slot(schedule, after=timezone.now())
    return slot + schedules.jitter(schedule) if slot else None


def _leading_schedules(jobs: Sequence[Job]) -> dict[int, Trigger]:
    """Of each job the schedule that fires next; of schedules that don't fire any more, the newest."""
    found = Trigger.objects.schedules().filter(job__in=jobs).order_by("pk")
    planned = [(schedule, next_run_at(schedule)) for schedule in found]
    planned.sort(key=lambda pair: (pair[1] is None, pair[1].timestamp() if pair[1] else -pair[0].pk))
    leading: dict[int, Trigger] = {}
    for schedule, _ in planned:
        leading.setdefault(schedule.job_id, schedule)
    return leading


def _scheduled(jobs: JobQuerySet, *, status: str | None) -> JobQuerySet:
    found = jobs.filter(Exists(Trigger.objects.filter(job=OuterRef("pk"), kind=Kind.SCHEDULE)))
    return found if status is None else found.shown_as(status)

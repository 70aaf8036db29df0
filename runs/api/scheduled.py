"""Scheduled jobs: jobs with at least one schedule, their counts and history, and running one by hand (S1).

Single-valued fields are those of the schedule whose slot comes next.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from django.db.models import Exists, OuterRef
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.fields import Instant, Value
from jobs.models import Job, JobQuerySet
from runs import tallies
from runs.api.bodies import launch_body, launch_schema
from runs.api.finding import find_run, find_scheduled_job
from runs.api.launching import LaunchView
from runs.api.objects import RELATED, RunSerializer, run_objects
from runs.models import Run, TriggerKind
from triggers.leading import leading, next_run_at
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


class TriggerScheduledJobView(LaunchView):
    """Launch a manual run of a scheduled job."""

    body_schema = launch_schema(TriggerKind.MANUAL)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a manual run of a scheduled job with its schedule's parameters; its next slot stays where it is."""
        body = launch_body(request, self.body_schema)
        return _run_now(self, request, find_scheduled_job(request, slug), body)


class TriggerNamedScheduledJobView(LaunchView):
    """Launch a manual run of the scheduled job that the body names."""

    body_schema = launch_schema(TriggerKind.MANUAL, naming="job_id")

    def post(self, request: Request) -> Response:
        """Launch a manual run of the scheduled job that `job_id` names.

        `job_id` may also be an earlier run's id or name: then its job is run with that run's parameters.
        """
        body = launch_body(request, self.body_schema)
        name = body["job_id"]
        missing = f"There is no scheduled job {shown(name)}."
        job = _scheduled(visible_jobs(request.auth), status=None).filter(slug=name).first()
        if job is not None:
            return _run_now(self, request, job, body)
        earlier = find_run(request, name, missing=missing)
        return _run_now(self, request, earlier.job, body, earlier=earlier)


def _run_now(
    view: LaunchView, request: Request, job: Job, body: Mapping[str, Any], *, earlier: Run | None = None
) -> Response:
    """Launches with the given parameters over those of the earlier run or, without one, of the schedule."""
    schedule = leading([job], now=timezone.now()).get(job.pk)
    base = earlier.parameters if earlier else schedule.parameters if schedule else {}
    merged = {**body, "parameters": parameters.merge(base, body.get("parameters"))}
    message = f"Triggered scheduled job '{job.name}' to run immediately"
    return view.run_by_hand(request, job, merged, message=message)


def scheduled_job_objects(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The objects of `jobs`, each of which has a schedule; three queries for any number."""
    counts = tallies.of_jobs(job.pk for job in jobs)
    schedules = leading(jobs, now=timezone.now())
    described = [_described(job, schedules[job.pk], counts[job.pk]) for job in jobs]
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
        "next_run_at": next_run_at(schedule, now=timezone.now()),
        **{
            name: getattr(counts, name)
            for name in ("run_count", "last_run_at", "last_run_status", "last_run_id")
        },
        "success_rate": counts.success_rate,
        "average_duration_seconds": counts.average_duration_seconds,
    }


def _scheduled(jobs: JobQuerySet, *, status: str | None) -> JobQuerySet:
    found = jobs.filter(Exists(Trigger.objects.filter(job=OuterRef("pk"), kind=Kind.SCHEDULE)))
    return found if status is None else found.shown_as(status)

"""Making, changing and removing jobs, and holding them up."""

from operator import attrgetter
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import pausing, wire
from jobs.endpoint import Endpoint, described
from jobs.models import Job
from jobs.pausing import REASON_LENGTH
from jobs.versions import hold, tag
from jobs.wire import InvalidBody
from runs.api import bodies, job_bodies
from runs.api.finding import actor, find_job
from runs.api.job_objects import JobListView, JobSerializer, JobView
from runs.launch import LaunchRefused
from triggers.models import ApiKey, Scope

PAUSE: wire.Schema = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": REASON_LENGTH, "description": "Shown with the job."},
        "until": {
            "anyOf": [wire.INSTANT, {"type": "null"}],
            "description": "When the pause ends by itself; null: when somebody resumes it.",
        },
    },
    "additionalProperties": False,
}


class JobsView(JobListView):
    """List jobs, or make one."""

    required_scope: ClassVar = {
        "GET": Scope.READ, "HEAD": Scope.READ, "OPTIONS": Scope.READ, "POST": Scope.WRITE,
    }  # fmt: skip

    @property
    def required_permission(self) -> str:  # type: ignore[override]
        """What a person needs for this method."""
        return "jobs.add_job" if self.request.method == "POST" else "jobs.view_job"

    @described(body=job_bodies.NEW, answers={201: JobSerializer})
    def post(self, request: Request) -> Response:
        """Make a job, owned by the caller; one of a function takes its parameters unless the body says others."""
        if isinstance(request.auth, ApiKey) and request.auth.restricted:
            raise PermissionDenied("This API key has a list of jobs, on which a new one would not be.")
        body = wire.body(request, job_bodies.NEW)
        job = Job(slug=body["slug"], executor=body["executor"], owner=cast(User, request.user))
        with transaction.atomic():
            job.configuration = body.get("configuration", {})
            job.schema, job.defaults = body.get("schema", {}), body.get("defaults", {})
            job_bodies.take_from_function(job)
            kept = {"schema": job.schema, "defaults": job.defaults}
            job_bodies.lay(job, {**body, **kept}, whole=True)
            job.save(force_insert=True)
        address = request.build_absolute_uri(f"/api/jobs/{job.slug}")
        return _answer(job, status=201, headers={"Location": address})


class JobEditView(JobView):
    """Read, change or remove one job."""

    permissions: ClassVar = {"PUT": "change", "PATCH": "change", "DELETE": "delete"}
    conditional: ClassVar = True
    required_scope: ClassVar = {
        "GET": Scope.READ, "HEAD": Scope.READ, "OPTIONS": Scope.READ,
        "PUT": Scope.WRITE, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE,
    }  # fmt: skip

    @property
    def required_permission(self) -> str:  # type: ignore[override]
        """What a person needs for this method."""
        return f"jobs.{self.permissions.get(self.request.method or '', 'view')}_job"

    @described(body=job_bodies.WHOLE, answers={200: JobSerializer})
    def put(self, request: Request, slug: str) -> Response:
        """Write one job whole: what the body does not name becomes what it is by default."""
        return self._change(request, slug, whole=True)

    @described(body=job_bodies.CHANGES, answers={200: JobSerializer})
    def patch(self, request: Request, slug: str) -> Response:
        """Change what the body names of one job."""
        return self._change(request, slug, whole=False)

    @described(answers={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove one job that never ran; the history of one that did is not to be lost (409)."""
        with transaction.atomic():
            job = _held(request, slug)
            if job.runs.exists():
                raise LaunchRefused(
                    f"The job {slug!r} has runs, so it can't be deleted: make it inactive instead."
                )
            try:
                job.delete()
            except ProtectedError:
                raise LaunchRefused(
                    f"The job {slug!r} is needed by others, so it can't be deleted."
                ) from None
        return Response(status=204)

    def _change(self, request: Request, slug: str, *, whole: bool) -> Response:
        body = wire.body(request, job_bodies.WHOLE if whole else job_bodies.CHANGES)
        with transaction.atomic():
            job = _held(request, slug)
            names = job_bodies.lay(job, body, whole=whole)
            job.save(update_fields=sorted({*names, "updated_at"}))
        return _answer(job)


class PauseJobView(Endpoint):
    """Pause a job."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "jobs.pause_job"
    body_schema = PAUSE
    answers: ClassVar = {200: JobSerializer}

    def post(self, request: Request, slug: str) -> Response:
        """Pause a job: its queued runs wait, slots are skipped, launches are refused, until the pause ends."""
        body = wire.body(request, self.body_schema)
        until = wire.instant_of(body, "until", InvalidBody)
        job = find_job(request, slug)
        pausing.pause(job, by=actor(request), reason=body.get("reason", ""), until=until)
        return _answer(job)


class ResumeJobView(Endpoint):
    """Let a job go on."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "jobs.pause_job"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: JobSerializer}

    def post(self, request: Request, slug: str) -> Response:
        """Let a paused job go on; one that is not paused stays as it is."""
        wire.body(request, self.body_schema)
        job = find_job(request, slug)
        pausing.resume(job, by=actor(request))
        return _answer(job)


def _held(request: Request, slug: str) -> Job:
    """The job, which nobody else can change meanwhile; raises NotFound and PreconditionFailed."""
    return hold(request, find_job(request, slug), version=attrgetter("version"), noun="job")


def _answer(job: Job, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The job as it stands now, and its version."""
    fresh: Any = Job.objects.select_related("owner").get(pk=job.pk)
    return Response(
        JobSerializer(fresh).data, status=status, headers={**tag(fresh.version), **(headers or {})}
    )

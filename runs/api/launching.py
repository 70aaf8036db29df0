"""The doors by which programs launch runs; the door decides the kind of the run (product.md, Kind by door)."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.models import Job
from jobs.wire import InvalidHeader
from runs import causes, idempotency, launch
from runs.api import bodies
from runs.api.objects import LaunchedSerializer, launched_object
from runs.idempotency import Answer
from runs.launch import Launched
from runs.models import Run, TriggerKind
from triggers.models import ApiKey, Kind, Scope, Trigger
from triggers.visibility import visible, visible_jobs

_KEY = re.compile(f"[!-~]([ -~]{{0,{idempotency.KEY_LENGTH - 2}}}[!-~])?")


class LaunchView(Endpoint):
    """Checks, launches once for each Idempotency-Key, and answers 202, or 200 for what was there before."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "jobs.run_job"
    launches: ClassVar = True
    answers: ClassVar = {200: LaunchedSerializer, 202: LaunchedSerializer}

    def initial(self, request: Request, *arguments: Any, **options: Any) -> None:
        """Keeps the body's bytes, which a repetition is known by, before anything reads them as a stream."""
        super().initial(request, *arguments, **options)
        self.raw_body = request._request.body

    def launched(self, request: Request, make: Callable[[], Launched], *, message: str) -> Response:
        """Launches by `make` unless this is a repetition; `message` is for a run that was made just now."""
        done = self._once(request, make)
        run = done.launched.run
        if not done.launched.created:
            message = f"Run #{run.pk} with the same dedup key is still {run.status}; nothing was launched."
        body = launched_object(run, request, message=message, deduplicated=not done.launched.created)
        headers = {"Location": body["links"]["self"]}
        if done.replayed:
            headers["Idempotent-Replayed"] = "true"
        new = done.launched.created and not done.replayed
        return Response(body, status=202 if new else 200, headers=headers)

    def _once(self, request: Request, make: Callable[[], Launched]) -> Answer:
        """Launches once for the request's Idempotency-Key; without one, each time."""
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return Answer(launched=make(), replayed=False)
        if not _KEY.fullmatch(key):
            raise InvalidHeader([_bad_key(key)])
        by_key = isinstance(request.auth, ApiKey)
        return idempotency.once(
            credential=f"key:{request.auth.pk}" if by_key else f"user:{request.user.pk}",
            key=key,
            fingerprint=idempotency.fingerprint(path=request.path, body=self.raw_body),
            launch=make,
        )


class RunNamedJobView(LaunchView):
    """Launch a manual run of the job that the body names."""

    body_schema = bodies.launch_schema(TriggerKind.MANUAL, naming="job")

    def post(self, request: Request) -> Response:
        """Launch a manual run of the job that the body names."""
        body = bodies.launch_body(request, self.body_schema)
        return run_by_hand(self, request, find_job(request, body["job"]), body)


class RunJobView(LaunchView):
    """Launch a manual run of the job."""

    body_schema = bodies.launch_schema(TriggerKind.MANUAL)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a manual run of the job."""
        job = find_job(request, slug)
        return run_by_hand(self, request, job, bodies.launch_body(request, self.body_schema))


class TriggerJobView(LaunchView):
    """Launch a remote run by the job's remote trigger."""

    body_schema = bodies.launch_schema(TriggerKind.REMOTE)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a remote run: the door for other systems, by the job's remote trigger."""
        job = find_job(request, slug)
        wanted = bodies.launch_request(bodies.launch_body(request, self.body_schema))

        def make() -> Launched:
            cause = causes.remote(trigger=_remote_trigger(job), **caller(request))
            return launch.launch(job, cause=cause, request=wanted)

        return self.launched(request, make, message=f"Triggered job '{job.name}'")


class TriggerScheduledJobView(LaunchView):
    """Launch a manual run of a scheduled job; its next slot stays where it is."""

    body_schema = bodies.launch_schema(TriggerKind.MANUAL)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a manual run of a scheduled job at once; its next slot stays where it is."""
        job = find_scheduled_job(request, slug)
        body = bodies.launch_body(request, self.body_schema)
        return run_by_hand(self, request, job, body, message=_immediately(job))


class TriggerNamedScheduledJobView(LaunchView):
    """Launch a manual run of the scheduled job that the body names."""

    body_schema = bodies.launch_schema(TriggerKind.MANUAL, naming="job_id")

    def post(self, request: Request) -> Response:
        """Launch a manual run of the scheduled job that `job_id` names.

        `job_id` may also be an earlier run's id or name: then its job is run with that run's parameters.
        """
        body = bodies.launch_body(request, self.body_schema)
        name = body["job_id"]
        job = visible_jobs(request.auth).filter(slug=name, triggers__kind=Kind.SCHEDULE).first()
        if job is None:
            earlier = find_run(request, name, missing=f"There is no scheduled job {shown(name)}.")
            job = earlier.job
            body["parameters"] = {**earlier.parameters, **body.get("parameters", {})}
        return run_by_hand(self, request, job, body, message=_immediately(job))


def run_by_hand(
    view: LaunchView, request: Request, job: Job, body: dict[str, Any], *, message: str = ""
) -> Response:
    """Launches a manual run of `job`."""
    wanted = bodies.launch_request(body)

    def make() -> Launched:
        return launch.launch(job, cause=causes.manual(**caller(request)), request=wanted)

    return view.launched(request, make, message=message or f"Launched job '{job.name}'")


def caller(request: Request) -> dict[str, Any]:
    """Who acts, as causes take it: the key, or without one the person."""
    if isinstance(request.auth, ApiKey):
        return {"api_key": request.auth}
    return {"user": request.user}


def find_job(request: Request, slug: str) -> Job:
    """The job of that slug; raises NotFound, as well if the key may not see it."""
    job = visible_jobs(request.auth).filter(slug=slug).first()
    if job is None:
        raise NotFound(f"There is no job {shown(slug)}.")
    return job


def find_scheduled_job(request: Request, slug: str) -> Job:
    """The job of that slug if it has a schedule; raises NotFound."""
    job = find_job(request, slug)
    if not job.triggers.filter(kind=Kind.SCHEDULE).exists():
        raise NotFound(f"The job {shown(slug)} has no schedule.")
    return job


def find_run(request: Request, text: str, *, missing: str = "") -> Run:
    """The run of that id or name; raises NotFound, as well if the key may not see its job."""
    runs = visible(Run.objects.named(text), auth=request.auth, lookup="job")
    run = runs.select_related("job", "api_key", "created_by").first()
    if run is None:
        raise NotFound(missing or f"There is no run {shown(text)}.")
    return run


def _remote_trigger(job: Job) -> Trigger:
    trigger = job.triggers.filter(kind=Kind.REMOTE).first()
    if trigger is None:
        raise launch.TriggerDisabled(f"The job {job.slug!r} has no remote trigger.")
    return trigger


def _bad_key(key: str) -> Fault:
    most = idempotency.KEY_LENGTH
    detail = f"The Idempotency-Key is {shown(key)}; expected 1 to {most} printable characters of ASCII."
    return Fault(pointer="/Idempotency-Key", code="format", detail=detail)


def _immediately(job: Job) -> str:
    return f"Triggered scheduled job '{job.name}' to run immediately"

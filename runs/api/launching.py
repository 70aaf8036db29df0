"""The doors by which programs launch runs; the door decides the kind of the run (product.md, Kind by door)."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.models import Job
from jobs.wire import InvalidHeader
from runs import causes, idempotency, launch
from runs.api import bodies
from runs.api.finding import caller, find_job, in_chain
from runs.api.objects import LaunchedSerializer, launched_object
from runs.idempotency import Answer
from runs.launch import Launched
from runs.models import TriggerKind
from triggers import limits
from triggers.models import ApiKey, Kind, Scope, Trigger

_KEY = re.compile(f"[!-~]([ -~]{{0,{idempotency.KEY_LENGTH - 2}}}[!-~])?")


class LaunchView(Endpoint):
    """Checks, launches once for each Idempotency-Key, and answers 202, or 200 for what was there before."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "jobs.run_job"
    launches: ClassVar = True
    answers: ClassVar = {200: LaunchedSerializer, 202: LaunchedSerializer}

    def initialize_request(self, request: HttpRequest, *arguments: Any, **options: Any) -> Request:
        """Keeps the body's bytes, which a repetition is known by, before anything reads them as a stream."""
        self.raw_body = request.body
        return super().initialize_request(request, *arguments, **options)

    def launched(self, request: Request, make: Callable[[], Launched], *, message: str) -> Response:
        """Launches by `make` unless this is a repetition; `message` is for a run that was made just now."""
        done = self._once(request, make)
        run = done.launched.run
        if not done.launched.created:
            message = f"Run #{run.pk} with the same dedup key is still {run.status}; nothing was launched."
        body = launched_object(done.launched, request, message=message)
        headers = {"Location": body["links"]["self"]}
        if done.replayed:
            headers["Idempotent-Replayed"] = "true"
        new = done.launched.created and not done.replayed
        return Response(body, status=202 if new else 200, headers=headers)

    def run_by_hand(
        self, request: Request, job: Job, body: Mapping[str, Any], *, message: str = ""
    ) -> Response:
        """Launches a manual run of `job` as `body` wishes."""
        wanted = bodies.launch_request(body)

        def make() -> Launched:
            cause = in_chain(request, causes.manual(**caller(request)))
            return launch.launch(job, cause=cause, request=wanted)

        return self.launched(request, make, message=message or f"Launched job '{job.name}'")

    def _once(self, request: Request, make: Callable[[], Launched]) -> Answer:
        """Launches once for the request's Idempotency-Key; without one, each time."""
        key = idempotency_key(request)
        if key is None:
            return Answer(launched=make(), replayed=False)
        return idempotency.once(
            credential=credential(request),
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
        return self.run_by_hand(request, find_job(request, body["job"]), body)


class RunJobView(LaunchView):
    """Launch a manual run of the job."""

    body_schema = bodies.launch_schema(TriggerKind.MANUAL)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a manual run of the job."""
        job = find_job(request, slug)
        return self.run_by_hand(request, job, bodies.launch_body(request, self.body_schema))


class TriggerJobView(LaunchView):
    """Launch a remote run by the job's remote trigger."""

    body_schema = bodies.launch_schema(TriggerKind.REMOTE)

    def post(self, request: Request, slug: str) -> Response:
        """Launch a remote run: the door for other systems, by the job's remote trigger."""
        job = find_job(request, slug)
        wanted = bodies.launch_request(bodies.launch_body(request, self.body_schema))

        def make() -> Launched:
            trigger = _remote_trigger(job)
            limits.take_of_trigger(trigger)
            cause = in_chain(request, causes.remote(trigger=trigger, **caller(request)))
            return launch.launch(job, cause=cause, request=wanted)

        return self.launched(request, make, message=f"Triggered job '{job.name}'")


def idempotency_key(request: Request) -> str | None:
    """The key by which a repetition of the request is known, if it has one; raises InvalidHeader."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidHeader([_bad_key(key)])
    return key


def credential(request: Request) -> str:
    """Whose the idempotency keys of a request are."""
    return f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"


def _remote_trigger(job: Job) -> Trigger:
    trigger = job.triggers.select_related("job").filter(kind=Kind.REMOTE).first()
    if trigger is None:
        raise launch.TriggerDisabled(f"The job {job.slug!r} has no remote trigger.")
    return trigger


def _bad_key(key: str) -> Fault:
    most = idempotency.KEY_LENGTH
    detail = f"The Idempotency-Key is {shown(key)}; expected 1 to {most} printable characters of ASCII."
    return Fault(pointer="/Idempotency-Key", code="format", detail=detail)

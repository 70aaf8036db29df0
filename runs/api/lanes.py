"""Holding lanes and workers: pause and resume a lane, drain a worker and let it take work again."""

from typing import ClassVar

from django.utils import timezone
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from runs import draining, lanes, pinging, queues
from runs.api import bodies
from runs.api.finding import actor, caller
from runs.api.operations import OperationSerializer
from runs.api.stats import QueueSerializer, WorkerSerializer
from runs.launch import LaunchRefused
from runs.models import Lane, Worker
from triggers.models import ApiKey, Scope


class LaneEndpoint(Endpoint):
    """An act on a lane or worker, which carries everybody's runs: no key that is bound to some jobs may do it."""

    required_permission: ClassVar = "runs.change_lane"
    body_schema = bodies.NOTHING

    def initial(self, request: Request, *arguments: object, **options: object) -> None:
        """After what every address asks: raises PermissionDenied for a key that is bound to some jobs."""
        super().initial(request, *arguments, **options)
        if isinstance(request.auth, ApiKey) and request.auth.allowed_jobs() is not None:
            raise PermissionDenied("This key is bound to some jobs, and lanes and workers carry all of them.")


class PauseLaneView(LaneEndpoint):
    """Pause a lane."""

    body_schema: ClassVar = {
        "type": "object",
        "properties": {"reason": {"type": "string", "maxLength": lanes.REASON_LENGTH}},
        "additionalProperties": False,
    }
    answers: ClassVar = {200: QueueSerializer}

    def post(self, request: Request, lane: str) -> Response:
        """Pause a lane: nothing of it starts until somebody resumes it; what runs goes on."""
        body = wire.body(request, self.body_schema)
        lanes.pause(_lane(lane), by=actor(request), reason=body.get("reason", ""))
        return _told(lane)


class ResumeLaneView(LaneEndpoint):
    """Resume a lane."""

    answers: ClassVar = {200: QueueSerializer}

    def post(self, request: Request, lane: str) -> Response:
        """Resume a lane: what waits in it may start again, at once."""
        wire.body(request, self.body_schema)
        lanes.resume(_lane(lane), by=actor(request))
        return _told(lane)


class PurgeLaneView(LaneEndpoint):
    """Cancel all that waits in a lane."""

    required_scope = Scope.CANCEL
    body_schema: ClassVar = {
        "type": "object",
        "properties": {"confirm": {"type": "string", "description": "The lane's name once more."}},
        "required": ["confirm"],
        "additionalProperties": False,
    }
    answers: ClassVar = {202: OperationSerializer}

    def post(self, request: Request, lane: str) -> Response:
        """Cancel all that waits in a lane, in the background; `confirm` says the lane's name once more."""
        found, typed = _lane(lane), wire.body(request, self.body_schema)["confirm"]
        made = lanes.purge(found, confirmed=typed, **{"user": None, **caller(request)})
        return Response(OperationSerializer(made).data, status=202)


class DrainView(LaneEndpoint):
    """Drain a worker."""

    required_permission: ClassVar = "runs.change_worker"
    answers: ClassVar = {200: WorkerSerializer}

    def post(self, request: Request, worker: int) -> Response:
        """Drain a worker: it claims nothing more, what it carries goes on. One that drains already is a 409."""
        wire.body(request, self.body_schema)
        found = _worker(worker)
        if not draining.drain(found, by=actor(request)):
            raise LaunchRefused(f"The worker {found.name} (#{found.pk}) drains already, or is gone.")
        return _carrying(found)


class ResumeWorkerView(LaneEndpoint):
    """Let a draining worker take work again."""

    required_permission: ClassVar = "runs.change_worker"
    answers: ClassVar = {200: WorkerSerializer}

    def post(self, request: Request, worker: int) -> Response:
        """Let a draining worker take work again. One that doesn't drain is a 409."""
        wire.body(request, self.body_schema)
        found = _worker(worker)
        if not draining.take_back(found, by=actor(request)):
            raise LaunchRefused(f"The worker {found.name} (#{found.pk}) doesn't drain, or is gone.")
        return _carrying(found)


class PingView(LaneEndpoint):
    """Ping a worker."""

    required_permission: ClassVar = "runs.change_worker"
    answers: ClassVar = {200: WorkerSerializer}

    def post(self, request: Request, worker: int) -> Response:
        """Ping a worker: `ping_seconds` is how long the question and the answer took. No answer in 3 s is a 409."""
        wire.body(request, self.body_schema)
        found = _worker(worker)
        if (seconds := pinging.ping(found)) is None:
            raise LaunchRefused(pinging.words(found, seconds))
        return _carrying(found)


def _lane(name: str) -> Lane:
    lane = Lane.objects.filter(pk=name).first()
    if lane is None:
        raise NotFound(f"There is no lane {shown(name)}.")
    return lane


def _worker(number: int) -> Worker:
    worker = Worker.objects.filter(pk=number).first() if number < 2**63 else None
    if worker is None:
        raise NotFound(f"There is no worker {number}.")
    return worker


def _told(name: str) -> Response:
    (queue,) = [queue for queue in queues.queues(timezone.now()) if queue.lane.name == name]
    return Response(QueueSerializer(queue).data)


def _carrying(worker: Worker) -> Response:
    worker.refresh_from_db()
    busy = queues.busy([worker])
    seen = {run.pk for run in busy[worker.pk]}
    return Response(WorkerSerializer(worker, context={"busy": busy, "seen": seen}).data)

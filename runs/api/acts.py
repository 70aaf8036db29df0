"""Acting on one run: cancel it, launch it once more, launch it with other parameters."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from runs import causes, launch, lifecycle, urgency
from runs.api import bodies
from runs.api.finding import actor, caller, find_run, in_chain
from runs.api.launching import LaunchView
from runs.api.objects import RunSerializer, run_object
from runs.launch import Launched, LaunchRefused
from runs.models import Run
from runs.status import Status
from triggers.models import Scope


class CancelView(Endpoint):
    """Cancel a run."""

    required_scope = Scope.CANCEL
    required_permission: ClassVar = "runs.cancel_run"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: RunSerializer, 202: RunSerializer}

    def post(self, request: Request, run: str) -> Response:
        """Cancel a run: 200 if it is cancelled now, 202 if it runs and was asked to stop.

        A run that was asked is `cancelled` only when its work has really stopped: follow it with `wait`. One
        that had ended otherwise before is a 409.
        """
        wire.body(request, self.body_schema)
        found = find_run(request, run)
        lifecycle.cancel(Run.objects.filter(pk=found.pk), by=actor(request))
        found = find_run(request, run)
        if found.is_final and found.status != Status.CANCELLED:
            raise LaunchRefused(
                f"Run #{found.pk} has ended before: {found.status}. Only an open run can be cancelled."
            )
        return Response(run_object(found, request), status=200 if found.is_final else 202)


class PriorityView(Endpoint):
    """Change the priority of a run that has not started."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "runs.prioritise_run"
    body_schema = bodies.PRIORITY
    answers: ClassVar = {200: RunSerializer}

    def post(self, request: Request, run: str) -> Response:
        """Change the priority of a run that has not started, and so its lane: it takes effect at once.

        A run that runs or has ended is a 409, and so is one of a campaign, which stays in the lane bulk.
        """
        wanted = bodies.priority_of(wire.body(request, self.body_schema)["priority"])
        found = find_run(request, run)
        if refused := urgency.refusal(found):
            raise LaunchRefused(refused)
        urgency.change(Run.objects.filter(pk=found.pk), priority=wanted, by=actor(request))
        return Response(run_object(find_run(request, run), request))


class RetryView(LaunchView):
    """Launch an ended run once more."""

    required_permission: ClassVar = "runs.retry_run"
    body_schema = bodies.NOTHING

    def post(self, request: Request, run: str) -> Response:
        """Launch an ended run once more: a new manual run with the same parameters, and `retry_of`."""
        wire.body(request, self.body_schema)
        return self.again(request, find_run(request, run), changes={})

    def again(self, request: Request, run: Run, *, changes: Mapping[str, Any]) -> Response:
        """Launches `run` once more with `changes` over its parameters."""

        def make() -> Launched:
            parameters = edited(run, changes)
            cause = causes.retry(run, changed=parameters != run.parameters, **caller(request))
            cause = in_chain(request, cause)
            return launch.retry(run, cause=cause, parameters=parameters)

        return self.launched(request, make, message=f"Launched run #{run.pk} of '{run.job.name}' again")


class RerunView(RetryView):
    """Launch an ended run once more with other parameters."""

    body_schema = bodies.RERUN

    def post(self, request: Request, run: str) -> Response:
        """Launch an ended run once more with other parameters, laid over its own at the top level."""
        body = wire.body(request, self.body_schema)
        return self.again(request, find_run(request, run), changes=body.get("parameters", {}))


def edited(run: Run, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The run's parameters with `changes`; what came back masked, as it was shown, stays what it is."""
    shown = parameters.mask(run.job.schema, run.parameters)
    fresh = {name: value for name, value in changes.items() if name not in shown or value != shown[name]}
    return parameters.merge(run.parameters, fresh)

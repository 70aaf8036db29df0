"""Acting on many runs at once: ordering it by a filter, following it, stopping it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from runs import bulk
from runs.api import bodies
from runs.api.filters import RunFilter
from runs.api.finding import actor, caller
from runs.launch import LaunchRefused
from runs.models import BulkOperation, Run
from triggers.models import ApiKey, Scope
from triggers.visibility import visible

_TEXTS: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 1000},
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 1000}, "minItems": 1},
        {"type": "integer", "minimum": 1},
    ]
}
_FILTER: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": dict.fromkeys(RunFilter.base_filters, _TEXTS),
    "patternProperties": {r"^(metadata|parameter)\..": _TEXTS},
    "minProperties": 1,
    "additionalProperties": False,
    "description": "The filters of `GET /api/runs`.",
}
_RUNS: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    "minItems": 1,
    "maxItems": 1000,
    "description": "The ids of the runs, instead of a filter.",
}
_BODY: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"filter": _FILTER, "runs": _RUNS},
    "additionalProperties": False,
}
_WITH_PRIORITY: Final[Mapping[str, Any]] = {
    **_BODY,
    "properties": {**_BODY["properties"], **bodies.PRIORITY["properties"]},
    "required": ["priority"],
}


class OperationSerializer(serializers.Serializer[BulkOperation]):
    """An act on many runs, and how far it has come."""

    id = Value(wire.WHOLE)
    act = Value({"type": "string", "enum": BulkOperation.Act.values})
    priority = Value(wire.WHOLE_OR_NULL)
    filter = Value(wire.TEXT)
    state = Value({"type": "string", "enum": ["running", "stopped", "done"]})
    total = Value(wire.WHOLE)
    looked_at = Value(wire.WHOLE)
    done = Value(wire.WHOLE)
    refusal = Text()
    by = Value(wire.TEXT)
    created_at = Instant(wire.INSTANT)
    finished_at = Instant()
    stopped_by = Text()


class CancelRunsView(Endpoint):
    """Cancel all runs that a filter finds."""

    required_scope = Scope.CANCEL
    required_permission: ClassVar = "runs.cancel_run"
    body_schema: ClassVar = _BODY
    answers: ClassVar = {202: OperationSerializer}
    act: ClassVar = BulkOperation.Act.CANCEL

    def post(self, request: Request) -> Response:
        """Cancel all open runs that a filter finds, in the background: follow the operation that is the answer."""
        return self.ordered(request)

    def ordered(self, request: Request) -> Response:
        """The operation that the body asks for."""
        body = wire.body(request, self.body_schema)
        runs, words = _chosen(request, body)
        made = bulk.order(
            runs,
            act=self.act,
            words=words,
            priority=bodies.priority_of(body["priority"]) if "priority" in body else None,
            **caller(request),
        )
        return Response(OperationSerializer(made).data, status=202)


class RetryRunsView(CancelRunsView):
    """Launch all ended runs that a filter finds once more."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "runs.retry_run"
    act: ClassVar = BulkOperation.Act.RETRY

    def post(self, request: Request) -> Response:
        """Launch all ended runs that a filter finds once more, in the background."""
        return self.ordered(request)


class PriorityRunsView(CancelRunsView):
    """Change the priority of all waiting runs that a filter finds."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "runs.prioritise_run"
    body_schema: ClassVar = _WITH_PRIORITY
    act: ClassVar = BulkOperation.Act.PRIORITY

    def post(self, request: Request) -> Response:
        """Change the priority of all runs that a filter finds and that have not started, but for campaigns' ones."""
        return self.ordered(request)


class OperationsView(generics.ListAPIView[BulkOperation]):
    """List operations on many runs, newest first."""

    serializer_class = OperationSerializer
    queryset = BulkOperation.objects.none()
    # An operation has no job; what a key that is bound to some jobs may see is said by `_known`.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    def get_queryset(self) -> QuerySet[BulkOperation]:
        """The operations that the caller may see."""
        return _known(self.request)

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List operations on many runs, newest first."""
        return self.list(request, *arguments, **options)


class OperationView(Endpoint):
    """Read one operation."""

    answers: ClassVar = {200: OperationSerializer}

    def get(self, request: Request, number: int) -> Response:
        """Read how far an operation has come."""
        return Response(OperationSerializer(_find(request, number)).data)


class StopOperationView(Endpoint):
    """Stop an operation."""

    required_scope = Scope.CANCEL
    required_permission: ClassVar = "runs.cancel_run"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: OperationSerializer}

    def post(self, request: Request, number: int) -> Response:
        """Stop an operation: what it has done stays done. One that has ended is a 409."""
        wire.body(request, self.body_schema)
        found = _find(request, number)
        if not bulk.stop(found, by=actor(request)):
            raise LaunchRefused(f"The operation {found.pk} has ended: {found.state}.")
        return Response(OperationSerializer(_find(request, number)).data)


def _chosen(request: Request, body: Mapping[str, Any]) -> tuple[QuerySet[Run], str]:
    """The runs that the body names, as far as the caller may see them, with words for them. Raises InvalidBody."""
    runs = visible(Run.objects.all(), auth=request.auth, lookup="job")
    if ("filter" in body) == ("runs" in body):
        raise wire.InvalidBody(
            [Fault(pointer="", code="required", detail="Expected either 'filter' or 'runs', and not both.")]
        )
    if "runs" in body:
        return runs.filter(pk__in=body["runs"]), bulk.words_of(body["runs"])
    words = ", ".join(f"{name} = {_words(given)}" for name, given in body["filter"].items())
    return RunFilter(_query(body["filter"]), queryset=runs, request=request).qs, words


def _known(request: Request) -> QuerySet[BulkOperation]:
    """The operations that the caller may see: a key that is bound to some jobs knows its own."""
    auth, known = request.auth, BulkOperation.objects.all()
    if isinstance(auth, ApiKey) and auth.allowed_jobs() is not None:
        return known.filter(api_key=auth)
    return known


def _find(request: Request, number: int) -> BulkOperation:
    found = _known(request).filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise NotFound(f"There is no operation {number}.")
    return found


def _query(given: Mapping[str, Any]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, value in given.items():
        query.setlist(name, [str(one) for one in value] if isinstance(value, list) else [_words(value)])
    return query


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(value)
    return str(int(value)) if isinstance(value, float) else str(value)

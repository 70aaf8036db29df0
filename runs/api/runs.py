"""Reading runs: list, detail, log, events, steps."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import generics
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.endpoint import Endpoint
from runs import logs
from runs.api import waiting
from runs.api.filters import RunFilter
from runs.api.finding import find_run
from runs.api.objects import RELATED, RunSerializer, run_object, run_objects
from runs.api.records import EventSerializer, LogSerializer, StepsSerializer
from runs.models import Run, RunEvent

_WAIT = {"type": "integer", "minimum": 0, "maximum": waiting.LONGEST_SECONDS, "default": 0}
_AFTER = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0}
_LINES = {"type": "integer", "minimum": 1, "maximum": 5000, "default": 1000}


class RunListView(generics.ListAPIView[Run]):
    """List runs, newest first."""

    queryset = Run.objects.select_related(*RELATED)
    serializer_class = RunSerializer
    filterset_class = RunFilter
    job_lookup: ClassVar = "job"

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List runs, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(run_objects(page or [], request))


class RunView(Endpoint):
    """Read one run by its id or name; `wait` holds the answer back until it has ended."""

    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "wait": {**_WAIT, "description": "Answer when the run has ended, or after so many seconds."}
        },
    }
    answers: ClassVar = {200: RunSerializer}

    def get(self, request: Request, run: str) -> Response:
        """Read one run by its id or name.

        With `wait` the answer comes when the run has ended, or after so many seconds as it is then. When too
        many calls wait already, the answer comes at once with a `Retry-After`.
        """
        found = find_run(request, run)
        had_room = waiting.until_final(found, seconds=self.asked["wait"])
        if self.asked["wait"]:
            found = find_run(request, run)
        return Response(run_object(found, request), headers={} if had_room else {"Retry-After": "1"})


class PlainText(BaseRenderer):
    """A log as one text."""

    media_type = "text/plain"
    format = "txt"

    def render(self, data: Any, *arguments: Any, **options: Any) -> bytes:
        return str(data).encode()


class RunLogView(Endpoint):
    """Read a run's log, live or after its end."""

    renderer_classes = (JSONRenderer, PlainText)
    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "after": {**_AFTER, "description": "Only lines with a higher number: the last `next`."},
            "limit": {**_LINES, "description": "How many lines of JSON at most."},
        },
    }
    answers: ClassVar = {(200, "application/json"): LogSerializer, (200, "text/plain"): {"type": "string"}}

    def get(self, request: Request, run: str) -> Response:
        """Read a run's log: lines as JSON from a number on, or all from there on as `text/plain`.

        `complete` says that the run has ended and no line is left; until then ask again with `after=<next>`.
        """
        found = find_run(request, run)
        after, limit = self.asked["after"], self.asked["limit"]
        if isinstance(request.accepted_renderer, PlainText):
            return Response("".join(logs.text(found.pk, after=after)))
        lines = logs.lines(found.pk, after=after, limit=limit)
        last = lines[-1].seq if lines else after
        complete = found.is_final and last >= logs.last_seq(found.pk)
        body = {"lines": lines, "next": last, "complete": complete}
        return Response(LogSerializer(body).data)


class RunEventsView(generics.ListAPIView[RunEvent]):
    """List what happened to a run beyond the plain way: asked to cancel, rescued, waited, and so on."""

    serializer_class = EventSerializer
    queryset = RunEvent.objects.none()
    job_lookup: ClassVar = "run__job"

    def get_queryset(self) -> QuerySet[RunEvent]:
        """The events of the run in the address."""
        return RunEvent.objects.filter(run=find_run(self.request, self.kwargs["run"]))


class RunStepsView(Endpoint):
    """List the steps of a flow's run."""

    answers: ClassVar = {200: StepsSerializer}

    def get(self, request: Request, run: str) -> Response:
        """List the steps of a run; only runs of flows have any."""
        find_run(request, run)
        return Response({"steps": []})

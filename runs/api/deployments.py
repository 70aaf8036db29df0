"""What the scheduler knows of a schedule, putting it in anew and taking it out (S2: sync-deployment)."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.fields import Instant, Value
from runs import firing, scheduler
from runs.api import bodies
from runs.api.finding import actor
from runs.api.trigger_edits import NOTHING, held
from runs.api.triggers import find_trigger
from runs.launch import LaunchRefused
from triggers import schedules
from triggers.models import Kind, Trigger


class DeploymentSerializer(serializers.Serializer[scheduler.Knowledge]):
    """What the scheduler knows: whether the schedule is planned, its next slot, and which beats tick."""

    synced = Value(wire.YES_NO)
    detail = Value(wire.TEXT, source="sentence")
    next_slot = Instant()
    next_run_at = Instant()
    last_tick = Instant()
    beats = Value(wire.TEXTS)
    sender = Value({"anyOf": [wire.TEXT, {"type": "null"}]})
    lag_seconds = Value({"type": "number"})


class SyncDeploymentView(Endpoint):
    """What the scheduler knows of a schedule."""

    answers: ClassVar = {200: DeploymentSerializer}
    body_schema = bodies.NOTHING

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return "triggers.view_trigger" if self.request.method == "GET" else "triggers.change_trigger"

    @described(answers={200: DeploymentSerializer})
    def get(self, request: Request, slug: str, trigger: int) -> Response:
        """Read what the scheduler knows of a schedule: its next slot, the last tick, and which beat it was."""
        found = find_trigger(request, slug, trigger)
        _check(found)
        return _told(found)

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Put a schedule into the scheduler, or plan it anew, from now on; nothing is caught up."""
        wire.body(request, self.body_schema)

        def put(found: Trigger) -> None:
            _check(found)
            schedules.put_in(found, by=actor(request))

        found = held(request, slug, trigger, put)
        firing.plan(found)
        return _told(find_trigger(request, slug, trigger))

    @described(answers=NOTHING)
    def delete(self, request: Request, slug: str, trigger: int) -> Response:
        """Take a schedule out of the scheduler; the trigger stays, disabled, and so does its history."""

        def take(found: Trigger) -> None:
            _check(found)
            schedules.take_out(found, by=actor(request))

        held(request, slug, trigger, take)
        return Response(status=204)


def _check(trigger: Trigger) -> None:
    if trigger.kind != Kind.SCHEDULE:
        raise LaunchRefused(f"A trigger of kind {trigger.kind} has no place in the scheduler.")


def _told(trigger: Trigger) -> Response:
    known: Any = scheduler.knowledge(trigger, now=timezone.now())
    return Response(DeploymentSerializer(known).data)

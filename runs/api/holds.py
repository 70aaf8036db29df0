"""What holds work back, read by programs: everything that is paused, and how the broker is."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Text, Value
from jobs.priority import LANES
from runs import dispatch, pauses
from runs.dispatch import Broker
from runs.pauses import Pause, PauseKind
from triggers.visibility import visible_jobs


class PauseSerializer(serializers.Serializer[Pause]):
    """Something that is paused. `id` is its number, of a job its slug, of a lane or a target its name."""

    kind = Value({"type": "string", "enum": PauseKind.values})
    id = Value(wire.TEXT)
    name = Value(wire.TEXT)
    job = Text()
    paused_at = Instant(source="at")
    paused_by = Text(source="by")
    paused_until = Instant(source="until")
    reason = Text()


class PausesSerializer(serializers.Serializer[Any]):
    """All that is paused."""

    results = PauseSerializer(many=True)


class PausesView(Endpoint):
    """Read what is paused."""

    answers: ClassVar = {200: PausesSerializer}

    def get(self, request: Request) -> Response:
        """Read what is paused: lanes, targets, and of what the caller may see jobs, schedules, campaigns; 200 each."""
        found = pauses.current(jobs=visible_jobs(request.auth), now=timezone.now())
        return Response(PausesSerializer({"results": found}).data)


class BrokerSerializer(serializers.Serializer[Broker]):
    """The broker: its address without a password, and what it answered just now, or why nothing is known."""

    address = Value(wire.TEXT)
    error = Text()
    version = Text()
    ping_seconds = Value(wire.NUMBER_OR_NULL)
    memory_bytes = Value(wire.WHOLE_OR_NULL)
    hints = Value({"type": "object", "properties": dict.fromkeys(LANES, wire.WHOLE)})


class BrokerView(Endpoint):
    """Read how the broker is."""

    answers: ClassVar = {200: BrokerSerializer}

    def get(self, request: Request) -> Response:
        """Read how the broker is: a ping, its memory, and how many hints lie unread in it for each lane."""
        return Response(BrokerSerializer(dispatch.look()).data)

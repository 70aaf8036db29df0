"""What is kept beside a run, as outsiders read it: log lines, events, steps."""

from typing import Any

from rest_framework import serializers

from jobs import wire
from jobs.fields import Instant, Text, Value
from runs.logs import LEVELS, Line
from runs.models import RunEvent


class LineSerializer(serializers.Serializer[Line]):
    """One line of a log; numbers have no gaps within a run."""

    seq = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    level = Value({"type": "string", "enum": list(LEVELS)})
    text = Value(wire.TEXT)


class LogSerializer(serializers.Serializer[Any]):
    """Some lines, the number to go on from, and whether that was all."""

    lines = LineSerializer(many=True, read_only=True)
    next = Value(wire.WHOLE)
    complete = Value(wire.YES_NO)


class EventSerializer(serializers.Serializer[RunEvent]):
    """Something that happened to a run and is not plain."""

    id = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    kind = Value(wire.TEXT)
    actor = Text()
    detail = Value(wire.OBJECT)


class StepsSerializer(serializers.Serializer[Any]):
    """The steps of a flow's run, in order."""

    steps = Value({"type": "array", "items": wire.OBJECT})

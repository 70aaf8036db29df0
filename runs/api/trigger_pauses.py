"""Holding a schedule, with a reason and an end, and letting it go on."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.pausing import REASON_LENGTH
from jobs.wire import InvalidBody
from runs.api import bodies
from runs.api.finding import actor
from runs.api.trigger_edits import answer, held
from runs.api.triggers import TriggerSerializer
from triggers import pausing


class PauseTriggerView(Endpoint):
    """Pause a schedule."""

    required_permission: ClassVar = "triggers.change_trigger"
    conditional: ClassVar = True
    body_schema: ClassVar = {
        "type": "object",
        "properties": {
            "reason": {
                "type": "string",
                "maxLength": REASON_LENGTH,
                "description": "Shown with the schedule.",
            },
            "until": {
                "anyOf": [wire.INSTANT, {"type": "null"}],
                "description": "When the pause ends by itself; null: when somebody resumes it.",
            },
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: TriggerSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Pause a schedule: its slots are skipped, and the ledger says why, until the pause ends."""
        body = wire.body(request, self.body_schema)
        until = wire.instant_of(body, "until", InvalidBody)
        by, reason = actor(request), body.get("reason", "")
        return answer(
            held(
                request, slug, trigger, lambda found: pausing.pause(found, by=by, reason=reason, until=until)
            )
        )


class ResumeTriggerView(Endpoint):
    """Let a schedule go on."""

    required_permission: ClassVar = "triggers.change_trigger"
    conditional: ClassVar = True
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: TriggerSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Let a paused schedule go on with its next slot in the future; nothing is caught up."""
        wire.body(request, self.body_schema)
        return answer(held(request, slug, trigger, lambda found: pausing.resume(found, by=actor(request))))

"""Holding a target, which is what a run is for, and letting it go on."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.pausing import REASON_LENGTH
from jobs.wire import InvalidBody, Schema
from runs import pauses, targets
from runs.api.finding import actor
from runs.api.holds import PauseSerializer
from runs.api.lanes import LaneEndpoint
from runs.models.target import TARGET_LENGTH

TARGET: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": TARGET_LENGTH,
    "description": "As runs name it in `target`; of a campaign, a recipient's key.",
}


class PauseTargetView(LaneEndpoint):
    """Pause a target."""

    required_permission: ClassVar = "runs.change_pausedtarget"
    body_schema: ClassVar = {
        "type": "object",
        "properties": {
            "target": TARGET,
            "reason": {"type": "string", "maxLength": REASON_LENGTH, "description": "Shown with its runs."},
            "until": {
                "anyOf": [wire.INSTANT, {"type": "null"}],
                "description": "When the pause ends by itself; null: when somebody resumes it.",
            },
        },
        "required": ["target"],
        "additionalProperties": False,
    }
    answers: ClassVar = {200: PauseSerializer}

    def post(self, request: Request) -> Response:
        """Pause a target: runs for it wait, those of campaigns are skipped; what runs goes on."""
        body = wire.body(request, self.body_schema)
        until = wire.instant_of(body, "until", InvalidBody)
        paused = targets.pause(body["target"], by=actor(request), reason=body.get("reason", ""), until=until)
        return Response(PauseSerializer(pauses.of_target(paused)).data)


class ResumeTargetView(LaneEndpoint):
    """Resume a target."""

    required_permission: ClassVar = "runs.change_pausedtarget"
    body_schema: ClassVar = {
        "type": "object",
        "properties": {"target": TARGET},
        "required": ["target"],
        "additionalProperties": False,
    }
    answers: ClassVar = {204: None}

    def post(self, request: Request) -> Response:
        """Resume a target: what waits for it may start again, at once. One that is not paused is a 409."""
        targets.resume(wire.body(request, self.body_schema)["target"], by=actor(request))
        return Response(status=204)

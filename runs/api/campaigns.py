"""One campaign: look at it, change it, hold, resume and cancel it, retry what failed, make another like it."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint, described
from runs import campaigns, ordering, orders, tending
from runs.api import bodies
from runs.api.campaign_objects import (
    CampaignDetailSerializer,
    campaign_object,
    find_campaign,
)
from runs.api.finding import actor, caller
from triggers.models import Scope


class CampaignView(Endpoint):
    """Read one campaign, or change how it goes."""

    required_scope: ClassVar = {
        "GET": Scope.READ,
        "HEAD": Scope.READ,
        "OPTIONS": Scope.READ,
        "PATCH": Scope.RUN,
    }
    answers: ClassVar = {200: CampaignDetailSerializer}

    def get(self, request: Request, campaign: int) -> Response:
        """Read one campaign, with its numbers as they are now."""
        return Response(campaign_object(find_campaign(request, campaign), request))

    @described(body=ordering.CHANGES, answers={200: CampaignDetailSerializer})
    def patch(self, request: Request, campaign: int) -> Response:
        """Change how it goes, while it goes: its rate, its hours, the failure rate at which it stops."""
        changes = ordering.changes_of(wire.body(request, ordering.CHANGES))
        found = find_campaign(request, campaign)
        if changes:
            campaigns.change(found, by=actor(request), **changes)
        return Response(campaign_object(found, request))


class PauseView(Endpoint):
    """Hold a campaign."""

    required_scope = Scope.RUN
    body_schema: ClassVar = {
        "type": "object",
        "properties": {"reason": {"type": "string", "maxLength": 500}},
        "additionalProperties": False,
    }
    answers: ClassVar = {200: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Hold a campaign: nothing more of it starts; what runs goes on."""
        body = wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        campaigns.pause(found, by=actor(request), reason=body.get("reason", ""))
        return Response(campaign_object(found, request))


class ResumeView(Endpoint):
    """Let a campaign go on, or start a draft."""

    required_scope = Scope.RUN
    body_schema: ClassVar = {
        "type": "object",
        "properties": {
            "without_invalid": {
                "type": "boolean",
                "description": "Start a draft without its invalid recipients.",
            },
            "first": {
                "type": "integer",
                "minimum": 1,
                "maximum": ordering.LARGEST_CANARY,
                "description": "Start a draft for so many recipients; then it is paused and asks.",
            },
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Let a campaign go on, or start a draft. Behind its canary, that is the answer to its question."""
        body = wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        first = None if "first" not in body else int(body["first"])
        without = body.get("without_invalid", False)
        campaigns.resume(found, by=actor(request), without_invalid=without, first=first)
        tending.at_once(found)
        return Response(campaign_object(found, request))


class CancelCampaignView(Endpoint):
    """Cancel a campaign."""

    required_scope = Scope.CANCEL
    required_permission: ClassVar = "runs.cancel_run"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: CampaignDetailSerializer, 202: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Cancel a campaign: 200 if it is cancelled now, 202 while its last runs are being stopped."""
        wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        campaigns.cancel(found, by=actor(request))
        tending.at_once(found)
        return Response(campaign_object(found, request), status=200 if found.is_final else 202)


class RetryFailedView(Endpoint):
    """Launch a campaign's failed runs once more."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "runs.retry_run"
    body_schema: ClassVar = {
        "type": "object",
        "properties": {
            "group": {
                "type": "string",
                "maxLength": 40,
                "description": "The fingerprint of a group of errors: only its newest failures.",
            }
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {202: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Launch each failed run that was not retried yet once more; the new run has `retry_of`."""
        body = wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        campaigns.retry_failed(found, by=actor(request), group=body.get("group"))
        tending.at_once(found)
        return Response(campaign_object(found, request), status=202)


class DuplicateView(Endpoint):
    """Make a draft like a campaign."""

    required_scope = Scope.RUN
    body_schema = bodies.NOTHING
    answers: ClassVar = {201: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Make a draft with the recipients and settings of a campaign; resuming it starts it."""
        wire.body(request, self.body_schema)
        made = orders.duplicate(find_campaign(request, campaign), **caller(request))
        body = campaign_object(made, request)
        return Response(body, status=201, headers={"Location": body["links"]["self"]})

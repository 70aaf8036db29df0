"""One campaign: look at it, change it, hold, resume and cancel it, retry what failed."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint, described
from runs import campaigns, error_groups, ordering, reports, tending
from runs.api import bodies
from runs.api.campaign_objects import (
    CampaignDetailSerializer,
    ErrorGroupsSerializer,
    campaign_object,
    find_campaign,
)
from runs.api.filters import RunFilter
from runs.api.finding import actor
from runs.api.objects import RELATED, RunSerializer, run_objects
from runs.models import Run
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
            }
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Let a campaign go on, or start a draft. Behind its canary, that is the answer to its question."""
        body = wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        campaigns.resume(found, by=actor(request), without_invalid=body.get("without_invalid", False))
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
    body_schema = bodies.NOTHING
    answers: ClassVar = {202: CampaignDetailSerializer}

    def post(self, request: Request, campaign: int) -> Response:
        """Launch each failed run that was not retried yet once more; the new run has `retry_of`."""
        wire.body(request, self.body_schema)
        found = find_campaign(request, campaign)
        campaigns.retry_failed(found, by=actor(request))
        tending.at_once(found)
        return Response(campaign_object(found, request), status=202)


class CampaignRunsView(generics.ListAPIView[Run]):
    """List a campaign's runs."""

    serializer_class = RunSerializer
    queryset = Run.objects.none()
    filterset_class = RunFilter
    job_lookup: ClassVar = "job"

    def get_queryset(self) -> QuerySet[Run]:
        """The runs of the campaign in the address."""
        found = find_campaign(self.request, self.kwargs["campaign"])
        return Run.objects.filter(campaign=found).select_related(*RELATED)

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List a campaign's runs, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(run_objects(page or [], request))


class CampaignErrorsView(Endpoint):
    """Group a campaign's failures."""

    answers: ClassVar = {200: ErrorGroupsSerializer}

    def get(self, request: Request, campaign: int) -> Response:
        """Group the newest failures of a campaign by what went wrong, the largest group first."""
        groups = error_groups.of_campaign(find_campaign(request, campaign))
        return Response(ErrorGroupsSerializer({"results": groups, "looked_at": error_groups.LIMIT}).data)


class CampaignReportView(Endpoint):
    """Download what is wrong with a campaign's recipients."""

    answers: ClassVar = {(200, "text/csv"): {"type": "string"}}

    def get(self, request: Request, campaign: int) -> StreamingHttpResponse:
        """Download a CSV of the invalid recipients: line, key, field and reason."""
        found = find_campaign(request, campaign)
        name = f'attachment; filename="campaign-{found.pk}-invalid.csv"'
        return StreamingHttpResponse(
            reports.invalid(found),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": name},
        )

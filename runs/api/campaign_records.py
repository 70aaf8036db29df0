"""What there is to read of a campaign: its runs, its errors, its timeline, and what people take home of it."""

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from runs import error_groups, reports
from runs.api.campaign_objects import ErrorGroupsSerializer, find_campaign
from runs.api.filters import RunFilter
from runs.api.objects import RELATED, RunSerializer, run_objects
from runs.models import CampaignAct, CampaignEvent, Run

EVENTS_SHOWN: Final = 200


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
        return _csv(reports.invalid(found), name=f"campaign-{found.pk}-invalid.csv")


class CampaignFailuresView(Endpoint):
    """Download a campaign's failures."""

    answers: ClassVar = {(200, "text/csv"): {"type": "string"}}

    def get(self, request: Request, campaign: int) -> StreamingHttpResponse:
        """Download a CSV of the failed runs that were not retried: recipient, run, error, attempts and end."""
        found = find_campaign(request, campaign)
        return _csv(reports.failures(found), name=f"campaign-{found.pk}-failures.csv")


class CampaignEventSerializer(serializers.Serializer[CampaignEvent]):
    """An act; `actor` is empty for what the campaign did by itself."""

    at = Instant(wire.INSTANT)
    act = Value({"type": "string", "enum": CampaignAct.values})
    actor = Value(wire.TEXT)
    detail = Value(wire.TEXT)


class CampaignEventsSerializer(serializers.Serializer[Any]):
    """The timeline of a campaign."""

    results = CampaignEventSerializer(many=True, read_only=True)


class CampaignEventsView(Endpoint):
    """Read a campaign's timeline."""

    answers: ClassVar = {200: CampaignEventsSerializer}

    def get(self, request: Request, campaign: int) -> Response:
        """Read who did what to a campaign and when, the newest 200 first."""
        found = find_campaign(request, campaign).events.all()[:EVENTS_SHOWN]
        return Response(CampaignEventsSerializer({"results": found}).data)


def _csv(lines: Iterator[str], *, name: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

"""Each time a trigger fired, or should have: slots, ends of upstream runs, deliveries, or simply its runs."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from jobs.wire import InvalidQuery
from runs import ledger
from runs.api.triggers import PERMISSION, find_trigger
from runs.ledger import OUTCOMES
from runs.models import Run
from triggers.models import Occurrence


@extend_schema_field({"type": "string", "enum": list(OUTCOMES), "description": "What came of it."})
class _OutcomeFilter(CharFilter):
    """One of the outcomes."""


class HistorySerializer(serializers.Serializer[Any]):
    """One time a trigger fired, or should have: when and on what occasion, and the run or the reason why none."""

    id = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    slot = Instant()
    upstream = Value(wire.TEXT_OR_NULL)
    upstream_run = Value(wire.WHOLE_OR_NULL)
    upstream_status = Value(wire.TEXT_OR_NULL)
    delivery = Value(wire.WHOLE_OR_NULL)
    outcome = Value({"type": "string", "enum": list(OUTCOMES)})
    late_seconds = Value(wire.NUMBER_OR_NULL)
    reason = Text()
    run = Value(wire.WHOLE_OR_NULL)
    run_name = Value(wire.TEXT_OR_NULL)
    run_status = Value(wire.TEXT_OR_NULL)
    run_wait_seconds = Value(wire.NUMBER_OR_NULL)
    run_duration_seconds = Value(wire.NUMBER_OR_NULL)


class HistoryFilter(FilterSet):
    """The filter of a trigger's history, of whatever model its rows are; reading `qs` raises InvalidQuery."""

    outcome = _OutcomeFilter(method="by_outcome", label="What came of it.")

    def by_outcome(self, found: Any, name: str, value: str) -> Any:
        """By one of the outcomes; a run of a trigger without a ledger has fired."""
        if value not in OUTCOMES:
            detail = f"{shown(value)} is unknown; expected one of {', '.join(OUTCOMES)}."
            raise InvalidQuery([Fault(pointer=f"/{name}", code="value", detail=detail)])
        if found.model is Run:
            return found if value == Occurrence.Outcome.FIRED else found.none()
        return found.filter(outcome=value)


class TriggerHistoryView(generics.ListAPIView[Any]):
    """List each time a trigger fired or should have."""

    required_permission: ClassVar = PERMISSION
    serializer_class = HistorySerializer
    queryset = Occurrence.objects.none()
    filterset_class = HistoryFilter
    job_lookup = "trigger__job"

    def get_queryset(self) -> QuerySet[Any]:
        """A schedule's ledger of slots, a dependency's of upstream runs, an event's of deliveries; else the runs."""
        trigger = find_trigger(self.request, self.kwargs["slug"], self.kwargs["trigger"])
        rows, self.job_lookup = ledger.of_trigger(trigger)
        return rows

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List each slot of a schedule, end of a run that a dependency watches, or delivery, newest first.

        Each comes with its run or the reason why there is none. The history of other kinds are their runs.
        """
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(HistorySerializer(ledger.entries(page), many=True).data)

"""Each time a trigger fired, or should have: slots, ends of upstream runs, deliveries, or simply its runs."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.fields import Instant, Text, Value
from runs.api.triggers import PERMISSION, find_trigger
from runs.models import Following, Run
from triggers.models import Kind, Occurrence, Reaction

# Where the entries of each kind stand, and how they lead to the job of the trigger.
LEDGERS: Final[dict[str, tuple[QuerySet[Any], str]]] = {
    Kind.SCHEDULE: (Occurrence.objects.order_by("-id"), "trigger__job"),
    Kind.DEPENDENCY: (Following.objects.select_related("job"), "trigger__job"),
    Kind.EVENT: (Reaction.objects.order_by("-id"), "trigger__job"),
}


class HistorySerializer(serializers.Serializer[Any]):
    """One time a trigger fired, or should have: when and on what occasion, and the run or the reason why none."""

    id = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    slot = Instant()
    upstream = Value(wire.TEXT_OR_NULL)
    upstream_run = Value(wire.WHOLE_OR_NULL)
    upstream_status = Value(wire.TEXT_OR_NULL)
    delivery = Value(wire.WHOLE_OR_NULL)
    outcome = Value({"type": "string", "enum": [*Occurrence.Outcome.values, Following.Outcome.PENDING.value]})
    reason = Text()
    run = Value(wire.WHOLE_OR_NULL)
    run_name = Value(wire.TEXT_OR_NULL)
    run_status = Value(wire.TEXT_OR_NULL)


class TriggerHistoryView(generics.ListAPIView[Any]):
    """List each time a trigger fired or should have."""

    required_permission: ClassVar = PERMISSION
    serializer_class = HistorySerializer
    queryset = Occurrence.objects.none()
    job_lookup = "trigger__job"

    def get_queryset(self) -> QuerySet[Any]:
        """A schedule's ledger of slots, a dependency's of upstream runs, an event's of deliveries; else the runs."""
        trigger = find_trigger(self.request, self.kwargs["slug"], self.kwargs["trigger"])
        runs = Run.objects.select_related("job")
        entries, self.job_lookup = LEDGERS.get(trigger.kind, (runs, "job"))
        return entries.filter(trigger=trigger)

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List each slot of a schedule, end of a run that a dependency watches, or delivery, newest first.

        Each comes with its run or the reason why there is none. The history of other kinds are their runs.
        """
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(HistorySerializer(entries(page), many=True).data)


def entries(page: Sequence[Occurrence | Following | Reaction | Run]) -> list[dict[str, Any]]:
    """What the page says, with the runs that were led to; a run that was pruned keeps its id."""
    ids = [entry.run_id for entry in page if not isinstance(entry, Run) and entry.run_id]
    runs = Run.objects.select_related("job").in_bulk(ids) if ids else {}
    return [{**_occasion(entry), **_led_to(entry, runs)} for entry in page]


def _occasion(entry: Occurrence | Following | Reaction | Run) -> dict[str, Any]:
    none = {
        "slot": None,
        "upstream": None,
        "upstream_run": None,
        "upstream_status": None,
        "delivery": None,
        "reason": "",
    }
    if isinstance(entry, Run):
        return {**none, "id": entry.pk, "at": entry.created_at, "outcome": Occurrence.Outcome.FIRED.value}
    told = {**none, "id": entry.pk, "outcome": entry.outcome, "reason": entry.reason}
    if isinstance(entry, Occurrence):
        return {**told, "at": entry.created_at, "slot": entry.slot}
    if isinstance(entry, Reaction):
        return {**told, "at": entry.created_at, "delivery": entry.delivery_id}
    upstream = {
        "upstream": entry.job.slug,
        "upstream_run": entry.upstream_id,
        "upstream_status": entry.status,
    }
    return {**told, **upstream, "at": entry.at}


def _led_to(entry: Occurrence | Following | Reaction | Run, runs: dict[int, Run]) -> dict[str, Any]:
    run = entry if isinstance(entry, Run) else runs.get(entry.run_id or 0)
    return {
        "run": entry.pk if isinstance(entry, Run) else entry.run_id,
        "run_name": run.name if run else None,
        "run_status": run.status if run else None,
    }

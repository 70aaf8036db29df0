"""The slots of a schedule: what became of each, running those after all that did not run, and dismissing them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault, Faulty
from jobs.fields import Instant, Text, Value
from jobs.wire import InvalidBody, InvalidQuery
from runs import firing
from runs.api.finding import actor
from runs.api.triggers import find_trigger
from triggers import ledger
from triggers.ledger import Slot
from triggers.models import Occurrence, Scope, Trigger

WEEK: Final = timedelta(days=7)
OUTCOMES: Final = [*Occurrence.Outcome.values, ledger.COMING, ledger.UNRECORDED]
SLOTS: Final[wire.Schema] = {
    "type": "array", "items": wire.INSTANT, "minItems": 1, "maxItems": ledger.MOST,
}  # fmt: skip
NAMED: Final[Mapping[str, wire.Schema]] = {
    "slots": SLOTS,
    "missed": {"type": "boolean", "enum": [True], "description": "All that were missed."},
}
RANGE: Final[Mapping[str, wire.Schema]] = {"from": wire.INSTANT, "until": wire.INSTANT}


def _one_of(properties: Mapping[str, wire.Schema], *needed: Sequence[str]) -> wire.Schema:
    """A body that says in one of several ways which slots are meant; each property is checked by itself."""
    return {
        "type": "object",
        "properties": dict(properties),
        "oneOf": [{"required": list(names)} for names in needed],
        "dependentRequired": {"from": ["until"], "until": ["from"]},
        "additionalProperties": False,
    }


class SlotSerializer(serializers.Serializer[Slot]):
    """One slot and what became of it."""

    slot = Instant(wire.INSTANT, source="at")
    outcome = Value({"type": "string", "enum": OUTCOMES})
    reason = Text()
    run = Value(wire.WHOLE_OR_NULL, source="run_id")
    fired_at = Instant()
    by = Text()
    runnable = Value(wire.YES_NO, source="is_runnable")


class SlotsSerializer(serializers.Serializer[Any]):
    """The slots of some time, the oldest first."""

    timezone = Value(wire.TEXT)
    slots = SlotSerializer(many=True, read_only=True)


class DoneSerializer(serializers.Serializer[Any]):
    """How many slots it was done with."""

    slots = Value(wire.WHOLE)


class SlotsView(Endpoint):
    """List the slots of a schedule in some time."""

    required_permission: ClassVar = "triggers.view_trigger"
    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "from": {**wire.INSTANT, "description": "The first instant; without it, a week before `until`."},
            "until": {**wire.INSTANT, "description": "The first instant no more; without it, now."},
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: SlotsSerializer}

    def get(self, request: Request, slug: str, trigger: int) -> Response:
        """List each slot of some time with what became of it; what a backfill of that time would run is `runnable`."""
        found = find_trigger(request, slug, trigger)
        until = wire.instant_of(self.asked, "until", InvalidQuery) or timezone.now()
        begin = wire.instant_of(self.asked, "from", InvalidQuery) or until - WEEK
        slots = _between(found, begin, until, InvalidQuery)
        return Response(SlotsSerializer({"timezone": str(found.timezone), "slots": slots}).data)


class RunSlotsView(Endpoint):
    """Run slots after all."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "triggers.fire_trigger"
    body_schema: ClassVar = _one_of({**NAMED, **RANGE}, ["slots"], ["missed"], ["from", "until"])
    answers: ClassVar = {202: DoneSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Run slots after all: some, all that were missed, or what did not run in a time (a backfill).

        They run in their order, and never past the schedule's overlap policy.
        """
        found = find_trigger(request, slug, trigger)
        body = wire.body(request, self.body_schema)
        by, now = actor(request), timezone.now()
        if "missed" in body:
            count = ledger.ask_missed(found, by=by, now=now)
        else:
            count = ledger.ask(found, slots=_wanted(found, body), by=by, now=now)
        firing.fire_asked(now)
        return Response(DoneSerializer({"slots": count}).data, status=202)


class DismissSlotsView(Endpoint):
    """Dismiss missed slots."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "triggers.fire_trigger"
    body_schema: ClassVar = _one_of(NAMED, ["slots"], ["missed"])
    answers: ClassVar = {200: DoneSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Note that missed slots, some or all, are not to be run; the ledger keeps who said so."""
        found = find_trigger(request, slug, trigger)
        body = wire.body(request, self.body_schema)
        named = None if "missed" in body else _instants(body)
        count = ledger.dismiss(found, slots=named, by=actor(request))
        return Response(DoneSerializer({"slots": count}).data)


def _wanted(trigger: Trigger, body: Mapping[str, Any]) -> list[datetime]:
    if "slots" in body:
        return _instants(body)
    begin, until = (wire.instant_of(body, name, InvalidBody) for name in ("from", "until"))
    assert begin is not None
    assert until is not None
    return [slot.at for slot in _between(trigger, begin, until, InvalidBody) if slot.is_runnable]


def _instants(body: Mapping[str, Any]) -> list[datetime]:
    found = []
    for place, text in enumerate(body["slots"]):
        try:
            found.append(wire.instant(text))
        except ValueError as error:
            fault = Fault(pointer=f"/slots/{place}", code="format", detail=str(error))
            raise InvalidBody([fault]) from None
    return found


def _between(trigger: Trigger, begin: datetime, until: datetime, refusal: type[Faulty]) -> list[Slot]:
    if not begin < until or begin.year < 1971 or until.year > 2400:
        detail = (
            f"'from' is {begin.isoformat()}; expected an instant before {until.isoformat()}, from 1971 on."
        )
        raise refusal([Fault(pointer="/from", code="value", detail=detail)])
    return ledger.between(trigger, begin=begin, end=until, now=timezone.now())

"""The inbox: what came to the addresses of event triggers, what became of it, and how to let it fire again."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.db.models import Prefetch
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from jobs.wire import InvalidQuery
from runs import deliveries
from runs.api.events import TakenSerializer
from runs.api.finding import actor
from runs.api.triggers import find_trigger
from triggers.events import inbox, matching
from triggers.models import Delivery, Reaction, Scope
from triggers.visibility import visible

VIEW: Final = "triggers.view_delivery"
FIRE: Final = "triggers.fire_trigger"
_ID: Final[wire.Schema] = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}


class ReactionSerializer(serializers.Serializer[Reaction]):
    """What one trigger made of a delivery; `by` replayed it."""

    trigger = Value(wire.WHOLE, source="trigger_id")
    job = Value(wire.SLUG, source="trigger.job.slug")
    outcome = Value({"type": "string", "enum": Reaction.Outcome.values})
    reason = Text()
    run = Value(wire.WHOLE_OR_NULL, source="run_id")
    by = Text()
    created_at = Instant(wire.INSTANT)


class DeliverySerializer(serializers.Serializer[Delivery]):
    """A message to the address of an event trigger."""

    id = Value(wire.WHOLE)
    trigger = Value(wire.WHOLE, source="trigger_id")
    job = Value(wire.SLUG, source="trigger.job.slug")
    key = Value(wire.TEXT_OR_NULL)
    event = Text()
    verdict = Value({"type": "string", "enum": Delivery.Verdict.values})
    reason = Text()
    address = Value(wire.TEXT_OR_NULL)
    size = Value(wire.WHOLE)
    repeats = Value(wire.WHOLE)
    is_test = Value(wire.YES_NO)
    received_at = Instant(wire.INSTANT)
    reactions = ReactionSerializer(many=True, read_only=True)


class WholeDeliverySerializer(DeliverySerializer):
    """A delivery with its headers and body; what looks like a secret is dots."""

    headers = Value(wire.OBJECT)
    body = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT))
    def get_body(self, delivery: Delivery) -> str:
        """The payload as JSON."""
        return inbox.shown_body(delivery)


def _filter(schema: wire.Schema, method: str, help_text: str) -> CharFilter:
    made: CharFilter = extend_schema_field({**schema, "description": help_text})(
        type("DeliveryCharFilter", (CharFilter,), {})
    )(method=method, label=help_text)
    return made


class DeliveryFilter(FilterSet):
    """The filters of `GET /api/deliveries`; reading `qs` raises InvalidQuery."""

    trigger = _filter(_ID, "by_trigger", "The trigger to whose address it came.")
    verdict = _filter({"type": "string", "enum": Delivery.Verdict.values}, "by_verdict", "What was decided.")

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []

    def by_trigger(self, found: Any, name: str, value: str) -> Any:
        """By the id of a trigger."""
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < 2**63):
            raise InvalidQuery([_fault(name, f"{shown(value)} is no id; expected a whole number from 1.")])
        return found.filter(trigger=int(value))

    def by_verdict(self, found: Any, name: str, value: str) -> Any:
        """By one of the verdicts."""
        known = Delivery.Verdict.values
        if value not in known:
            raise InvalidQuery(
                [_fault(name, f"{shown(value)} is unknown; expected one of {', '.join(known)}.")]
            )
        return found.filter(verdict=value)


class DeliveryListView(generics.ListAPIView[Delivery]):
    """List what came to the addresses of event triggers."""

    required_permission: ClassVar = VIEW
    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    job_lookup: ClassVar = "trigger__job"

    def get_queryset(self) -> Any:
        """The deliveries, with what the caller may see of their reactions."""
        return _shown(self.request)

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List what came to the addresses of event triggers, newest first, and what each trigger made of it."""
        return super().list(request, *arguments, **options)


class DeliveryView(Endpoint):
    """Read one delivery."""

    required_permission: ClassVar = VIEW
    answers: ClassVar = {200: WholeDeliverySerializer}

    def get(self, request: Request, delivery: int) -> Response:
        """Read one delivery with its headers and body; what looks like a secret is dots."""
        return Response(WholeDeliverySerializer(find_delivery(request, delivery)).data)


class ReplayView(Endpoint):
    """Let a delivery fire once more."""

    required_scope = Scope.RUN
    required_permission: ClassVar = FIRE
    body_schema: ClassVar = {
        "type": "object",
        "properties": {
            "trigger": {**_ID, "description": "Only this trigger; without it, all that hear of it."}
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {202: TakenSerializer}

    def post(self, request: Request, delivery: int) -> Response:
        """Let an accepted delivery fire once more: all triggers that hear of its address, or one of them."""
        body = wire.body(request, self.body_schema)
        found = find_delivery(request, delivery)
        heard = visible(matching.listeners(found.trigger), auth=request.auth, lookup="job")
        if "trigger" in body:
            heard = heard.filter(pk=int(body["trigger"]))
        made = deliveries.replay(found, triggers=heard, by=actor(request))
        return Response(TakenSerializer(deliveries.answer_of(found, made)).data, status=202)


class SendTestView(Endpoint):
    """Send a test delivery to an event trigger."""

    required_scope = Scope.RUN
    required_permission: ClassVar = FIRE
    body_schema: ClassVar = {
        "type": "object",
        "properties": {"payload": {"description": "Any JSON; without it, a sample of the scheme."}},
        "additionalProperties": False,
    }
    answers: ClassVar = {202: TakenSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Send a test delivery to the trigger's address, signed as its sender would: its runs are real."""
        body: Mapping[str, Any] = wire.body(request, self.body_schema)
        found = find_trigger(request, slug, trigger)
        taken = deliveries.send_test(found, body.get("payload"))
        return Response(TakenSerializer(taken.answer).data, status=202)


def find_delivery(request: Request, number: int) -> Delivery:
    """The delivery of that id; raises NotFound."""
    found: Delivery | None = _shown(request).filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no delivery {number}.")
    return found


def _shown(request: Request) -> Any:
    seen = visible(Reaction.objects.select_related("trigger__job"), auth=request.auth, lookup="trigger__job")
    rows = Delivery.objects.select_related("trigger__job").prefetch_related(Prefetch("reactions", seen))
    return visible(rows.order_by("-pk"), auth=request.auth, lookup="trigger__job")


def _fault(name: str, detail: str) -> Fault:
    return Fault(pointer=f"/{name}", code="value", detail=detail)

"""What was told: the log of messages and attempts, and sending one again."""

from typing import Any, ClassVar, Final, cast

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.wire import InvalidQuery
from notifications import sending
from notifications.api.channels import actor
from notifications.api.objects import ID, MessageSerializer, Refused, WholeMessageSerializer, check_unbound
from notifications.models import Message
from triggers.models import Scope

VIEW: Final = "notifications.view_message"


def _filter(schema: wire.Schema, method: str, help_text: str) -> CharFilter:
    made: CharFilter = extend_schema_field({**schema, "description": help_text})(
        type("MessageCharFilter", (CharFilter,), {})
    )(method=method, label=help_text)
    return made


class MessageFilter(FilterSet):
    """The filters of `GET /api/notifications`; reading `qs` raises InvalidQuery."""

    channel = _filter(ID, "by_number", "The channel that is told.")
    run = _filter(ID, "by_number", "The run that it is about.")
    status = _filter({"type": "string", "enum": Message.Status.values}, "by_status", "How it stands.")

    class Meta:
        model = Message
        fields: ClassVar[list[str]] = []

    def by_number(self, found: Any, name: str, value: str) -> Any:
        """By the id of a channel or run."""
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < 2**63):
            raise InvalidQuery([_fault(name, f"{shown(value)} is no id; expected a whole number from 1.")])
        return found.filter(**{"channel" if name == "channel" else "run_id": int(value)})

    def by_status(self, found: Any, name: str, value: str) -> Any:
        """By one of the statuses."""
        if value not in Message.Status.values:
            expected = ", ".join(Message.Status.values)
            raise InvalidQuery([_fault(name, f"{shown(value)} is unknown; expected one of {expected}.")])
        return found.filter(status=value)


class MessagesView(generics.ListAPIView[Message]):
    """List what was told."""

    required_permission: ClassVar = VIEW
    queryset = Message.objects.none()
    serializer_class = MessageSerializer
    filterset_class = MessageFilter
    # Without the one that narrows by job: whoever sees some jobs only sees no messages.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    def get_queryset(self) -> QuerySet[Message]:
        """All of them, without what they say."""
        check_unbound(self.request)
        return Message.objects.select_related("channel", "job").defer("payload", "text").order_by("-pk")

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List what was told to channels, or is still to be, newest first."""
        return super().list(request, *arguments, **options)


class MessageView(Endpoint):
    """Read one message."""

    required_permission: ClassVar = VIEW
    answers: ClassVar = {200: WholeMessageSerializer}

    def get(self, request: Request, message: int) -> Response:
        """Read one message, with what it says and each attempt to send it."""
        return Response(WholeMessageSerializer(_find(request, message)).data)


class ResendView(Endpoint):
    """Send a message again."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "notifications.change_message"
    body_schema: ClassVar = {"type": "object", "properties": {}, "additionalProperties": False}
    answers: ClassVar = {202: WholeMessageSerializer}

    def post(self, request: Request, message: int) -> Response:
        """Have a message that was sent or given up sent once more, under the same `public_id`."""
        wire.body(request, self.body_schema)
        found = _find(request, message)
        try:
            sending.resend(found, by=actor(request))
        except sending.NotResendable as error:
            raise Refused(str(error)) from None
        return Response(WholeMessageSerializer(_find(request, message)).data, status=202)


def _find(request: Request, number: int) -> Message:
    check_unbound(request)
    known = Message.objects.select_related("channel", "job").prefetch_related("sendings")
    found = known.filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise NotFound(f"There is no message {number}.")
    return found


def _fault(name: str, detail: str) -> Fault:
    return Fault(pointer=f"/{name}", code="value", detail=detail)

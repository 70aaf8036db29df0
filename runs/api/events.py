"""The door for outside messages: no key, but a signature by the scheme of the trigger that the address names."""

import uuid
from typing import Any, ClassVar, Final

from django.db import IntegrityError
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Value
from runs import deliveries
from triggers.events.base import Received
from triggers.models import Kind, Trigger


class ReactedSerializer(serializers.Serializer[Any]):
    """A trigger that heard of a delivery; the run it led to, if any, and why there is none."""

    trigger = Value(wire.WHOLE)
    job = Value(wire.SLUG)
    run = Value(wire.WHOLE_OR_NULL)
    reason = Value(wire.TEXT_OR_NULL)


class TakenSerializer(serializers.Serializer[Any]):
    """What came of a delivery; `waiting` are triggers that gather several for one run."""

    delivery = Value(wire.WHOLE)
    runs = ReactedSerializer(many=True, read_only=True)
    skipped = ReactedSerializer(many=True, read_only=True)
    waiting = ReactedSerializer(many=True, read_only=True)


HIDDEN: Final = frozenset({"cookie"})
REPEATED: Final[wire.Schema] = {
    "type": "object",
    "description": "The first answer to a delivery that came again; or a challenge, sent back to whoever asked it.",
}


class EventView(Endpoint):
    """Take an outside message."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    body_schema: ClassVar = {"description": "Whatever the sender signs."}
    answers: ClassVar = {200: dict(REPEATED), 202: TakenSerializer}

    def post(self, request: Request, public_id: uuid.UUID) -> Response:
        """Take an outside message, signed by the scheme of the trigger that the address names.

        A delivery that was taken before is answered with 200 and the first answer, and starts nothing.
        """
        address = find_address(public_id)
        try:
            taken = deliveries.take(
                address, received(request._request), caller=request.META.get("REMOTE_ADDR") or None
            )
        except IntegrityError:
            find_address(public_id)  # it was removed meanwhile
            raise
        is_challenge = "challenge" in taken.answer
        return Response(dict(taken.answer), status=202 if taken.is_new and not is_challenge else 200)


def find_address(public_id: uuid.UUID) -> Trigger:
    """The event trigger that has this address; raises NotFound."""
    found = Trigger.objects.select_related("job").filter(public_id=public_id, kind=Kind.EVENT, source=None)
    address = found.first()
    if address is None:
        raise NotFound(f"There is no event trigger {str(public_id)!r}.")
    return address


def received(request: HttpRequest) -> Received:
    """The message, of which the size is looked at before it is read.

    Raises LengthRequired, and `django.core.exceptions.RequestDataTooBig`.
    """
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        raise wire.LengthRequired
    headers = {name.lower(): text for name, text in request.headers.items() if name.lower() not in HIDDEN}
    return Received(headers=headers, body=request.body, at=timezone.now())

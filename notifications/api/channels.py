"""Channels: list, make, change, remove and try them."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.versions import digest, hold, tag
from notifications import channels, sending
from notifications.api.objects import (
    CHANNEL,
    NEW_CHANNEL,
    ChannelSerializer,
    MadeChannelSerializer,
    Refused,
    WholeMessageSerializer,
    check_unbound,
    refusal,
)
from notifications.models import Channel
from triggers.models import ApiKey, Scope

_ACTS: Mapping[str, str] = {"POST": "add", "PATCH": "change", "DELETE": "delete"}


class ChannelsView(generics.ListAPIView[Channel]):
    """List channels, or make one."""

    serializer_class = ChannelSerializer
    queryset = Channel.objects.none()
    # Without the one that narrows by job: channels belong to none.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return f"notifications.{_ACTS.get(self.request.method or '', 'view')}_channel"

    def get_queryset(self) -> QuerySet[Channel]:
        """All of them."""
        check_unbound(self.request)
        return Channel.objects.select_related("owner").order_by("-pk")

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List the channels, without their secrets."""
        return self.list(request, *arguments, **options)

    @described(body=NEW_CHANNEL, answers={201: MadeChannelSerializer})
    def post(self, request: Request) -> Response:
        """Make a channel. A webhook without a `secret` gets one, which this answer shows, this once."""
        check_unbound(request)
        body = wire.body(request, NEW_CHANNEL)
        # A key acts for its owner.
        made = Channel(kind=body["kind"], owner_id=request.user.pk)
        secret = write(made, body)
        return _answer(made, status=201, secret=secret)


class ChannelView(Endpoint):
    """Read, change or remove one channel."""

    conditional: ClassVar = True
    answers: ClassVar = {200: ChannelSerializer}

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return f"notifications.{_ACTS.get(self.request.method or '', 'view')}_channel"

    def get(self, request: Request, channel: int) -> Response:
        """Read one channel, without its secret; the header `ETag` is its version."""
        return _shown(find_channel(request, channel))

    @described(body=CHANNEL, answers={200: ChannelSerializer})
    def patch(self, request: Request, channel: int) -> Response:
        """Change what the body names; a channel keeps its kind."""
        body = wire.body(request, CHANNEL)
        with transaction.atomic():
            found = _held(request, channel)
            write(found, body)
        return _shown(found)

    @described(answers={204: None})
    def delete(self, request: Request, channel: int) -> Response:
        """Remove a channel, with its rules and with what was sent to it."""
        with transaction.atomic():
            _held(request, channel).delete()
        return Response(status=204)


class ChannelSecretView(Endpoint):
    """Give a webhook another secret."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "notifications.change_channel"
    body_schema: ClassVar = {"type": "object", "properties": {}, "additionalProperties": False}
    answers: ClassVar = {200: MadeChannelSerializer}

    def post(self, request: Request, channel: int) -> Response:
        """Give a webhook another secret, shown in this answer and never again; it signs from now on."""
        wire.body(request, self.body_schema)
        found = find_channel(request, channel)
        try:
            secret = channels.replace_secret(found)
        except channels.InvalidChannel as error:
            raise Refused(str(error)) from None
        return _answer(found, status=200, secret=secret)


class ChannelTestView(Endpoint):
    """Send a test to a channel."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "notifications.change_channel"
    body_schema: ClassVar = {"type": "object", "properties": {}, "additionalProperties": False}
    answers: ClassVar = {202: WholeMessageSerializer}

    def post(self, request: Request, channel: int) -> Response:
        """Have a test sent to the channel; `/api/notifications/<id>` tells what came of it."""
        wire.body(request, self.body_schema)
        message = sending.send_test(find_channel(request, channel), by=actor(request))
        return Response(WholeMessageSerializer(message).data, status=202)


def write(channel: Channel, body: Mapping[str, Any]) -> str | None:
    """Saves what the body names; returns a secret that was made. Raises InvalidBody and VaultLocked."""
    channel.name = body.get("name", channel.name).strip()
    channel.is_enabled = body.get("enabled", channel.is_enabled)
    try:
        return channels.save(channel, address=body.get("address"), secret=body.get("secret"))
    except channels.InvalidChannel as error:
        raise refusal("secret", str(error)) from None
    except ValidationError as error:
        raise wire.refused(error) from None


def find_channel(request: Request, number: int) -> Channel:
    """The channel of that id; raises NotFound."""
    check_unbound(request)
    known = Channel.objects.select_related("owner")
    found = known.filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise NotFound(f"There is no channel {number}.")
    return found


def actor(request: Request) -> str:
    """How a sentence names who acts."""
    return f"API key {request.auth.name}" if isinstance(request.auth, ApiKey) else request.user.get_username()


def _held(request: Request, number: int) -> Channel:
    """The channel, which nobody else can change meanwhile; raises NotFound and PreconditionFailed."""
    return hold(request, find_channel(request, number), version=_version, noun="channel")


def _version(channel: Channel) -> str:
    return digest(channel.name, channel.address, channel.is_enabled, channel.secret_changed_at)


def _shown(channel: Channel) -> Response:
    return Response(ChannelSerializer(channel).data, headers=tag(_version(channel)))


def _answer(channel: Channel, *, status: int, secret: str | None) -> Response:
    body = MadeChannelSerializer(channel, context={"secret": secret}).data
    return Response(body, status=status, headers={"Cache-Control": "no-store", **tag(_version(channel))})

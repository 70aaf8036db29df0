"""Channels, rules and messages as the API shows them, and what it takes for them."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request

from jobs import wire
from jobs.faults import Fault
from jobs.fields import Instant, Text, Value
from jobs.wire import InvalidBody
from notifications import addresses
from notifications.models import Channel, ChannelKind, Message, Occasion, Rule, Sending
from notifications.models.message import TEST
from notifications.models.rule import LONGEST_QUIET
from triggers.models import ApiKey

ID: Final[wire.Schema] = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_KIND: Final[wire.Schema] = {"type": "string", "enum": ChannelKind.values}
_OCCASIONS: Final[wire.Schema] = {
    "type": "array",
    "items": {"type": "string", "enum": Occasion.values},
    "minItems": 1,
    "uniqueItems": True,
}
_CHANNEL: Final[dict[str, Any]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "address": {
        "type": "string",
        "minLength": 1,
        "maxLength": addresses.LONGEST,
        "description": "E-mail addresses with commas between them, or a URL. That of Slack is not shown again.",
    },
    "secret": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "writeOnly": True,
        "description": "What a webhook is signed with, whsec_ and base64; without it one is made.",
    },
    "enabled": {"type": "boolean"},
}
NEW_CHANNEL: Final[wire.Schema] = {
    "type": "object",
    "properties": {"kind": _KIND, **_CHANNEL},
    "required": ["name", "kind", "address"],
    "additionalProperties": False,
}
CHANNEL: Final[wire.Schema] = {"type": "object", "properties": _CHANNEL, "additionalProperties": False}
_RULE: Final[dict[str, Any]] = {
    "channel": ID,
    "occasions": _OCCASIONS,
    "job": {**wire.SLUG, "type": ["string", "null"], "description": "Null: every job."},
    "tag": {
        "type": "string",
        "maxLength": 60,
        "description": "Only jobs with this tag; empty: with any or none.",
    },
    "quiet_minutes": {"type": "integer", "minimum": 0, "maximum": LONGEST_QUIET},
    "enabled": {"type": "boolean"},
}
NEW_RULE: Final[wire.Schema] = {
    "type": "object",
    "properties": _RULE,
    "required": ["channel", "occasions"],
    "additionalProperties": False,
}
RULE: Final[wire.Schema] = {"type": "object", "properties": _RULE, "additionalProperties": False}


class ChannelSerializer(serializers.Serializer[Channel]):
    """A way to reach somebody, without its secret."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    kind = Value(_KIND)
    address = Value(wire.TEXT)
    enabled = Value(wire.YES_NO, source="is_enabled")
    owner = Value(wire.TEXT_OR_NULL, source="owner.username")
    secret_changed_at = Instant()
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)


class MadeChannelSerializer(ChannelSerializer):
    """A channel with the secret that was made for it, this once; null if none was."""

    secret = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_secret(self, channel: Channel) -> str | None:
        """What the webhook is signed with."""
        made: str | None = self.context.get("secret")
        return made


class RuleSerializer(serializers.Serializer[Rule]):
    """Which channel is told of what; of every job if it names neither a job nor a tag."""

    id = Value(wire.WHOLE)
    channel = Value(wire.WHOLE, source="channel_id")
    channel_name = Value(wire.TEXT, source="channel.name")
    occasions = Value(_OCCASIONS)
    job = Value(wire.TEXT_OR_NULL, source="job.slug")
    tag = Text()
    quiet_minutes = Value(wire.WHOLE)
    enabled = Value(wire.YES_NO, source="is_enabled")
    created_at = Instant(wire.INSTANT)
    updated_at = Instant(wire.INSTANT)


class SendingSerializer(serializers.Serializer[Sending]):
    """One attempt; `unknown`: whoever sent it died, so that it may have arrived."""

    number = Value(wire.WHOLE)
    outcome = Value({"type": "string", "enum": Sending.Outcome.values})
    status_code = Value(wire.WHOLE_OR_NULL)
    error = Text()
    at = Instant(wire.INSTANT)
    ended_at = Instant()
    duration_seconds = Value(wire.NUMBER_OR_NULL, source="seconds")


class MessageSerializer(serializers.Serializer[Message]):
    """What a channel was, or will be, told. `others` is how many more of the kind it stands for."""

    id = Value(wire.WHOLE)
    public_id = serializers.SerializerMethodField()
    channel = Value(wire.WHOLE, source="channel_id")
    channel_name = Value(wire.TEXT, source="channel.name")
    rule = Value(wire.WHOLE_OR_NULL, source="rule_id")
    occasion = Value({"type": "string", "enum": [*Occasion.values, TEST]})
    job = Value(wire.TEXT_OR_NULL, source="job.slug")
    run = Value(wire.WHOLE_OR_NULL, source="run_id")
    others = Value(wire.WHOLE)
    subject = Value(wire.TEXT)
    status = Value({"type": "string", "enum": Message.Status.values})
    attempts = Value(wire.WHOLE)
    due_at = Instant()
    by = Text()
    created_at = Instant(wire.INSTANT)
    ended_at = Instant()

    @extend_schema_field({"type": "string", "format": "uuid"})
    def get_public_id(self, message: Message) -> str:
        """What receivers know it by: `webhook-id`, and the beginning of the `Message-ID` of an e-mail."""
        return str(message.public_id)


class WholeMessageSerializer(MessageSerializer):
    """A message with what it says and each attempt to send it, the newest first."""

    text = Value(wire.TEXT)
    payload = Value(wire.OBJECT)
    sendings = SendingSerializer(many=True, read_only=True)


class Refused(APIException):
    """Something that can't be done with this channel, or with this message as it stands."""

    status_code = 409
    default_code = "refused"


def check_unbound(request: Request) -> None:
    """Lets nobody in who sees some jobs only: channels and rules are about all of them."""
    if isinstance(request.auth, ApiKey) and request.auth.restricted:
        raise PermissionDenied("This API key has a list of jobs; notifications are about all of them.")


def refusal(name: str, detail: str) -> InvalidBody:
    """One field of the body is wrong."""
    return InvalidBody([Fault(pointer=f"/{name}", code="value", detail=detail)])

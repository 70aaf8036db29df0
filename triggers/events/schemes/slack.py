"""Slack: `X-Slack-Signature`, version v0, of timestamp and body; a new address is asked to repeat a challenge."""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from triggers.events.base import Options, Received, Told, check_time, member, require, same
from triggers.events.schemes.plain_secret import PlainSecret


class Slack(PlainSecret):
    """Events, slash commands and interactions; Slack repeats an event under the same `event_id`."""

    label = "Slack"
    options: Mapping[str, Any] = {}
    sample: Mapping[str, Any] = {
        "type": "event_callback",
        "event": {"type": "app_mention", "text": "deploy", "channel": "C123ABC456"},
    }

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """By the app's signing secret."""
        timestamp = received.header("X-Slack-Request-Timestamp")
        check_time(timestamp, at=received.at)
        given = received.header("X-Slack-Signature")
        require([same(given, _signature(secret, timestamp, received.body)) for secret in secrets])

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event is the inner event's type, a slash command's name, or the payload's type."""
        kind = member(payload, "type")
        if kind == "url_verification":
            return Told(event=kind, challenge=member(payload, "challenge"))
        inner = payload.get("event") if isinstance(payload, Mapping) else None
        return Told(
            key=member(payload, "event_id") or member(payload, "trigger_id") or None,
            event=member(inner, "type") or member(payload, "command") or kind,
        )

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """The two headers; the id of an event stands in its body."""
        timestamp = str(int(at.timestamp()))
        return {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": _signature(secret, timestamp, body),
        }


def _signature(secret: str, timestamp: str, body: bytes) -> str:
    return "v0=" + hmac.digest(secret.encode(), f"v0:{timestamp}:".encode() + body, "sha256").hex()

"""A generic HMAC: which header, algorithm, encoding and prefix is the trigger's choice."""

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from triggers.events.base import Options, Received, Told, check_time, member, require, same
from triggers.events.schemes.plain_secret import PlainSecret

HEADER: Final[Mapping[str, Any]] = {"type": "string", "pattern": "^[A-Za-z0-9-]{1,100}$"}
NO_HEADER: Final[Mapping[str, Any]] = {"type": "string", "pattern": "^[A-Za-z0-9-]{0,100}$"}


class SignedBody(PlainSecret):
    """The HMAC of the body, or of `<timestamp>.<body>` where a header of the timestamp is named."""

    label = "HMAC"
    options: Mapping[str, Any] = {
        "header": {**HEADER, "default": "X-Signature"},
        "algorithm": {"type": "string", "enum": ["sha256", "sha384", "sha512", "sha1"], "default": "sha256"},
        "encoding": {"type": "string", "enum": ["hex", "base64"], "default": "hex"},
        "prefix": {"type": "string", "maxLength": 50, "default": ""},
        "timestamp_header": {**NO_HEADER, "default": ""},
        "id_header": {**NO_HEADER, "default": "Idempotency-Key"},
    }
    sample: Mapping[str, Any] = {"type": "order.paid", "order": {"id": 4711, "total": "19.90"}}

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """By the header that the trigger names; hexadecimal digits of either case."""
        timestamp = ""
        if options["timestamp_header"]:
            timestamp = received.header(options["timestamp_header"])
            check_time(timestamp, at=received.at)
        given = received.header(options["header"])
        if options["encoding"] == "hex":
            start = len(options["prefix"])
            given = given[:start] + given[start:].lower()
        require([same(given, _signature(secret, timestamp, received.body, options)) for secret in secrets])

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event is the payload's `type` or `event`, where that is a text."""
        return Told(
            key=received.headers.get(options["id_header"].lower(), "").strip() or None,
            event=member(payload, "type") or member(payload, "event"),
        )

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """The headers that the trigger names."""
        timestamp = str(int(at.timestamp())) if options["timestamp_header"] else ""
        named = {
            options["timestamp_header"]: timestamp,
            options["id_header"]: key,
            options["header"]: _signature(secret, timestamp, body, options),
        }
        return {name: text for name, text in named.items() if name}


def _signature(secret: str, timestamp: str, body: bytes, options: Options) -> str:
    signed = f"{timestamp}.".encode() + body if options["timestamp_header"] else body
    found = hmac.digest(secret.encode(), signed, options["algorithm"])
    text = found.hex() if options["encoding"] == "hex" else base64.b64encode(found).decode()
    return f"{options['prefix']}{text}"

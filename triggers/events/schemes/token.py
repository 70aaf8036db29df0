"""A shared token: the secret itself in a header, for senders that can't sign."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from triggers.events.base import Options, Received, Told, member, require, same
from triggers.events.schemes.plain_secret import PlainSecret
from triggers.events.schemes.signed import HEADER, NO_HEADER


class SharedToken(PlainSecret):
    """Whoever sees one delivery can send others; so only over TLS, and only where nothing better is to be had."""

    label = "Shared token"
    options: Mapping[str, Any] = {
        "header": {**HEADER, "default": "Authorization"},
        "prefix": {"type": "string", "maxLength": 50, "default": "Bearer "},
        "id_header": {**NO_HEADER, "default": "Idempotency-Key"},
    }
    sample: Mapping[str, Any] = {"type": "file.ready", "path": "reports/2026-01.csv"}

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """The header must be one of the secrets, with the prefix before it."""
        given = received.header(options["header"])
        require([same(given, f"{options['prefix']}{secret}") for secret in secrets])

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event is the payload's `type` or `event`, where that is a text."""
        return Told(
            key=received.headers.get(options["id_header"].lower(), "").strip() or None,
            event=member(payload, "type") or member(payload, "event"),
        )

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """The token, and the id where the trigger names a header for it."""
        named = {options["header"]: f"{options['prefix']}{secret}", options["id_header"]: key}
        return {name: text for name, text in named.items() if name}

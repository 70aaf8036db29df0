"""Standard Webhooks (standardwebhooks.com, version 1): id, timestamp and body are signed together."""

import base64
import binascii
import hmac
import secrets as random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from triggers.events.base import Options, Received, Rejected, Told, check_time, member, require, same

PREFIX: Final = "whsec_"
SHORTEST, LONGEST = 16, 128  # bytes; the specification asks senders for 24 to 64


class StandardWebhooks:
    """`webhook-id`, `webhook-timestamp`, and in `webhook-signature` one or several `v1,<base64>`."""

    label = "Standard Webhooks"
    options: Mapping[str, Any] = {}
    sample: Mapping[str, Any] = {"type": "user.created", "data": {"id": "1f81eb52"}}

    def check_secret(self, secret: str) -> None:
        """Raises ValueError unless it is base64, with or without `whsec_`."""
        size = len(_key(secret))
        if not SHORTEST <= size <= LONGEST:
            raise ValueError(f"The secret has {size} bytes; expected {SHORTEST} to {LONGEST} in base64.")

    def new_secret(self) -> str:
        """32 random bytes."""
        return PREFIX + base64.b64encode(random.token_bytes(32)).decode()

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """Any of the signatures by any of the secrets will do: both may be several during a rotation."""
        key, timestamp = received.header("webhook-id"), received.header("webhook-timestamp")
        check_time(timestamp, at=received.at)
        given = list(_signatures(received.header("webhook-signature")))
        if not given:
            raise Rejected("The header webhook-signature has no signature of version v1.")
        wanted = [_signature(secret, key, timestamp, received.body) for secret in secrets]
        require(same(one, other) for one in given for other in wanted)

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event is the payload's `type`."""
        return Told(key=received.headers.get("webhook-id"), event=member(payload, "type"))

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """The three headers."""
        timestamp = str(int(at.timestamp()))
        signature = f"v1,{_signature(secret, key, timestamp, body)}"
        return {"webhook-id": key, "webhook-timestamp": timestamp, "webhook-signature": signature}


def _signatures(header: str) -> Iterator[str]:
    for part in header.split(" "):
        version, _, signature = part.partition(",")
        if version == "v1":
            yield signature


def _signature(secret: str, key: str, timestamp: str, body: bytes) -> str:
    signed = f"{key}.{timestamp}.".encode("utf-8", "surrogatepass") + body
    return base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"The secret is not base64; expected it to be, with {PREFIX!r} before it.") from None

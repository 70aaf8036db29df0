"""What a signature scheme is given and what it makes of it; plain data, no tables."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

# How far a sender's clock may be from ours, and how old a delivery may be (Standard Webhooks and Slack: 5 minutes).
TOLERANCE_SECONDS: Final = 300

Options = Mapping[str, Any]


class Rejected(Exception):
    """A delivery that nobody who knows a valid secret sent, or not lately; the message names no secret."""


class Unreadable(ValueError):
    """A delivery whose sender is known and whose body can't be read; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A delivery as it came: the headers by their names in lower case, the very bytes of the body, and when."""

    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def header(self, name: str) -> str:
        """The header's text; raises Rejected if there is none."""
        found = self.headers.get(name.lower(), "").strip()
        if not found:
            raise Rejected(f"The header {name} is missing.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a scheme reads from a delivery.

    `key` is the sender's id of the delivery, the same in each repetition; None where the sender has none.
    `details` are values beside the payload (`/$/…`). A `challenge` is answered and starts nothing; neither does
    what is `quiet`, unless a trigger names its event.
    """

    key: str | None = None
    event: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    challenge: str | None = None
    quiet: bool = False


class Reader(Protocol):
    """One way of telling what a delivery is, and whose."""

    label: str
    options: Mapping[str, Any]  # JSON Schemas of its options, each with a default
    sample: Mapping[str, Any]  # a payload to try it with

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """Raises Rejected unless somebody who knows one of `secrets` sent exactly this, and lately."""

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """What else the delivery says; `payload` is its body as JSON."""


class Scheme(Reader, Protocol):
    """One way of signing deliveries."""

    def check_secret(self, secret: str) -> None:
        """Raises ValueError, with a sentence, for a text that can't be a secret of this scheme."""

    def new_secret(self) -> str:
        """A random secret."""

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """The headers with which a sender of this scheme sends `body`."""


def require(matches: Iterable[bool]) -> None:
    """Raises Rejected unless one of `matches` holds; all of them are looked at, whichever it is."""
    if not any([*matches]):
        raise Rejected("The signature is none that a valid secret makes of this body.")


def same(one: str | bytes, other: str | bytes) -> bool:
    """Whether both are the same, in a time that does not tell how far they are."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def check_time(text: str, *, at: datetime) -> None:
    """Raises Rejected unless `text`, seconds since 1970, is near enough to `at`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Rejected("The timestamp is not a number of seconds since 1970.")
    away = at.timestamp() - int(text)
    if abs(away) > TOLERANCE_SECONDS:
        how = "old" if away > 0 else "in the future"
        raise Rejected(
            f"The timestamp is {abs(away):.0f} seconds {how}; expected at most {TOLERANCE_SECONDS}."
        )


def member(payload: Any, name: str) -> str:
    """The text under `name` of a payload that is an object; "" without one."""
    found = payload.get(name) if isinstance(payload, Mapping) else None
    return found if isinstance(found, str) else ""

"""How a stored delivery is shown to people: its payload as JSON, without what is secret."""

import json
from typing import Any, Final

from triggers.events import masking, matching, payload
from triggers.events.base import Received, Unreadable
from triggers.models import Delivery

EXCERPT: Final = 2000  # characters


def excerpt(delivery: Delivery) -> Any:
    """The payload as a run keeps it: without secrets; as it is if that is short, else the beginning of its text."""
    text = shown_body(delivery)
    if len(text) > EXCERPT:
        return f"{text[:EXCERPT]} …"
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown_body(delivery: Delivery) -> str:
    """The payload as indented JSON; secrets are dots, by their names and by what the listeners take them for."""
    if not delivery.body:
        return ""
    received = Received(headers=delivery.headers, body=bytes(delivery.body), at=delivery.received_at)
    try:
        found = payload.read(received)
    except Unreadable:
        return f"({delivery.size} bytes that can't be read)"
    return masking.shown_body(found, also=matching.secret_places(delivery.trigger))

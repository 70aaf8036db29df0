"""No signature: the deliveries come from sources that the site polls itself, and nobody can send one."""

from collections.abc import Iterable, Mapping
from typing import Any

from triggers.events.base import Options, Received, Rejected, Told


class Polled:
    """What a poller puts into the inbox names its source, its event and its id in headers of our own."""

    label = "Polled sources"
    options: Mapping[str, Any] = {}
    sample: Mapping[str, Any] = {
        "path": "/srv/drop/sales-2026-01.csv",
        "relative": "sales-2026-01.csv",
        "name": "sales-2026-01.csv",
        "folder": "/srv/drop",
        "size": 20_480,
        "modified_at": "2026-01-31T08:15:00Z",
    }

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """Raises Rejected, whatever came."""
        raise Rejected("This address takes no messages: what comes to its trigger is polled from sources.")

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """What the poller wrote; a payload has no say in it."""
        return Told(
            key=received.headers.get("headway-delivery") or None,
            event=received.headers.get("headway-event", ""),
            details={"source": received.headers.get("headway-source", "")},
        )

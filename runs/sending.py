"""Decides which of several beats sends the ordinary entries of django-celery-beat: one, by a lease in the database.

Each beat would send them all: they know nothing of each other. The lease is one row; who holds it renews it before each
round, and whoever finds it old takes it. A beat that is frozen in the middle of a round may end that round, no more.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from runs.models import Heartbeat

NAME: Final = "entries"
# A beat that did not renew for so long sends no more; another takes over.
LEASE_SECONDS: Final = 10
_HOLD: Final = """
    INSERT INTO runs_heartbeat AS h (name, at, detail) VALUES (%s, clock_timestamp(), %s::jsonb)
    ON CONFLICT (name) DO UPDATE SET at = excluded.at, detail = excluded.detail,
        since = CASE WHEN h.detail->>'beat' = excluded.detail->>'beat' THEN h.since ELSE excluded.at END
    WHERE h.detail->>'beat' = excluded.detail->>'beat' OR h.at < clock_timestamp() - make_interval(secs => %s)"""


@dataclass(frozen=True, slots=True)
class Sender:
    """The beat that sends, as `pid@host`, and when it last said so."""

    name: str
    at: datetime


def hold(beat: str, *, detail: dict[str, Any]) -> bool:
    """Takes or renews the lease for `beat`; False if another beat holds it."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [NAME, json.dumps({**detail, "beat": beat}), LEASE_SECONDS])
        return bool(cursor.rowcount == 1)


def release(beat: str) -> None:
    """Lets another beat take over at once, if `beat` holds the lease."""
    Heartbeat.objects.filter(name=NAME, detail__beat=beat).delete()


def sender() -> Sender | None:
    """Who sent last; None before the first."""
    row = Heartbeat.objects.filter(name=NAME).first()
    return Sender(f"{row.detail['pid']}@{row.detail['hostname']}", row.at) if row else None

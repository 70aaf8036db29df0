"""What became of the slots of many schedules in a stretch of time, each with its run, in one query."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

# A schedule of every minute has so many slots in six hours; of one that fires more often, the newest.
MOST: Final = 361

_PAST: Final = """
    SELECT asked.id, o.slot, o.outcome, o.run_id, r.status, r.failure_reason, r.cancel_requested_at IS NOT NULL,
        r.started_at, r.finished_at
    FROM unnest(%(ids)s::bigint[]) AS asked(id)
    CROSS JOIN LATERAL (
        SELECT slot, outcome, run_id FROM triggers_occurrence
        WHERE trigger_id = asked.id AND slot >= %(begin)s AND slot < %(end)s
        ORDER BY slot DESC LIMIT %(most)s) o
    LEFT JOIN runs_run r ON r.id = o.run_id
    ORDER BY asked.id, o.slot"""


@dataclass(frozen=True, slots=True)
class Past:
    """A slot that came: its outcome in the ledger, and how its run stands (`status` is None for none)."""

    slot: datetime
    outcome: str
    run_id: int | None
    run_status: str | None
    failure_reason: str | None
    cancel_requested: bool
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def status(self) -> str:
        """What a face is read from: the run's status, the outcome of a slot without one, "" if it is gone."""
        return self.run_status or ("" if self.outcome == "fired" else self.outcome)

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel was asked of its run, which is still open."""
        return self.cancel_requested and self.run_status == "running"


def past(trigger_ids: Iterable[int], *, begin: datetime, end: datetime) -> dict[int, list[Past]]:
    """The slots of each schedule from `begin` up to `end`, the oldest first, of each the newest `MOST`."""
    ids = list(trigger_ids)
    found: dict[int, list[Past]] = {asked: [] for asked in ids}
    with connection.cursor() as cursor:
        cursor.execute(_PAST, {"ids": ids, "begin": begin, "end": end, "most": MOST})
        for asked, *columns in cursor.fetchall():
            found[asked].append(Past(*columns))
    return found

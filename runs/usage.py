"""How often each trigger led to runs, how those ended, and when it last did; without counting runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

_USAGE = """
    SELECT asked.id, coalesce(ended.runs, 0), coalesce(ended.succeeded, 0), coalesce(ended.failed, 0),
        coalesce(latest.at, ended.at)
    FROM unnest(%(triggers)s::bigint[]) AS asked(id)
    LEFT JOIN (
        SELECT trigger_id, sum(runs) AS runs, sum(runs) FILTER (WHERE status = 'succeeded') AS succeeded,
            sum(runs) FILTER (WHERE status = 'failed') AS failed, max(at) AS at
        FROM (
            SELECT trigger_id, status, runs, last_run_at AS at FROM runs_triggertally
            WHERE trigger_id = ANY(%(triggers)s)
            UNION ALL
            SELECT trigger_id, status, runs, last_run_at FROM runs_tallydelta WHERE trigger_id = ANY(%(triggers)s)
        ) counted GROUP BY trigger_id
    ) ended ON ended.trigger_id = asked.id
    LEFT JOIN LATERAL (
        SELECT created_at AS at FROM runs_run WHERE trigger_id = asked.id ORDER BY id DESC LIMIT 1
    ) latest ON true"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a trigger led to: `fired` counts its runs that have ended, also those that retention deleted."""

    fired: int
    succeeded: int
    failed: int
    last_fired_at: datetime | None

    @property
    def success_rate(self) -> float | None:
        """Succeeded of those that succeeded or failed, 0 to 1; None before the first."""
        judged = self.succeeded + self.failed
        return self.succeeded / judged if judged else None


def of_triggers(trigger_ids: Iterable[int]) -> dict[int, Usage]:
    """The usage of each of the given triggers, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, {"triggers": list(trigger_ids)})
        return {
            row[0]: Usage(fired=int(row[1]), succeeded=int(row[2]), failed=int(row[3]), last_fired_at=row[4])
            for row in cursor.fetchall()
        }

"""Knows in which lanes jobs have queued runs by the levels of the lanes, however many runs wait behind their heads."""

from collections.abc import Iterable
from typing import Final

from django.db import connection

_WAITING: Final = """
    SELECT l.name, count(*) FROM runs_lane l CROSS JOIN runs_levels(l.name) level
    JOIN runs_claimgroup g ON g.id = level.group_id AND g.job_id = ANY(%s)
    CROSS JOIN LATERAL (
        SELECT 1 FROM runs_run r
        WHERE r.status = 'queued' AND r.lane = l.name AND r.group_id = level.group_id
          AND r.priority >= level.priority AND r.priority <= level.priority
        ORDER BY r.priority, r.id LIMIT %s) head
    GROUP BY l.name"""


def waiting(jobs: Iterable[int], *, most: int) -> dict[str, int]:
    """How many runs of the jobs are queued in each lane that has any; of one group and priority `most` are counted."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [list(jobs), most])
        return dict(cursor.fetchall())

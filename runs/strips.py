"""The last results of jobs, schedules and dependencies, newest first, each in one query however many are asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import connection

from runs.models import Run

# The range of one job, and its order, leave the planner no index but that of job and id: by the primary key it would
# walk through everybody's runs to find twenty of a job that has only ten.
_OF_JOBS = """
    SELECT asked.id, r.id, r.status, r.failure_reason, r.cancel_requested_at IS NOT NULL
    FROM unnest(%s::bigint[]) AS asked(id)
    CROSS JOIN LATERAL (
        SELECT id, status, failure_reason, cancel_requested_at FROM runs_run
        WHERE job_id BETWEEN asked.id AND asked.id ORDER BY job_id DESC, id DESC LIMIT %s) r
    ORDER BY asked.id, r.id DESC"""

_OF_SCHEDULES = """
    SELECT asked.id, o.run_id, coalesce(r.status, CASE o.outcome WHEN 'fired' THEN '' ELSE o.outcome END),
        r.failure_reason, r.cancel_requested_at IS NOT NULL, CASE o.by WHEN '' THEN o.fired_at - o.slot END
    FROM unnest(%s::bigint[]) AS asked(id)
    CROSS JOIN LATERAL (
        SELECT slot, outcome, run_id, fired_at, by FROM triggers_occurrence
        WHERE trigger_id = asked.id ORDER BY slot DESC LIMIT %s) o
    LEFT JOIN runs_run r ON r.id = o.run_id
    ORDER BY asked.id, o.slot DESC"""

_OF_DEPENDENCIES = """
    SELECT asked.id, f.run_id,
        coalesce(r.status, CASE f.outcome WHEN 'fired' THEN '' WHEN 'pending' THEN 'waiting' ELSE f.outcome END),
        r.failure_reason, r.cancel_requested_at IS NOT NULL
    FROM unnest(%s::bigint[]) AS asked(id)
    CROSS JOIN LATERAL (
        SELECT id, outcome, run_id FROM runs_following
        WHERE trigger_id = asked.id ORDER BY id DESC LIMIT %s) f
    LEFT JOIN runs_run r ON r.id = f.run_id
    ORDER BY asked.id, f.id DESC"""

COUNT: Final = 20


@dataclass(frozen=True, slots=True)
class Result:
    """How one run stands, or what became of one slot (`missed`, `skipped`; "" when its run is gone).

    `late` is how long after its slot a schedule launched it by itself.
    """

    run_id: int | None
    status: str
    failure_reason: str | None
    cancel_requested: bool
    late: timedelta | None = None

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel was asked of a run that is still open."""
        return self.cancel_requested and self.status == "running"


def of_jobs(job_ids: Iterable[int], *, count: int = COUNT) -> dict[int, list[Result]]:
    """The last `count` runs of each job."""
    return _strips(_OF_JOBS, list(job_ids), count)


def of_runs(runs: Iterable[Run]) -> list[Result]:
    """The same of runs that were read anyway, newest first."""
    return [
        Result(run.pk, run.status, run.failure_reason, run.cancel_requested_at is not None) for run in runs
    ]


def of_schedules(trigger_ids: Iterable[int], *, count: int = COUNT) -> dict[int, list[Result]]:
    """What became of the last `count` slots of each schedule."""
    return _strips(_OF_SCHEDULES, list(trigger_ids), count)


def of_dependencies(trigger_ids: Iterable[int], *, count: int = COUNT) -> dict[int, list[Result]]:
    """What the last `count` upstream runs of each dependency led to."""
    return _strips(_OF_DEPENDENCIES, list(trigger_ids), count)


def _strips(query: str, ids: list[int], count: int) -> dict[int, list[Result]]:
    found: dict[int, list[Result]] = {asked: [] for asked in ids}
    with connection.cursor() as cursor:
        cursor.execute(query, [ids, count])
        for asked, *columns in cursor.fetchall():
            found[asked].append(Result(*columns))
    return found

"""Deadlines: what a job or schedule promises of its runs, and whether each run kept it.

They are due rows in the database, made with the run and judged by the sweep, each exactly once: a breach is a row,
an event of the run, and told to whom a rule says so (`runs.telling`). A job that promises nothing costs nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from jobs.models import Job
from notifications import outbox
from runs.models import Deadline, DeadlineKind, Run
from triggers.models import Trigger

AT_ONCE: Final = 500
_PROMISES: Final = (
    (DeadlineKind.START, "start_within_seconds"),
    (DeadlineKind.FINISH, "finish_within_seconds"),
)

# What ended in time needs no start any more; what was cancelled or skipped in time needs no end.
_JUDGE: Final = """
    WITH due AS MATERIALIZED (
        SELECT id FROM runs_deadline WHERE is_breached IS NULL AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED),
    judged AS (
        UPDATE runs_deadline d SET judged_at = clock_timestamp(), is_breached = NOT coalesce(
            least(r.finished_at, CASE WHEN d.kind = 'start' THEN coalesce(
                (r.attempts->0->>'started_at')::timestamptz, r.started_at) END) <= d.due_at, FALSE)
        FROM due, runs_run r WHERE d.id = due.id AND r.id = d.run_id
        RETURNING d.id, d.run_id, d.job_id, d.kind, d.due_at, d.is_breached),
    noted AS (@noted@)
    INSERT INTO runs_runevent (run_id, at, kind, actor, detail)
    SELECT run_id, clock_timestamp(), 'deadline_breached', '',
        jsonb_build_object('kind', kind, 'due_at', due_at) FROM judged WHERE is_breached""".replace(
    "@noted@", outbox.BREACHED
)


def of(run: Run, *, job: Job, trigger: Trigger | None) -> list[Deadline]:
    """The deadlines of a new run, counted from when it is due: its slot, `run_at`, or its creation."""
    found = promised(job, trigger=trigger, begin=run.slot or run.run_at or run.created_at)
    return [Deadline(run=run, job=job, kind=kind, due_at=due_at) for kind, due_at in found]


def promised(job: Job, *, trigger: Trigger | None, begin: datetime) -> list[tuple[DeadlineKind, datetime]]:
    """The deadlines of a run that is due at `begin`. What the trigger promises goes before what the job does."""
    found = []
    for kind, name in _PROMISES:
        seconds = getattr(trigger, name, None)
        seconds = getattr(job, name) if seconds is None else seconds
        if seconds is not None:
            found.append((kind, begin + timedelta(seconds=seconds)))
    return found


def judge() -> int:
    """Judges the deadlines whose time has come, oldest first; returns how many were breached."""
    with connection.cursor() as cursor:
        cursor.execute(_JUDGE, [AT_ONCE])
        return int(cursor.rowcount)

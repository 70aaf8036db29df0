"""Counters of ended runs that need no scan and cannot drift: appended by each ending, folded by the sweep.

What people read is always base plus what was not folded yet, so a run counts in the moment it ends. Nothing repairs the
counters, because nothing can make them wrong: a run gets its final status, once, in a statement that also appends what
it adds (`runs.moves` for every move, the function that settles one ordinary run, `runs.portions` for recipients that
are skipped), or in the transaction that counts it (`count`: skipped as it is launched, imported). A fold deletes what
it adds in the same statement, and what deletes runs touches no counter.
tests/runs/test_counters.py does all of it in any order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from runs.histogram import bucket
from runs.models import Run, TallyDelta

_BASE = """
    SELECT job_id, sum(succeeded), sum(failed), sum(cancelled), sum(skipped), sum(duration_seconds), sum(timed),
        (array_agg(last_run_id ORDER BY last_run_at DESC NULLS LAST, last_run_id DESC))[1],
        max(last_run_at),
        (array_agg(last_run_status ORDER BY last_run_at DESC NULLS LAST, last_run_id DESC))[1],
        sum(pruned), max(pruned_at)
    FROM (
        SELECT job_id, succeeded, failed, cancelled, skipped, duration_seconds, timed, last_run_id, last_run_at,
            last_run_status, pruned, pruned_at
        FROM runs_tally WHERE job_id = ANY(%(jobs)s)
        UNION ALL
        SELECT job_id,
            CASE WHEN status = 'succeeded' THEN runs ELSE 0 END, CASE WHEN status = 'failed' THEN runs ELSE 0 END,
            CASE WHEN status = 'cancelled' THEN runs ELSE 0 END, CASE WHEN status = 'skipped' THEN runs ELSE 0 END,
            CASE WHEN status = 'succeeded' THEN duration_seconds ELSE 0 END,
            CASE WHEN status = 'succeeded' THEN timed ELSE 0 END,
            last_run_id, last_run_at, status, 0, NULL
        FROM runs_tallydelta WHERE job_id = ANY(%(jobs)s)
    ) counted GROUP BY job_id"""

_FOLD = """
    WITH gone AS (
        DELETE FROM runs_tallydelta WHERE id IN (
            SELECT id FROM runs_tallydelta ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING *),
    ended AS (
        SELECT *, date_trunc('hour', last_run_at, 'UTC') AS hour FROM gone),
    spans AS (
        SELECT hour, job_id, trigger_id, trigger_kind, lane, status,
            jsonb_object_agg(bucket, runs) FILTER (WHERE is_wait) AS waits,
            jsonb_object_agg(bucket, runs) FILTER (WHERE NOT is_wait) AS durations
        FROM (
            SELECT hour, job_id, trigger_id, trigger_kind, lane, status, is_wait, bucket, count(*) AS runs
            FROM ended CROSS JOIN LATERAL (
                SELECT true AS is_wait, unnest(waits) AS bucket
                UNION ALL SELECT false, unnest(durations)) each_of
            GROUP BY hour, job_id, trigger_id, trigger_kind, lane, status, is_wait, bucket) counted
        GROUP BY hour, job_id, trigger_id, trigger_kind, lane, status),
    hourly AS (
        INSERT INTO runs_hourlytally AS h (hour, job_id, trigger_id, trigger_kind, lane, status, runs, timed,
            duration_seconds, wait_seconds, waits, durations)
        SELECT e.hour, e.job_id, e.trigger_id, e.trigger_kind, e.lane, e.status, sum(e.runs), sum(e.timed),
            sum(e.duration_seconds), sum(e.wait_seconds), coalesce(s.waits, '{}'), coalesce(s.durations, '{}')
        FROM ended e LEFT JOIN spans s
            ON (s.hour, s.job_id, s.trigger_kind, s.lane, s.status)
                = (e.hour, e.job_id, e.trigger_kind, e.lane, e.status)
            AND s.trigger_id IS NOT DISTINCT FROM e.trigger_id
        GROUP BY 1, 2, 3, 4, 5, 6, s.waits, s.durations
        ON CONFLICT (hour, job_id, trigger_id, trigger_kind, lane, status) DO UPDATE SET
            runs = h.runs + excluded.runs, timed = h.timed + excluded.timed,
            duration_seconds = h.duration_seconds + excluded.duration_seconds,
            wait_seconds = h.wait_seconds + excluded.wait_seconds,
            waits = runs_merged(h.waits, excluded.waits),
            durations = runs_merged(h.durations, excluded.durations)),
    triggers AS (
        INSERT INTO runs_triggertally AS g (job_id, trigger_id, trigger_kind, lane, status, runs, timed,
            duration_seconds, wait_seconds, last_run_at)
        SELECT job_id, trigger_id, trigger_kind, lane, status, sum(runs), sum(timed), sum(duration_seconds),
            sum(wait_seconds), max(last_run_at)
        FROM gone GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (trigger_id, job_id, trigger_kind, lane, status) DO UPDATE SET
            runs = g.runs + excluded.runs, timed = g.timed + excluded.timed,
            duration_seconds = g.duration_seconds + excluded.duration_seconds,
            wait_seconds = g.wait_seconds + excluded.wait_seconds,
            last_run_at = greatest(g.last_run_at, excluded.last_run_at)),
    campaigns AS (
        INSERT INTO runs_campaigntally AS c (campaign_id, succeeded, failed, cancelled, skipped)
        SELECT campaign_id,
            coalesce(sum(runs) FILTER (WHERE status = 'succeeded'), 0),
            coalesce(sum(runs) FILTER (WHERE status = 'failed'), 0),
            coalesce(sum(runs) FILTER (WHERE status = 'cancelled'), 0),
            coalesce(sum(runs) FILTER (WHERE status = 'skipped'), 0)
        FROM gone WHERE campaign_id IS NOT NULL GROUP BY campaign_id
        ON CONFLICT (campaign_id) DO UPDATE SET
            succeeded = c.succeeded + excluded.succeeded, failed = c.failed + excluded.failed,
            cancelled = c.cancelled + excluded.cancelled, skipped = c.skipped + excluded.skipped),
    paces AS (
        INSERT INTO runs_campaignpace AS p (campaign_id, at, succeeded, failed, other)
        SELECT campaign_id, date_bin('10 seconds', last_run_at, 'epoch'),
            coalesce(sum(runs) FILTER (WHERE status = 'succeeded'), 0),
            coalesce(sum(runs) FILTER (WHERE status = 'failed'), 0),
            coalesce(sum(runs) FILTER (WHERE status IN ('cancelled', 'skipped')), 0)
        FROM gone WHERE campaign_id IS NOT NULL GROUP BY 1, 2
        ON CONFLICT (campaign_id, at) DO UPDATE SET
            succeeded = p.succeeded + excluded.succeeded, failed = p.failed + excluded.failed,
            other = p.other + excluded.other),
    minutes AS (
        SELECT lane, date_trunc('minute', last_run_at, 'UTC') AS at, runs, waits FROM gone),
    waits AS (
        SELECT lane, at, jsonb_object_agg(bucket, runs) AS waits FROM (
            SELECT lane, at, bucket, count(*) AS runs FROM minutes CROSS JOIN LATERAL unnest(waits) bucket
            GROUP BY lane, at, bucket) counted
        GROUP BY lane, at),
    lanes AS (
        INSERT INTO runs_lanepace AS l (lane, at, launched, ended, waits)
        SELECT m.lane, m.at, 0, sum(m.runs), coalesce(w.waits, '{}')
        FROM minutes m LEFT JOIN waits w ON (w.lane, w.at) = (m.lane, m.at)
        GROUP BY m.lane, m.at, w.waits ORDER BY m.lane, m.at
        ON CONFLICT (at, lane) DO UPDATE SET
            ended = l.ended + excluded.ended, waits = runs_merged(l.waits, excluded.waits))
    INSERT INTO runs_tally AS t (job_id, succeeded, failed, cancelled, skipped, duration_seconds, timed, last_run_id,
        last_run_at, last_run_status)
    SELECT job_id,
        coalesce(sum(runs) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'failed'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'cancelled'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'skipped'), 0),
        coalesce(sum(duration_seconds) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum(timed) FILTER (WHERE status = 'succeeded'), 0),
        (array_agg(last_run_id ORDER BY last_run_at DESC, last_run_id DESC))[1], max(last_run_at),
        (array_agg(status ORDER BY last_run_at DESC, last_run_id DESC))[1]
    FROM gone WHERE EXISTS (SELECT 1 FROM jobs_job j WHERE j.id = gone.job_id) GROUP BY job_id
    ON CONFLICT (job_id) DO UPDATE SET
        succeeded = t.succeeded + excluded.succeeded, failed = t.failed + excluded.failed,
        cancelled = t.cancelled + excluded.cancelled, skipped = t.skipped + excluded.skipped,
        duration_seconds = t.duration_seconds + excluded.duration_seconds, timed = t.timed + excluded.timed,
        last_run_id = CASE WHEN t.last_run_at > excluded.last_run_at THEN t.last_run_id ELSE excluded.last_run_id END,
        last_run_status = CASE WHEN t.last_run_at > excluded.last_run_at
            THEN t.last_run_status ELSE excluded.last_run_status END,
        last_run_at = greatest(t.last_run_at, excluded.last_run_at)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How a job's runs ended so far; durations are of succeeded runs, in seconds."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    duration_seconds: float = 0.0
    timed: int = 0
    last_run_id: int | None = None
    last_run_at: datetime | None = None
    last_run_status: str | None = None
    # How many of them retention has deleted, and when it last did.
    pruned: int = 0
    pruned_at: datetime | None = None

    @property
    def run_count(self) -> int:
        """Ended runs of every kind."""
        return self.succeeded + self.failed + self.cancelled + self.skipped

    @property
    def success_rate(self) -> float | None:
        """Succeeded of those that succeeded or failed, 0 to 1; None before the first."""
        judged = self.succeeded + self.failed
        return self.succeeded / judged if judged else None

    @property
    def average_duration_seconds(self) -> float | None:
        """The mean duration of succeeded runs; None before the first."""
        return self.duration_seconds / self.timed if self.timed else None


def of_jobs(job_ids: Iterable[int]) -> dict[int, Counts]:
    """The counts of each of the given jobs, in one query."""
    ids = list(job_ids)
    with connection.cursor() as cursor:
        cursor.execute(_BASE, {"jobs": ids})
        counted = {
            row[0]: Counts(
                succeeded=int(row[1]),
                failed=int(row[2]),
                cancelled=int(row[3]),
                skipped=int(row[4]),
                duration_seconds=float(row[5]),
                timed=int(row[6]),
                last_run_id=row[7],
                last_run_at=row[8],
                last_run_status=row[9],
                pruned=int(row[10]),
                pruned_at=row[11],
            )
            for row in cursor.fetchall()
        }
    return {job_id: counted.get(job_id, Counts()) for job_id in ids}


def of_job(job_id: int) -> Counts:
    """The counts of one job."""
    return of_jobs([job_id])[job_id]


def count(runs: Iterable[Run]) -> None:
    """Counts runs that were recorded as ended; one that ends here is counted by the statement that ends it."""
    together: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        assert run.finished_at is not None
        hour = run.finished_at.replace(minute=0, second=0, microsecond=0)
        key = (hour, run.job_id, run.trigger_id, run.trigger_kind, run.lane, run.status)
        together.setdefault(key, []).append(run)
    TallyDelta.objects.bulk_create([_delta(alike) for alike in together.values()])


def _delta(alike: list[Run]) -> TallyDelta:
    newest = max(alike, key=lambda run: (run.finished_at, run.pk))
    assert newest.finished_at is not None
    return TallyDelta(
        job_id=newest.job_id,
        trigger_id=newest.trigger_id,
        trigger_kind=newest.trigger_kind,
        lane=newest.lane,
        status=newest.status,
        runs=len(alike),
        timed=sum(run.started_at is not None for run in alike),
        duration_seconds=sum(run.duration.total_seconds() for run in alike if run.duration),
        wait_seconds=sum(run.wait.total_seconds() for run in alike if run.wait),
        waits=[bucket(run.wait.total_seconds()) for run in alike if run.wait],
        durations=[bucket(run.duration.total_seconds()) for run in alike if run.duration],
        last_run_id=newest.pk,
        last_run_at=newest.finished_at,
    )


def fold(*, limit: int = 10_000) -> None:
    """Adds up to `limit` appended endings to all tallies in one statement: each is counted once, or still there."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, [limit])

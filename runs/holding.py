"""Calls back the runs that a claim put aside because their concurrency key was taken (step 4 of `runs_claim`).

A key's limit is kept by the claim alone, which counts what runs of the key while it holds the lock on the job's row;
so nothing here can break it. What is called back too much is put aside again, what is called back too little the
sweep finds: an ending that was settled in the very moment in which a claim put the next run aside.
"""

from collections import Counter
from typing import Any

from django.db import connection

from runs import dispatch
from runs.statements import planned

# The held runs of a key, by campaign and lane, each of which may be paused by itself: so the best of each is called.
_RELEASE = """
    UPDATE runs_run r SET group_id = best.group_id
    FROM (
        SELECT r.id, g.open_id AS group_id
        FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS freed (job_id, concurrency_key, runs)
        JOIN LATERAL (
            SELECT held.id, there.id AS open_id FROM runs_claimgroup held
            JOIN runs_claimgroup there ON there.job_id = held.job_id AND NOT there.is_held AND there.target IS NULL
                AND there.campaign_id IS NOT DISTINCT FROM held.campaign_id
            WHERE held.job_id = freed.job_id AND held.is_held) g ON true
        CROSS JOIN runs_lane l
        CROSS JOIN LATERAL (
            SELECT r.id FROM runs_run r
            WHERE r.status = 'queued' AND r.concurrency_key IS NOT NULL AND r.group_id = g.id
              AND r.concurrency_key = freed.concurrency_key AND r.lane = l.name
            ORDER BY r.priority, r.id LIMIT freed.runs FOR UPDATE SKIP LOCKED) r
    ) best
    WHERE r.id = best.id AND r.status || '' = 'queued'
    RETURNING r.lane"""

# Each key that has held runs, found by jumping from one to the next, of which fewer run than may and none is in line.
_LEFT_OVER = """
    WITH RECURSIVE held AS (
        SELECT g.id AS group_id, g.job_id, first.concurrency_key, first.lane
        FROM runs_claimgroup g CROSS JOIN LATERAL (
            SELECT r.concurrency_key, r.lane FROM runs_run r
            WHERE r.status = 'queued' AND r.concurrency_key IS NOT NULL AND r.group_id = g.id
            ORDER BY r.concurrency_key, r.lane LIMIT 1) first
        WHERE g.is_held
        UNION ALL
        SELECT held.group_id, held.job_id, next.concurrency_key, next.lane
        FROM held CROSS JOIN LATERAL (
            SELECT r.concurrency_key, r.lane FROM runs_run r
            WHERE r.status = 'queued' AND r.concurrency_key IS NOT NULL AND r.group_id = held.group_id
              AND (r.concurrency_key, r.lane) > (held.concurrency_key, held.lane)
            ORDER BY r.concurrency_key, r.lane LIMIT 1) next)
    SELECT DISTINCT held.job_id, held.concurrency_key,
        CASE WHEN j.concurrency_key_template IS NULL THEN 1000
             ELSE coalesce(key.free, j.max_concurrent_per_key) END
    FROM held
    JOIN jobs_job j ON j.id = held.job_id
    JOIN runs_claimgroup own ON own.id = held.group_id
    JOIN runs_claimgroup there ON there.job_id = own.job_id AND NOT there.is_held AND there.target IS NULL
        AND there.campaign_id IS NOT DISTINCT FROM own.campaign_id
    LEFT JOIN runs_key key ON key.job_id = held.job_id AND key.concurrency_key = held.concurrency_key
    WHERE coalesce(key.free, 1) > 0 AND NOT EXISTS (
        SELECT 1 FROM runs_run r
        WHERE r.status = 'queued' AND r.concurrency_key IS NOT NULL AND r.group_id = there.id
          AND r.concurrency_key = held.concurrency_key AND r.lane = held.lane)"""


def release(freed: Counter[tuple[int, str]]) -> int:
    """Calls back as many held runs of each (job id, concurrency key) as the counter says; returns how many."""
    if not freed:
        return 0
    pairs = list(freed)
    arguments: list[Any] = [[job for job, _ in pairs], [key for _, key in pairs], list(freed.values())]
    lanes = [row["lane"] for row in planned(_RELEASE, arguments)]
    for lane in sorted(set(lanes)):
        dispatch.hint_after_commit(lane)
    return len(lanes)


def release_left_over() -> int:
    """Calls back held runs whose key is free and that nobody has called; returns how many. For the sweep."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM runs_claimgroup WHERE is_held)")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(_LEFT_OVER)
        return release(Counter({(job, key): runs for job, key, runs in cursor.fetchall()}))

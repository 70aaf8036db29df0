"""Lets the settlement of attempts be a function: planned once, and never so that it walks through all runs."""

from typing import ClassVar

from django.db import migrations

# What `runs.lifecycle.settle` says of attempts, entry by entry, is written to the rows whose claim still holds.
# Two things of it are less plain than they look:
# - A settled attempt that would be followed by another one ends here if a cancel was asked. That is written out
#   wherever it is used, because so PostgreSQL evaluates it on the newest version of the row, locked, and not on a
#   snapshot of it.
# - A run that was claimed in a chunk behind the first slice counts as begun, and as an attempt, only with its
#   settlement: until then it has no start, and what its slot announced says whether it had begun.
BECOMES = """CASE WHEN x.status IN ('scheduled', 'waiting') AND r.cancel_requested_at IS NOT NULL
            THEN 'cancelled' ELSE x.status END"""
SETTLE = """
CREATE FUNCTION runs_settle(entries jsonb) RETURNS SETOF runs_run
LANGUAGE plpgsql
-- The first runs of a site are settled while its table is all but empty, and the plan outlives that.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    UPDATE runs_run r SET
        status = @becomes@,
        attempt = r.attempt + (r.started_at IS NULL)::int,
        started_at = coalesce(x.started_at, r.started_at),
        result = CASE WHEN x.status IN ('succeeded', 'failed') THEN x.result ELSE r.result END,
        failure_reason = CASE WHEN @becomes@ = 'failed' THEN x.failure_reason END,
        error = x.error,
        failed_attempts = r.failed_attempts + (x.failure_reason IS NOT NULL)::int,
        attempts = CASE WHEN @becomes@ IN ('scheduled', 'waiting')
            THEN r.attempts || jsonb_build_array(jsonb_build_object(
                'attempt', r.attempt + (r.started_at IS NULL)::int, 'outcome', x.outcome, 'worker', r.worker,
                'queued_at', r.queued_at, 'started_at', coalesce(x.started_at, r.started_at),
                'finished_at', x.finished_at, 'error', x.error))
            ELSE r.attempts END,
        cancelled_by = CASE WHEN @becomes@ = 'cancelled' AND r.cancelled_by = ''
            THEN 'the job itself' ELSE r.cancelled_by END,
        due_at = CASE WHEN @becomes@ IN ('scheduled', 'waiting')
            THEN coalesce(x.due_at, clock_timestamp() + x.delay_seconds * interval '1 second') END,
        next_step = x.next_step,
        state = x.state,
        finished_at = CASE WHEN @becomes@ NOT IN ('scheduled', 'waiting') THEN x.finished_at END
    FROM (
        SELECT i.*, clock_timestamp() - coalesce(i.ended_ago, 0) * interval '1 second' AS finished_at,
               clock_timestamp() - i.started_ago * interval '1 second' AS started_at
        FROM jsonb_to_recordset(entries) AS i(
            id bigint, token bigint, status text, outcome text, result jsonb, failure_reason text,
            error jsonb, delay_seconds float8, due_at timestamptz, next_step text, state jsonb,
            started_ago float8, ended_ago float8)
    ) x
    -- The status is looked at by an expression that no index has, or the planner would rather walk all that is running.
    WHERE r.id = x.id AND r.claim_token = x.token AND r.status || '' = 'running'
    RETURNING r.*;
END $$
""".replace("@becomes@", BECOMES)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0002_claim")]

    operations: ClassVar = [migrations.RunSQL(SETTLE, "DROP FUNCTION runs_settle(jsonb)")]

"""Lets slots settle chunks by columns."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

# What `runs.lifecycle.settle` says of attempts is written to the rows whose claim still holds. It comes by columns,
# because a chunk has hundreds of rows of which most have nothing else to tell; `told` is what is beyond a success
# without a result. What is less plain than it looks stands in 0003_settle.
BECOMES = """CASE WHEN x.status IN ('scheduled', 'waiting') AND r.cancel_requested_at IS NOT NULL
            THEN 'cancelled' ELSE x.status END"""
SETTLE = """
CREATE FUNCTION runs_settle(ids bigint[], tokens bigint[], begun_ago float8[], ended_ago float8[], told jsonb[])
-- Only what `runs.moves` asks for: a chunk of whole rows would be copied three times.
RETURNS TABLE (
    id bigint, job_id bigint, status varchar, lane varchar, attempt smallint, cancel_requested_at timestamptz,
    concurrency_key varchar, trigger_id bigint, campaign_id bigint, trigger_kind varchar, queued_at timestamptz,
    started_at timestamptz, finished_at timestamptz, result jsonb)
LANGUAGE plpgsql
-- The first runs of a site are settled while its table is all but empty, and the plan outlives that.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    UPDATE runs_run r SET
        status = @becomes@,
        attempt = r.attempt + (r.started_at IS NULL)::int,
        started_at = coalesce(x.started_at, r.started_at),
        result = CASE WHEN x.status IN ('succeeded', 'failed') THEN x.told->'result' ELSE r.result END,
        failure_reason = CASE WHEN @becomes@ = 'failed' THEN x.told->>'failure_reason' END,
        error = x.told->'error',
        failed_attempts = r.failed_attempts + (x.told ? 'failure_reason' IS TRUE)::int,
        attempts = CASE WHEN @becomes@ IN ('scheduled', 'waiting')
            THEN r.attempts || jsonb_build_array(jsonb_build_object(
                'attempt', r.attempt + (r.started_at IS NULL)::int, 'outcome', x.told->>'outcome',
                'worker', r.worker, 'queued_at', r.queued_at, 'started_at', coalesce(x.started_at, r.started_at),
                'finished_at', x.finished_at, 'error', x.told->'error'))
            ELSE r.attempts END,
        cancelled_by = CASE WHEN @becomes@ = 'cancelled' AND r.cancelled_by = ''
            THEN 'the job itself' ELSE r.cancelled_by END,
        due_at = CASE WHEN @becomes@ IN ('scheduled', 'waiting')
            THEN coalesce((x.told->>'due_at')::timestamptz,
                at + (x.told->>'delay_seconds')::float8 * interval '1 second') END,
        next_step = x.told->>'next_step',
        state = x.told->'state',
        finished_at = CASE WHEN @becomes@ NOT IN ('scheduled', 'waiting') THEN x.finished_at END
    FROM (
        SELECT given.id, given.token, given.told, coalesce(given.told->>'status', 'succeeded') AS status,
               at - coalesce(given.ended_ago, 0) * interval '1 second' AS finished_at,
               at - given.begun_ago * interval '1 second' AS started_at
        FROM unnest(ids, tokens, begun_ago, ended_ago, told) AS given (id, token, begun_ago, ended_ago, told)
    ) x
    -- The status is looked at by an expression that no index has, or the planner would rather walk all that is running.
    WHERE r.id = x.id AND r.claim_token = x.token AND r.status || '' = 'running'
    RETURNING r.id, r.job_id, r.status, r.lane, r.attempt, r.cancel_requested_at, r.concurrency_key, r.trigger_id,
        r.campaign_id, r.trigger_kind, r.queued_at, r.started_at, r.finished_at, r.result;
END $$
""".replace("@becomes@", BECOMES)
DROP = "DROP FUNCTION runs_settle(bigint[], bigint[], float8[], float8[], jsonb[])"
# As it was, for whoever goes back.
SETTLE_BEFORE = import_module("runs.migrations.0003_settle").SETTLE


# `extract` gives a numeric, `date_part` the same as float8, which is what is wanted.
def _bucket(epoch: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION runs_bucket(span interval) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(-56, least(88, floor(
        5.7707801635558535 * ln(greatest({epoch}, 0.00001)))))::smallint
$$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0009_throughput")]

    operations: ClassVar = [
        migrations.RunSQL("DROP FUNCTION runs_settle(jsonb)", SETTLE_BEFORE),
        migrations.RunSQL(SETTLE, DROP),
        migrations.RunSQL(_bucket("date_part('epoch', span)"), _bucket("extract(epoch FROM span)::float8")),
    ]

"""What a claim is made of: the tokens, the one predicate (`runs_gate`), and the claim itself (`runs_claim`)."""

from typing import ClassVar

from django.db import migrations

TOKENS = "CREATE SEQUENCE runs_claim_token AS bigint"

# The one predicate "may a run of this group start now?". The claim takes from groups without a blocker, and
# runs/why.py words the same row. `free` is how many more may start at once; NULL: no limit.
GATE = """
CREATE VIEW runs_gate AS
SELECT g.id AS group_id, g.job_id,
    CASE
        WHEN j.status = 'inactive' THEN 'job_inactive'
        WHEN j.status = 'paused' AND (j.paused_until IS NULL OR j.paused_until > now()) THEN 'job_paused'
        WHEN busy.running >= j.max_concurrent_runs THEN 'job_limit'
    END AS blocker,
    j.max_concurrent_runs - busy.running AS free
FROM runs_claimgroup g
JOIN jobs_job j ON j.id = g.job_id
LEFT JOIN LATERAL (
    SELECT count(*) AS running FROM runs_run r WHERE r.job_id = g.job_id AND r.status = 'running'
) busy ON j.max_concurrent_runs IS NOT NULL
"""

# One round trip, several statements, because each statement of a function sees what was committed before it:
# 1. the groups that have queued runs in the lane, found by jumping from group to group through the index;
# 2. of jobs with a limit, the rows are locked, so that only one claim at a time counts their running runs.
#    Who is not given the lock leaves the job to the claim that has it;
# 3. with that in hand, the best runs over all open groups are locked. A few more than wanted are looked at,
#    because the first ones may be locked by claims that are under way;
# 4. what was locked is taken.
CLAIM = """
CREATE FUNCTION runs_claim(wanted_lane text, wanted int, begun int, slot_process bigint, slot_name text)
RETURNS TABLE (
    id bigint, token bigint, attempt smallint, max_attempts smallint, failed_attempts smallint,
    trigger_kind varchar, parameters jsonb, context jsonb, tags varchar[], created_at timestamptz,
    deadline_at timestamptz, job_id bigint, slug varchar, executor varchar, configuration jsonb, schema jsonb,
    timeout_seconds int, retry_first_delay_seconds float8, retry_longest_delay_seconds float8,
    retry_factor float8, retry_jitter float8)
LANGUAGE plpgsql
-- Planning the claim costs more than carrying it out, and its plan does not depend on the values.
SET plan_cache_mode = force_generic_plan
-- Right after a campaign was made the statistics know nothing of it. The way through the indexes is always right.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    waiting bigint[];
    counted bigint[];
    candidates bigint[];
    taken bigint[];
    tokens bigint[];
BEGIN
    IF EXISTS (SELECT 1 FROM runs_lane l WHERE l.name = wanted_lane AND l.paused_at IS NOT NULL)
       OR NOT EXISTS (
           SELECT 1 FROM runs_workerprocess p JOIN runs_worker w ON w.id = p.worker_id
           WHERE p.id = slot_process AND p.ended_at IS NULL AND w.stopping_at IS NULL
             AND w.lease_until > clock_timestamp())
    THEN RETURN; END IF;

    waiting := ARRAY(
        WITH RECURSIVE jump AS (
            (SELECT r.group_id FROM runs_run r WHERE r.status = 'queued' AND r.lane = wanted_lane
             ORDER BY r.group_id LIMIT 1)
            UNION ALL
            SELECT (SELECT r.group_id FROM runs_run r WHERE r.status = 'queued' AND r.lane = wanted_lane
                    AND r.group_id > jump.group_id ORDER BY r.group_id LIMIT 1)
            FROM jump WHERE jump.group_id IS NOT NULL)
        SELECT jump.group_id FROM jump WHERE jump.group_id IS NOT NULL);
    IF waiting = '{}' THEN RETURN; END IF;

    counted := ARRAY(
        SELECT j.id FROM jobs_job j
        WHERE j.max_concurrent_runs IS NOT NULL
          AND j.id IN (SELECT g.job_id FROM runs_claimgroup g WHERE g.id = ANY(waiting))
        ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED);

    candidates := ARRAY(
        SELECT head.id FROM (
            SELECT first.id, first.priority, gate.free,
                   row_number() OVER (PARTITION BY gate.job_id ORDER BY first.priority, first.id) AS place
            FROM runs_gate gate
            CROSS JOIN LATERAL (
                SELECT r.id, r.priority FROM runs_run r
                WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = gate.group_id
                ORDER BY r.priority, r.id LIMIT wanted + 16) first
            WHERE gate.group_id = ANY(waiting) AND gate.blocker IS NULL
              AND (gate.free IS NULL OR gate.job_id = ANY(counted))) head
        WHERE head.free IS NULL OR head.place <= head.free
        ORDER BY head.priority, head.id LIMIT wanted + 16);

    -- The status is looked at by an expression that no index has, or the planner would rather walk the whole
    -- queue than these few ids. Tokens grow in the order in which the slot will begin the runs.
    SELECT array_agg(locked.id), array_agg(nextval('runs_claim_token')) INTO taken, tokens FROM (
        SELECT r.id FROM unnest(candidates) WITH ORDINALITY AS candidate (id, place)
        JOIN runs_run r ON r.id = candidate.id
        WHERE r.status || '' = 'queued'
        ORDER BY candidate.place LIMIT wanted FOR UPDATE OF r SKIP LOCKED) locked;
    IF taken IS NULL THEN RETURN; END IF;

    RETURN QUERY
    UPDATE runs_run r SET
        status = 'running', claim_token = numbered.token, process_id = slot_process, worker = slot_name,
        attempt = r.attempt + (numbered.place <= begun)::int, error = NULL, progress = NULL,
        started_at = CASE WHEN numbered.place <= begun THEN clock_timestamp() END,
        deadline_at = clock_timestamp() + j.timeout_seconds * interval '1 second'
    FROM unnest(taken, tokens) WITH ORDINALITY AS numbered (id, token, place), jobs_job j
    WHERE r.id = numbered.id AND j.id = r.job_id
    RETURNING r.id, r.claim_token, (r.attempt + (numbered.place > begun)::int)::smallint, r.max_attempts, r.failed_attempts, r.trigger_kind, r.parameters,
        r.context, r.tags, r.created_at, r.deadline_at, j.id, j.slug, j.executor, j.configuration, j.schema,
        j.timeout_seconds, j.retry_first_delay_seconds, j.retry_longest_delay_seconds, j.retry_factor,
        j.retry_jitter;
END $$
"""

LANES = "INSERT INTO runs_lane (name, paused_by, paused_reason) VALUES ('high','',''), ('default','',''), ('bulk','','')"

# Rows of these tables live for seconds in some index: their dead entries are what a claim would stumble over.
AUTOVACUUM = """
ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05)
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0001_initial")]

    operations: ClassVar = [
        migrations.RunSQL(TOKENS, "DROP SEQUENCE runs_claim_token"),
        migrations.RunSQL(GATE, "DROP VIEW runs_gate"),
        migrations.RunSQL(CLAIM, "DROP FUNCTION runs_claim(text, int, int, bigint, text)"),
        migrations.RunSQL(LANES, "DELETE FROM runs_lane"),
        *(
            migrations.RunSQL(AUTOVACUUM.format(table=table), migrations.RunSQL.noop)
            for table in ("runs_run", "runs_tallydelta", "runs_worker", "runs_workerprocess")
        ),
    ]

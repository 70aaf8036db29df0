"""Lets a claim honour campaigns: paused, outside their hours, or as fast as they may be."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

before = import_module("runs.migrations.0002_claim")

# As before, with what a campaign adds. `permits` is how many runs of the campaign may start now by its rate; NULL:
# any number. It is GCRA: a campaign that was idle may start the runs of one second at once, and no more.
GATE = """
CREATE OR REPLACE VIEW runs_gate AS
SELECT g.id AS group_id, g.job_id,
    CASE
        WHEN j.status = 'inactive' THEN 'job_inactive'
        WHEN j.status = 'paused' AND (j.paused_until IS NULL OR j.paused_until > now()) THEN 'job_paused'
        WHEN c.status IN ('cancelling', 'cancelled') THEN 'campaign_cancelled'
        WHEN c.status = 'paused' THEN 'campaign_paused'
        WHEN c.window_from < c.window_to AND NOT (clock.local >= c.window_from AND clock.local < c.window_to)
          OR c.window_from > c.window_to AND clock.local < c.window_from AND clock.local >= c.window_to
        THEN 'campaign_window'
        WHEN busy.running >= j.max_concurrent_runs THEN 'job_limit'
        WHEN paced.permits < 1 THEN 'campaign_rate'
    END AS blocker,
    j.max_concurrent_runs - busy.running AS free,
    paced.permits
FROM runs_claimgroup g
JOIN jobs_job j ON j.id = g.job_id
LEFT JOIN runs_campaign c ON c.id = g.campaign_id
LEFT JOIN LATERAL (
    SELECT count(*) AS running FROM runs_run r WHERE r.job_id = g.job_id AND r.status = 'running'
) busy ON j.max_concurrent_runs IS NOT NULL
LEFT JOIN LATERAL (
    SELECT (clock_timestamp() AT TIME ZONE c.window_zone)::time AS local
) clock ON c.window_from IS NOT NULL
LEFT JOIN LATERAL (
    SELECT floor(greatest(0, c.rate_per_second * (
        greatest(1, 1 / c.rate_per_second)
        - extract(epoch FROM greatest(g.paced_until, clock_timestamp()) - clock_timestamp())) + 1e-6))::bigint
        AS permits
) paced ON c.rate_per_second IS NOT NULL
"""

# As before (the steps are told in 0002), and with step 2 for campaigns that have a rate: their groups are locked, so
# that only one claim at a time uses their permits up, which it does before it takes the runs.
CLAIM = """
CREATE OR REPLACE FUNCTION runs_claim(wanted_lane text, wanted int, begun int, slot_process bigint, slot_name text)
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
    paced bigint[];
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
    paced := ARRAY(
        SELECT g.id FROM runs_claimgroup g JOIN runs_campaign c ON c.id = g.campaign_id
        WHERE g.id = ANY(waiting) AND c.rate_per_second IS NOT NULL
        ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED);

    candidates := ARRAY(
        SELECT head.id FROM (
            SELECT first.id, first.priority, gate.free,
                   row_number() OVER (PARTITION BY gate.job_id ORDER BY first.priority, first.id) AS place
            FROM runs_gate gate
            CROSS JOIN LATERAL (
                SELECT r.id, r.priority FROM runs_run r
                WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = gate.group_id
                ORDER BY r.priority, r.id LIMIT least(wanted + 16, gate.permits)) first
            WHERE gate.group_id = ANY(waiting) AND gate.blocker IS NULL
              AND (gate.free IS NULL OR gate.job_id = ANY(counted))
              AND (gate.permits IS NULL OR gate.group_id = ANY(paced))) head
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

    IF paced <> '{}' THEN
        UPDATE runs_claimgroup g SET paced_until =
            greatest(g.paced_until, clock_timestamp()) + begin.runs / c.rate_per_second * interval '1 second'
        FROM (SELECT r.group_id, count(*) AS runs FROM runs_run r
              WHERE r.id = ANY(taken) AND r.group_id = ANY(paced) GROUP BY r.group_id) begin,
             runs_campaign c
        WHERE g.id = begin.group_id AND c.id = g.campaign_id;
    END IF;

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


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0005_campaigns")]

    operations: ClassVar = [
        migrations.RunSQL(GATE, f"DROP VIEW runs_gate; {before.GATE}"),
        migrations.RunSQL(CLAIM, before.CLAIM.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")),
    ]

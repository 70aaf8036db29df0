"""What a claim is made of: the tokens, the one predicate (`runs_gate`), and the claim itself (`runs_claim`)."""

from typing import ClassVar

from django.db import migrations

TOKENS = "CREATE SEQUENCE runs_claim_token AS bigint"

# How many runs of each concurrency key run, and how many more may; keys of which none runs are not in it.
KEYS = """
CREATE VIEW runs_key AS
SELECT r.job_id, r.concurrency_key, count(*) AS running, j.max_concurrent_per_key - count(*) AS free
FROM runs_run r JOIN jobs_job j ON j.id = r.job_id
WHERE r.status = 'running' AND r.concurrency_key IS NOT NULL AND j.concurrency_key_template IS NOT NULL
GROUP BY r.job_id, r.concurrency_key, j.max_concurrent_per_key
"""

# The one predicate "may a run of this group start now?". The claim takes from groups without a blocker, and
# runs/why.py words the same row. What only some jobs have is looked at for them alone, by a condition inside.
# free: how many runs of the job may start at once; NULL: any number. permits: the same for a campaign's rate, which
#   is GCRA: a campaign that was idle may start the runs of one second at once, and no more.
# is_counted: the job has a limit, so that only one claim at a time may count its runs.
# circuit_id: the circuit breaker that lets one run through, the probe; NULL if it lets all through.
# next_start_at: when the job, by its rate of starts, may start the next run.
GATE = """
CREATE VIEW runs_gate AS
SELECT g.id AS group_id, g.job_id,
    CASE
        WHEN j.status = 'inactive' THEN 'job_inactive'
        WHEN j.status = 'paused' AND (j.paused_until IS NULL OR j.paused_until > now()) THEN 'job_paused'
        WHEN c.status IN ('cancelling', 'cancelled') THEN 'campaign_cancelled'
        WHEN c.status = 'paused' THEN 'campaign_paused'
        WHEN c.window_from < c.window_to AND NOT (clock.local >= c.window_from AND clock.local < c.window_to)
          OR c.window_from > c.window_to AND clock.local < c.window_from AND clock.local >= c.window_to
        THEN 'campaign_window'
        WHEN k.open_until > clock_timestamp() THEN 'circuit_open'
        WHEN probe.goes_on THEN 'circuit_probing'
        WHEN g.is_held THEN 'key_limit'
        WHEN busy.running >= j.max_concurrent_runs THEN 'job_limit'
        WHEN started.next_at > clock_timestamp() THEN 'job_rate'
        WHEN paced.permits < 1 THEN 'campaign_rate'
    END AS blocker,
    least(j.max_concurrent_runs - busy.running, j.max_starts - started.starts,
          CASE WHEN k.opened_at IS NOT NULL THEN 1 END) AS free,
    paced.permits,
    coalesce(j.max_concurrent_runs, j.max_starts) IS NOT NULL OR j.concurrency_key_template IS NOT NULL
        AS is_counted,
    CASE WHEN k.opened_at IS NOT NULL THEN k.id END AS circuit_id,
    started.next_at AS next_start_at
FROM runs_claimgroup g
JOIN jobs_job j ON j.id = g.job_id
LEFT JOIN runs_campaign c ON c.id = g.campaign_id
LEFT JOIN runs_circuit k ON k.target = j.circuit_target
CROSS JOIN LATERAL (
    SELECT count(*) AS running FROM runs_run r
    WHERE j.max_concurrent_runs IS NOT NULL AND r.job_id = g.job_id AND r.status = 'running'
) busy
CROSS JOIN LATERAL (
    SELECT count(*) AS starts, CASE WHEN j.max_starts IS NOT NULL THEN
        (SELECT s.at FROM runs_jobstart s WHERE s.job_id = g.job_id ORDER BY s.at DESC
         OFFSET j.max_starts - 1 LIMIT 1) + j.starts_window_seconds * interval '1 second' END AS next_at
    FROM runs_jobstart s
    WHERE j.max_starts IS NOT NULL AND s.job_id = g.job_id
      AND s.at > clock_timestamp() - j.starts_window_seconds * interval '1 second'
) started
CROSS JOIN LATERAL (
    SELECT CASE WHEN k.probe_run_id IS NOT NULL THEN EXISTS (
        SELECT 1 FROM runs_run r WHERE r.id = k.probe_run_id AND r.status || '' = 'running') END AS goes_on
) probe
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

# One round trip, several statements, because each statement of a function sees what was committed before it:
# 1. the groups that have queued runs in the lane, found by jumping from group to group through the index;
# 2. of jobs with a limit, of campaigns with a rate and of circuit breakers that are not closed the rows are locked, so
#    that only one claim at a time counts what runs and uses up what may start. Who is not given a lock leaves the
#    job, the campaign or the probe to the claim that has it;
# 3. with that in hand, the best runs over all open groups are chosen. A few more than wanted are looked at, because
#    the first ones may be locked by claims that are under way;
# 4. of jobs with concurrency keys, runs whose key is taken are put aside into the job's held group, and the choice is
#    made again: so each is looked at once, and a hundred thousand of them never stand before the others. A run that
#    ends calls the best of its key back (runs/holding.py);
# 5. what was locked is taken.
CLAIM = """
CREATE FUNCTION runs_claim(wanted_lane text, wanted int, begun int, slot_process bigint, slot_name text)
RETURNS TABLE (
    id bigint, token bigint, attempt smallint, max_attempts smallint, failed_attempts smallint,
    trigger_kind varchar, parameters jsonb, context jsonb, tags varchar[], created_at timestamptz,
    deadline_at timestamptz, job_id bigint, slug varchar, executor varchar, configuration jsonb, schema jsonb,
    timeout_seconds int, retry_first_delay_seconds float8, retry_longest_delay_seconds float8,
    retry_factor float8, retry_jitter float8, circuit_target varchar)
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
    probed bigint[];
    keyed bigint[];
    rated bigint[];
    candidates bigint[];
    held bigint[];
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
        WHERE (coalesce(j.max_concurrent_runs, j.max_starts) IS NOT NULL OR j.concurrency_key_template IS NOT NULL)
          AND j.id IN (SELECT g.job_id FROM runs_claimgroup g WHERE g.id = ANY(waiting))
        ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED);
    paced := ARRAY(
        SELECT g.id FROM runs_claimgroup g JOIN runs_campaign c ON c.id = g.campaign_id
        WHERE g.id = ANY(waiting) AND c.rate_per_second IS NOT NULL
        ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED);
    IF EXISTS (SELECT 1 FROM runs_circuit k WHERE k.opened_at IS NOT NULL) THEN
        probed := ARRAY(
            SELECT k.id FROM runs_circuit k WHERE k.opened_at IS NOT NULL AND k.open_until <= clock_timestamp()
            ORDER BY k.id FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    IF counted <> '{}' THEN
        SELECT array_agg(j.id) FILTER (WHERE j.concurrency_key_template IS NOT NULL),
               array_agg(j.id) FILTER (WHERE j.max_starts IS NOT NULL)
        INTO keyed, rated FROM jobs_job j WHERE j.id = ANY(counted);
    END IF;

    LOOP
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
                  AND (NOT gate.is_counted OR gate.job_id = ANY(counted))
                  AND (gate.permits IS NULL OR gate.group_id = ANY(paced))
                  AND (gate.circuit_id IS NULL OR gate.circuit_id = ANY(probed))) head
            WHERE head.free IS NULL OR head.place <= head.free
            ORDER BY head.priority, head.id LIMIT wanted + 16);
        EXIT WHEN keyed IS NULL OR candidates = '{}';

        held := ARRAY(
            SELECT r.id FROM (
                SELECT DISTINCT r.group_id, r.concurrency_key
                FROM unnest(candidates) AS candidate (id)
                JOIN runs_run r ON r.id = candidate.id
                JOIN runs_key key ON key.job_id = r.job_id AND key.concurrency_key = r.concurrency_key
                WHERE r.job_id = ANY(keyed) AND key.free <= 0) busy
            CROSS JOIN LATERAL (
                SELECT r.id FROM runs_run r
                WHERE r.status = 'queued' AND r.group_id = busy.group_id AND r.lane = wanted_lane
                  AND r.concurrency_key = busy.concurrency_key
                ORDER BY r.priority, r.id LIMIT 1000) r);
        EXIT WHEN held = '{}';
        INSERT INTO runs_claimgroup (job_id, campaign_id, is_held)
            SELECT DISTINCT g.job_id, g.campaign_id, true
            FROM unnest(held) AS aside (id) JOIN runs_run r ON r.id = aside.id
            JOIN runs_claimgroup g ON g.id = r.group_id
            ON CONFLICT DO NOTHING;
        UPDATE runs_run r SET group_id = aside.group_id
        FROM (
            SELECT r.id, there.id AS group_id FROM unnest(held) AS busy (id)
            JOIN runs_run r ON r.id = busy.id
            JOIN runs_claimgroup g ON g.id = r.group_id
            JOIN runs_claimgroup there ON there.job_id = g.job_id AND there.is_held
                AND there.campaign_id IS NOT DISTINCT FROM g.campaign_id
            WHERE r.status || '' = 'queued' FOR UPDATE OF r SKIP LOCKED) aside
        WHERE r.id = aside.id;
        EXIT WHEN NOT FOUND;
    END LOOP;

    -- Of each key no more than are free: the surplus is put aside once one of them runs.
    IF keyed IS NOT NULL THEN
        candidates := ARRAY(
            SELECT chosen.id FROM (
                SELECT r.id, candidate.place, coalesce(key.free, j.max_concurrent_per_key) AS free,
                       r.job_id = ANY(keyed) AND r.concurrency_key IS NOT NULL AS has_key,
                       row_number() OVER (PARTITION BY r.job_id, r.concurrency_key ORDER BY candidate.place) AS nth
                FROM unnest(candidates) WITH ORDINALITY AS candidate (id, place)
                JOIN runs_run r ON r.id = candidate.id
                JOIN jobs_job j ON j.id = r.job_id
                LEFT JOIN runs_key key ON key.job_id = r.job_id AND key.concurrency_key = r.concurrency_key) chosen
            WHERE NOT chosen.has_key OR chosen.nth <= chosen.free
            ORDER BY chosen.place);
    END IF;

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
    IF rated IS NOT NULL THEN
        DELETE FROM runs_jobstart s USING jobs_job j
        WHERE s.job_id = ANY(rated) AND j.id = s.job_id
          AND s.at < clock_timestamp() - j.starts_window_seconds * interval '1 second';
        INSERT INTO runs_jobstart (job_id, at)
            SELECT r.job_id, clock_timestamp() FROM runs_run r WHERE r.id = ANY(taken) AND r.job_id = ANY(rated);
    END IF;
    IF probed <> '{}' THEN
        UPDATE runs_circuit k SET probe_run_id = probe.id
        FROM (SELECT min(r.id) AS id, j.circuit_target FROM runs_run r JOIN jobs_job j ON j.id = r.job_id
              WHERE r.id = ANY(taken) GROUP BY j.circuit_target) probe
        WHERE k.id = ANY(probed) AND k.target = probe.circuit_target;
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
        j.retry_jitter, j.circuit_target;
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
        migrations.RunSQL(KEYS, "DROP VIEW runs_key"),
        migrations.RunSQL(GATE, "DROP VIEW runs_gate"),
        migrations.RunSQL(CLAIM, "DROP FUNCTION runs_claim(text, int, int, bigint, text)"),
        migrations.RunSQL(LANES, "DELETE FROM runs_lane"),
        *(
            migrations.RunSQL(AUTOVACUUM.format(table=table), migrations.RunSQL.noop)
            for table in ("runs_run", "runs_tallydelta", "runs_worker", "runs_workerprocess", "runs_jobstart")
        ),
    ]

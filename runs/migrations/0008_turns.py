"""Makes the claim of an ordinary run one statement, and its settlement and the next claim one call: a slot's turn."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

# As it was, for whoever goes back.
BEFORE = import_module("runs.migrations.0004_aging").CLAIM

# Of a statement as small as the claim of one run, most of the time goes into setting it up. So a claim asks for what it
# needs to know first in two statements instead of six; and where nothing of what `runs_gate` looks at is there (a limit,
# a key, a circuit, a campaign, a pause), so that no group can have a blocker, it takes its run without asking it.
#
# The first runs of a queue may be locked by a claim under way, which is as long as its slot settles a chunk: of 500
# wanted another would get the few behind them. So it looks at twice as many as it wants, and at more if all of those
# are taken.
CLAIM = """
CREATE OR REPLACE FUNCTION runs_claim(wanted_lane text, wanted int, begun int, slot_process bigint, slot_name text,
    aging_seconds float8 DEFAULT 0, aging_limit int DEFAULT 10)
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
    level_groups bigint[];
    levels smallint[];
    is_plain bool;
    counted bigint[];
    paced bigint[];
    probed bigint[];
    keyed bigint[];
    rated bigint[];
    candidates bigint[];
    held bigint[];
    taken bigint[];
    tokens bigint[];
    ahead int := wanted + greatest(wanted, 16);
    seen int;
BEGIN
    IF NOT EXISTS (
           SELECT 1 FROM runs_workerprocess p JOIN runs_worker w ON w.id = p.worker_id
           JOIN runs_lane l ON l.name = wanted_lane AND l.paused_at IS NULL
           WHERE p.id = slot_process AND p.ended_at IS NULL AND w.stopping_at IS NULL
             AND w.draining_at IS NULL AND w.lease_until > clock_timestamp())
    THEN RETURN; END IF;

    SELECT array_agg(DISTINCT l.group_id), array_agg(l.group_id), array_agg(l.priority),
        bool_and(j.status = 'active' AND NOT g.is_held AND coalesce(
            g.campaign_id, j.max_concurrent_runs, j.max_starts) IS NULL
            AND coalesce(j.concurrency_key_template, j.circuit_target) IS NULL)
    INTO waiting, level_groups, levels, is_plain FROM runs_levels(wanted_lane) l
    JOIN runs_claimgroup g ON g.id = l.group_id JOIN jobs_job j ON j.id = g.job_id;
    IF waiting IS NULL THEN RETURN; END IF;

    IF is_plain AND wanted = 1 THEN
        -- Once, whatever the planner thinks: looked for again for another row of jobs_job, the next run would be found,
        -- because the one before is locked by now.
        RETURN QUERY
        WITH numbered AS MATERIALIZED (
            SELECT r.id FROM (
                SELECT first.id, first.urgency
                FROM unnest(level_groups, levels) AS level (group_id, priority)
                CROSS JOIN LATERAL (
                    SELECT r.id, runs_urgency(r.priority, r.queued_at, aging_seconds, aging_limit) AS urgency
                    FROM runs_run r
                    WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = level.group_id
                      AND r.priority = level.priority
                    ORDER BY r.id LIMIT 17) first
                ORDER BY first.urgency, first.id LIMIT 17) head
            JOIN runs_run r ON r.id = head.id
            WHERE r.status || '' = 'queued'
            ORDER BY head.urgency, head.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
        UPDATE runs_run r SET
            status = 'running', claim_token = nextval('runs_claim_token'), process_id = slot_process, worker = slot_name,
            attempt = r.attempt + (begun > 0)::int, error = NULL, progress = NULL,
            started_at = CASE WHEN begun > 0 THEN clock_timestamp() END,
            deadline_at = clock_timestamp() + j.timeout_seconds * interval '1 second'
        FROM numbered, jobs_job j
        WHERE r.id = numbered.id AND j.id = r.job_id
        RETURNING r.id, r.claim_token, (r.attempt + (begun = 0)::int)::smallint, r.max_attempts,
        r.failed_attempts, r.trigger_kind, r.parameters, r.context, r.tags, r.created_at, r.deadline_at, j.id, j.slug,
        j.executor, j.configuration, j.schema, j.timeout_seconds, j.retry_first_delay_seconds,
        j.retry_longest_delay_seconds, j.retry_factor, j.retry_jitter, j.circuit_target;
        RETURN;
    END IF;

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

    <<looking>>
    LOOP
        LOOP
            candidates := ARRAY(
                SELECT head.id FROM (
                    SELECT first.id, first.urgency, gate.free,
                           row_number() OVER (PARTITION BY gate.job_id ORDER BY first.urgency, first.id) AS place
                    FROM runs_gate gate
                    JOIN unnest(level_groups, levels) AS level (group_id, priority) ON level.group_id = gate.group_id
                    CROSS JOIN LATERAL (
                        SELECT r.id, runs_urgency(r.priority, r.queued_at, aging_seconds, aging_limit) AS urgency
                        FROM runs_run r
                        WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = level.group_id
                          AND r.priority = level.priority
                        ORDER BY r.id LIMIT least(ahead, gate.permits)) first
                    WHERE gate.group_id = ANY(waiting) AND gate.blocker IS NULL
                      AND (NOT gate.is_counted OR gate.job_id = ANY(counted))
                      AND (gate.permits IS NULL OR gate.group_id = ANY(paced))
                      AND (gate.circuit_id IS NULL OR gate.circuit_id = ANY(probed))) head
                WHERE head.free IS NULL OR head.place <= head.free
                ORDER BY head.urgency, head.id LIMIT ahead);
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

        seen := cardinality(candidates);

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
        EXIT looking WHEN keyed IS NOT NULL OR cardinality(taken) = wanted OR seen < ahead OR ahead > 64 * wanted;
        ahead := 4 * ahead;
    END LOOP;
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
    RETURNING r.id, r.claim_token, (r.attempt + (numbered.place > begun)::int)::smallint, r.max_attempts,
        r.failed_attempts, r.trigger_kind, r.parameters, r.context, r.tags, r.created_at, r.deadline_at, j.id, j.slug,
        j.executor, j.configuration, j.schema, j.timeout_seconds, j.retry_first_delay_seconds,
        j.retry_longest_delay_seconds, j.retry_factor, j.retry_jitter, j.circuit_target;
END $$
"""

# What most turns of a slot are: a run that succeeded is settled, as `runs_settle` does it, and counted, as `runs.moves`
# does it, and the next one is claimed. A first row with its id and no token says that it was settled. If the claim on
# it is gone, or if more than counting comes of its end, nothing is done at all: that is for the longer way.
TURN = """
CREATE FUNCTION runs_turn(ended bigint, held bigint, outcome jsonb, ended_ago float8, wanted_lane text,
    slot_process bigint, slot_name text, aging_seconds float8, aging_limit int)
RETURNS @table@LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    was record;
BEGIN
    UPDATE runs_run r SET
        status = 'succeeded', result = outcome, failure_reason = NULL, error = NULL, due_at = NULL, next_step = NULL,
        state = NULL, finished_at = clock_timestamp() - ended_ago * interval '1 second'
    WHERE r.id = ended AND r.claim_token = held AND r.status || '' = 'running' AND r.started_at IS NOT NULL
      AND r.campaign_id IS NULL AND r.concurrency_key IS NULL AND r.cancel_requested_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM triggers_upstream u WHERE u.job_id = r.job_id)
      AND NOT EXISTS (SELECT 1 FROM notifications_failing f WHERE f.job_id = r.job_id)
      AND NOT EXISTS (SELECT 1 FROM notifications_notice n
                      WHERE n.job_id = r.job_id AND n.taken_at IS NULL AND n.occasion = 'failed')
    RETURNING r.job_id, r.trigger_id, r.trigger_kind, r.lane, r.queued_at, r.started_at, r.finished_at INTO was;
    IF NOT FOUND THEN RETURN; END IF;
    INSERT INTO runs_tallydelta (job_id, trigger_id, trigger_kind, lane, status, runs, timed, duration_seconds,
        wait_seconds, waits, durations, last_run_id, last_run_at)
    SELECT was.job_id, was.trigger_id, was.trigger_kind, was.lane, 'succeeded', 1, 1,
        extract(epoch FROM was.finished_at - was.started_at),
        CASE WHEN waited THEN extract(epoch FROM was.started_at - was.queued_at) ELSE 0 END,
        CASE WHEN waited THEN ARRAY[runs_bucket(was.started_at - was.queued_at)] ELSE '{}' END,
        ARRAY[runs_bucket(was.finished_at - was.started_at)], ended, was.finished_at
    FROM (SELECT was.started_at >= was.queued_at AS waited) x;
    id := ended;
    RETURN NEXT;
    RETURN QUERY SELECT * FROM runs_claim(
        wanted_lane, 1, 1, slot_process, slot_name, aging_seconds, aging_limit);
END $$
""".replace("@table@", CLAIM[CLAIM.index("TABLE (") : CLAIM.index("LANGUAGE plpgsql")])


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0007_operations")]

    operations: ClassVar = [
        migrations.RunSQL(CLAIM, BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)),
        migrations.RunSQL(
            TURN,
            "DROP FUNCTION runs_turn(bigint, bigint, jsonb, float8, text, bigint, text, float8, int)",
        ),
    ]

"""Lets waiting make a run more urgent within its lane, and a worker drain: the claim anew, with both."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations, models

# How urgent a queued run is: its priority, lowered by one for each `aging_seconds` that it has waited, but never below
# `aging_limit`. In the lane default only: in high nothing is to be overtaken, and bulk has one priority. A limit of 10
# or more keeps what has aged behind everything of high. `now()`, so that it is one instant for a whole claim.
URGENCY = """
CREATE FUNCTION runs_urgency(priority int, queued_at timestamptz, aging_seconds float8, aging_limit int)
RETURNS int LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN aging_seconds > 0 AND priority BETWEEN 10 AND 99
        THEN greatest(least(priority, aging_limit), priority - floor(
            least(greatest(extract(epoch FROM now() - queued_at), 0) / aging_seconds, 100))::int)
        ELSE priority END
$$
"""

# The levels of a lane: each group that has queued runs, with each priority that these have. Within a level runs go by
# id, so a claim looks at the heads of levels only, however many wait behind them.
LEVELS = """
CREATE FUNCTION runs_levels(wanted_lane text) RETURNS TABLE (group_id bigint, priority smallint)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE level AS (
        (SELECT r.group_id, r.priority FROM runs_run r WHERE r.status = 'queued' AND r.lane = wanted_lane
         ORDER BY r.group_id, r.priority LIMIT 1)
        UNION ALL
        SELECT next.group_id, next.priority FROM level CROSS JOIN LATERAL (
            SELECT r.group_id, r.priority FROM runs_run r
            WHERE r.status = 'queued' AND r.lane = wanted_lane
              AND (r.group_id, r.priority) > (level.group_id, level.priority)
            ORDER BY r.group_id, r.priority LIMIT 1) next)
    SELECT level.group_id, level.priority FROM level
$$
"""

# One round trip, several statements, because each statement of a function sees what was committed before it:
# 1. the levels of the lane: its groups that have queued runs, and the priorities these have, found by jumping from one
#    to the next through the index;
# 2. of jobs with a limit, of campaigns with a rate and of circuit breakers that are not closed the rows are locked, so
#    that only one claim at a time counts what runs and uses up what may start. Who is not given a lock leaves the
#    job, the campaign or the probe to the claim that has it;
# 3. with that in hand, the best runs over all open groups are chosen: of each level the oldest, and of these the most
#    urgent. A few more than wanted are looked at, because the first ones may be locked by claims
#    that are under way;
# 4. of jobs with concurrency keys, runs whose key is taken are put aside into the job's held group, and the choice is
#    made again: so each is looked at once, and a hundred thousand of them never stand before the others. A run that
#    ends calls the best of its key back (runs/holding.py);
# 5. what was locked is taken.
CLAIM = """
CREATE FUNCTION runs_claim(wanted_lane text, wanted int, begun int, slot_process bigint, slot_name text,
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
             AND w.draining_at IS NULL AND w.lease_until > clock_timestamp())
    THEN RETURN; END IF;

    SELECT array_agg(DISTINCT l.group_id), array_agg(l.group_id), array_agg(l.priority)
    INTO waiting, level_groups, levels FROM runs_levels(wanted_lane) l;
    IF waiting IS NULL THEN RETURN; END IF;

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
                SELECT first.id, first.urgency, gate.free,
                       row_number() OVER (PARTITION BY gate.job_id ORDER BY first.urgency, first.id) AS place
                FROM runs_gate gate
                JOIN unnest(level_groups, levels) AS level (group_id, priority) ON level.group_id = gate.group_id
                CROSS JOIN LATERAL (
                    SELECT r.id, runs_urgency(r.priority, r.queued_at, aging_seconds, aging_limit) AS urgency
                    FROM runs_run r
                    WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = level.group_id
                      AND r.priority = level.priority
                    ORDER BY r.id LIMIT least(wanted + 16, gate.permits)) first
                WHERE gate.group_id = ANY(waiting) AND gate.blocker IS NULL
                  AND (NOT gate.is_counted OR gate.job_id = ANY(counted))
                  AND (gate.permits IS NULL OR gate.group_id = ANY(paced))
                  AND (gate.circuit_id IS NULL OR gate.circuit_id = ANY(probed))) head
            WHERE head.free IS NULL OR head.place <= head.free
            ORDER BY head.urgency, head.id LIMIT wanted + 16);
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

DROP = "DROP FUNCTION runs_claim(text, int, int, bigint, text{more})"
# As it was, for whoever goes back.
BEFORE = import_module("runs.migrations.0002_claim").CLAIM


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0003_settle")]

    operations: ClassVar = [
        migrations.AddField("worker", "draining_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "worker", "drained_by", models.CharField(blank=True, db_default="", default="", max_length=200)
        ),
        migrations.RunSQL(URGENCY, "DROP FUNCTION runs_urgency(int, timestamptz, float8, int)"),
        migrations.RunSQL(LEVELS, "DROP FUNCTION runs_levels(text)"),
        migrations.RunSQL(DROP.format(more=""), BEFORE),
        migrations.RunSQL(CLAIM, DROP.format(more=", float8, int")),
    ]

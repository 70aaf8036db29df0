"""The statements by which many runs are made at once. Used by `runs.launch` only.

Each of a campaign's makes one portion, and in the same statement counts what is skipped and notes how far the
campaign is: whoever dies in between leaves neither a gap nor a repeat. No labels are written: a campaign's runs are
found by their recipient's key.
"""

from typing import Final

_COLUMNS: Final = """id, job_id, job_version, group_id, campaign_id, status, priority, trigger_kind, trigger_name,
    cause, hops, context, parameters, target, tags, metadata, dedup_key, concurrency_key, persistent, retry_of_id,
    created_by_id, api_key_id, attempt, max_attempts, failed_attempts, lost_attempts, attempts, worker,
    cancelled_by, skip_reason, created_at, queued_at, finished_at"""
_BEGIN: Final = "0, j.max_attempts, 0, 0, '[]'::jsonb, '', ''"

# Each by an index of its own (the constraints run_dedup_…).
_OPEN: Final = """EXISTS (SELECT 1 FROM runs_run o WHERE o.job_id = j.id AND o.dedup_key = p.dedup_key AND {}
        AND o.status IN ('scheduled', 'queued', 'running', 'waiting'))"""
# What can't be queued is made as skipped: an inactive recipient, one that is paused as a target, and one whose dedup
# key has an open run already or comes a second time in this portion.
_PAUSED: Final = """IN (SELECT t.name COLLATE "C" FROM runs_pausedtarget t
        WHERE t.paused_until IS NULL OR t.paused_until > clock_timestamp())"""
_SKIPPED: Final = f"""CASE WHEN NOT p.is_active THEN 'The recipient is inactive.'
    WHEN p.key {_PAUSED} THEN 'The target is paused.'
    WHEN p.dedup_key IS NOT NULL AND (p.place > 1 OR {_OPEN.format("NOT o.keeps_last")}
        OR {_OPEN.format("o.keeps_last AND o.claim_token IS NULL")}
        OR {_OPEN.format("o.keeps_last AND o.claim_token IS NOT NULL")})
    THEN 'A run with the same dedup key is open.' ELSE '' END"""

# A portion is a span of run ids, behind `after` up to `upto`. The campaign is compared by an expression that no index
# has, or the planner would rather look at all its recipients for each portion. Returns how many runs were made and
# how many of them are queued.
EXPAND: Final = f"""
    WITH c AS (SELECT * FROM runs_campaign WHERE id = %(campaign)s),
    portion AS (
        SELECT r.*, CASE WHEN r.dedup_key IS NOT NULL
            THEN row_number() OVER (PARTITION BY r.dedup_key ORDER BY r.is_active DESC, r.run_id) END AS place
        FROM (
            SELECT r.* FROM runs_recipient r
            WHERE r.run_id > %(after)s AND r.run_id <= %(upto)s AND r.campaign_id + 0 = %(campaign)s
              AND r.fault IS NULL) r),
    made AS (
        INSERT INTO runs_run ({_COLUMNS})
        SELECT p.run_id, j.id, j.version, %(group)s, c.id,
            CASE WHEN why.skipped = '' THEN 'queued' ELSE 'skipped' END,
            100, 'campaign', '', %(cause)s, 0, '{{}}'::jsonb, j.defaults || c.parameters || p.parameters, p.key,
            j.tags, '{{}}'::jsonb, p.dedup_key, p.concurrency_key, false, NULL, NULL, NULL, {_BEGIN},
            why.skipped, clock_timestamp(), CASE WHEN why.skipped = '' THEN clock_timestamp() END,
            CASE WHEN why.skipped <> '' THEN clock_timestamp() END
        FROM c JOIN jobs_job j ON j.id = c.job_id CROSS JOIN portion p
        CROSS JOIN LATERAL (SELECT {_SKIPPED} AS skipped) why
        RETURNING id, job_id, status, lane, finished_at),
    counted AS (
        INSERT INTO runs_tallydelta (job_id, campaign_id, trigger_kind, lane, status, runs, timed,
                                     duration_seconds, wait_seconds, last_run_id, last_run_at)
        SELECT job_id, %(campaign)s, 'campaign', lane, status, count(*), 0, 0, 0, max(id), max(finished_at)
        FROM made WHERE status = 'skipped' GROUP BY job_id, lane, status),
    moved AS (
        UPDATE runs_campaign SET launched = launched + (SELECT count(*) FROM made),
               expanded_upto = %(upto)s
        WHERE id = %(campaign)s)
    SELECT count(*), count(*) FILTER (WHERE status = 'queued') FROM made"""  # noqa: S608

# A failed run is retried once: what was retried already, by whomever, is left alone, and so is one whose dedup key
# has an open run, or whose target is paused. The newest come first, and `retry_upto` says where the next portion goes
# on: it looks at nothing that was looked at before. Returns how many runs were looked at, and how many are queued.
RETRY: Final = f"""
    WITH c AS (SELECT * FROM runs_campaign WHERE id = %(campaign)s),
    looked AS MATERIALIZED (
        SELECT x.id FROM c CROSS JOIN LATERAL (
            SELECT r.id FROM runs_run r
            WHERE c.retry_only IS NULL AND r.campaign_id = c.id AND r.status = 'failed' AND r.id <= c.retry_upto
            ORDER BY r.id DESC LIMIT %(limit)s) x
        UNION ALL
        SELECT x.id FROM c CROSS JOIN LATERAL (
            SELECT r.id FROM unnest(c.retry_only) AS chosen(id) JOIN runs_run r ON r.id = chosen.id
            WHERE r.campaign_id = c.id AND r.status || '' = 'failed' AND r.id <= c.retry_upto
            ORDER BY r.id DESC LIMIT %(limit)s) x),
    made AS (
        INSERT INTO runs_run ({_COLUMNS})
        SELECT nextval('runs_run_id_seq'), j.id, j.version, r.group_id, c.id, 'queued', r.priority, 'manual', '',
            'Retry of #' || r.id || ' in the campaign ' || c.name || ' by ' || c.retried_by, 0, r.context, r.parameters,
            r.target, r.tags, r.metadata, r.dedup_key, r.concurrency_key, r.persistent, r.id, NULL, NULL,
            {_BEGIN}, '', clock_timestamp(), clock_timestamp(), NULL
        FROM c JOIN jobs_job j ON j.id = c.job_id CROSS JOIN looked JOIN runs_run r ON r.id = looked.id
        WHERE NOT EXISTS (SELECT 1 FROM runs_run again WHERE again.retry_of_id = r.id OFFSET 0)
          AND (r.target COLLATE "C" {_PAUSED}) IS NOT TRUE
        ORDER BY r.id
        ON CONFLICT DO NOTHING
        RETURNING id),
    moved AS (
        UPDATE runs_campaign SET retried = retried + (SELECT count(*) FROM made),
               retry_upto = (SELECT min(id) - 1 FROM looked)
        WHERE id = %(campaign)s AND EXISTS (SELECT 1 FROM looked))
    SELECT (SELECT count(*) FROM looked), (SELECT count(*) FROM made)"""  # noqa: S608

_LABELLED: Final = """
        INSERT INTO runs_runlabel (run_id, kind, key, value)
        SELECT g.id, l.kind, l.key, l.value FROM given g
        CROSS JOIN LATERAL jsonb_to_recordset(g.labels) AS l(kind text, key text, value text)"""
_PROMISED: Final = """
        INSERT INTO runs_deadline (run_id, job_id, kind, due_at)
        SELECT g.id, g.job_id, d.kind, d.due_at FROM given g
        CROSS JOIN LATERAL jsonb_to_recordset(g.deadlines) AS d(kind text, due_at timestamptz)"""

# Runs that may be for different jobs, each with its labels and deadlines: as many rows as the document has. Returns the
# place of each in the document with the id and the lane of its run.
LAUNCH: Final = f"""
    WITH given AS MATERIALIZED (
        SELECT nextval('runs_run_id_seq') AS id, x.* FROM jsonb_to_recordset(%s::jsonb) AS x(
            place int, job_id bigint, job_version int, group_id bigint, status text, priority smallint,
            trigger_kind text, trigger_id bigint, trigger_name text, cause text, slot timestamptz, created_by_id int,
            parent_id bigint, root_id bigint, hops smallint, retry_of_id bigint, context jsonb, parameters jsonb,
            tags text[], concurrency_key text, max_attempts smallint, created_at timestamptz, labels jsonb,
            deadlines jsonb)),
    made AS (
        INSERT INTO runs_run (id, job_id, job_version, group_id, status, priority, trigger_kind, trigger_id,
            trigger_name, cause, slot, created_by_id, parent_id, root_id, hops, retry_of_id, context, parameters,
            tags, concurrency_key, max_attempts, created_at, queued_at, metadata, persistent, attempt,
            failed_attempts, lost_attempts, attempts, worker, cancelled_by, skip_reason)
        SELECT id, job_id, job_version, group_id, status, priority, trigger_kind, trigger_id,
            trigger_name, cause, slot, created_by_id, parent_id, root_id, hops, retry_of_id, context, parameters,
            tags, concurrency_key, max_attempts, created_at, created_at, '{{}}'::jsonb, false, 0, 0, 0, '[]'::jsonb,
            '', '', ''
        FROM given RETURNING id, lane),
    labelled AS ({_LABELLED}),
    promised AS ({_PROMISED})
    SELECT given.place, made.id, made.lane FROM made JOIN given USING (id)"""  # noqa: S608

# Runs of slots that were prepared (`runs.ahead`), with all that firing a schedule writes: of those schedules that
# nobody else has and that are as they were when that was done, each and its job, with the same slot planned. What is
# not so stays due. Returns how many runs were made for each lane.
# Each OFFSET 0 keeps the planner from turning a look-up by key into a join: by what it knows of tables that were filled
# since, a join over all that is due or was entered for the same slot may look as cheap.
FIRE: Final = f"""
    WITH job AS MATERIALIZED (
        SELECT x.* FROM jsonb_to_recordset(%(jobs)s::jsonb) AS x(
            id bigint, version int, group_id bigint, tags text[], max_attempts smallint)
        WHERE EXISTS (SELECT FROM jobs_job j WHERE j.id = x.id AND j.version = x.version OFFSET 0)),
    held AS MATERIALIZED (
        SELECT x.* FROM jsonb_to_recordset(%(slots)s::jsonb) AS x(
            trigger_id bigint, version int, slot timestamptz, next_slot timestamptz, next_run_at timestamptz,
            job_id bigint, priority smallint, trigger_name text, cause text, parameters jsonb, concurrency_key text,
            labels jsonb, deadlines jsonb)
        CROSS JOIN LATERAL (
            SELECT t.kind = 'schedule' AND t.enabled AND t.version = x.version AND t.next_slot = x.slot
                AND t.next_run_at <= %(now)s
                AND NOT EXISTS (SELECT FROM triggers_trigger_calendars c WHERE c.trigger_id = t.id OFFSET 0)
                AND NOT EXISTS (
                    SELECT FROM triggers_occurrence o WHERE o.trigger_id = t.id AND o.slot = x.slot OFFSET 0)
                AND (t.overlap = 'allow' OR NOT EXISTS (
                    SELECT FROM runs_run r WHERE r.trigger_id = t.id
                        AND r.status IN ('scheduled', 'queued', 'running', 'waiting') OFFSET 0)) AS is_ready
            FROM triggers_trigger t WHERE t.id = x.trigger_id OFFSET 0
            FOR NO KEY UPDATE OF t SKIP LOCKED) t
        WHERE t.is_ready),
    given AS MATERIALIZED (
        SELECT nextval('runs_run_id_seq') AS id, held.*, job.version AS job_version, group_id, tags, max_attempts,
            clock_timestamp() AS at
        FROM held JOIN job ON job.id = held.job_id),
    made AS (
        INSERT INTO runs_run (id, job_id, job_version, group_id, status, priority, trigger_kind, trigger_id,
            trigger_name, cause, slot, context, parameters, tags, concurrency_key, max_attempts, created_at, queued_at,
            hops, metadata, persistent, attempt, failed_attempts, lost_attempts, attempts, worker, cancelled_by,
            skip_reason)
        SELECT id, job_id, job_version, group_id, 'queued', priority, 'schedule', trigger_id, trigger_name, cause, slot,
            jsonb_build_object('lateness_seconds', round(extract(epoch FROM %(now)s - slot), 3)), parameters, tags,
            concurrency_key, max_attempts, at, at, 0, '{{}}'::jsonb, false, 0, 0, 0, '[]'::jsonb, '', '', ''
        FROM given RETURNING lane),
    labelled AS ({_LABELLED}),
    promised AS ({_PROMISED}),
    entered AS (
        INSERT INTO triggers_occurrence (trigger_id, slot, outcome, reason, run_id, fired_at)
        SELECT trigger_id, slot, 'fired', '', id, %(now)s FROM given),
    planned AS (
        UPDATE triggers_trigger t SET next_slot = given.next_slot, next_run_at = given.next_run_at,
            exhausted = given.next_slot IS NULL, last_run_at = %(now)s
        FROM given WHERE t.id = given.trigger_id)
    SELECT lane, count(*) AS runs FROM made GROUP BY lane"""  # noqa: S608

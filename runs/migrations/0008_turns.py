"""Makes the claim of an ordinary run one statement, and its settlement and the next claim one call: a slot's turn."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

BEFORE = import_module("runs.migrations.0004_aging").CLAIM


def _changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"What is to be replaced is there {text.count(old)} times: {old}")
        text = text.replace(old, new)
    return text


# Of a statement this small, most of the time goes into setting it up. So a claim asks for what it needs to know first
# in two statements instead of six; and where nothing of what `runs_gate` looks at is there (a limit, a key, a
# circuit, a campaign, a pause), so that no group can have a blocker, it takes its runs without asking it.
PLAIN = """
    IF is_plain THEN
        RETURN QUERY
        UPDATE runs_run r SET
            status = 'running', claim_token = numbered.token, process_id = slot_process, worker = slot_name,
            attempt = r.attempt + (numbered.place <= begun)::int, error = NULL, progress = NULL,
            started_at = CASE WHEN numbered.place <= begun THEN clock_timestamp() END,
            deadline_at = clock_timestamp() + j.timeout_seconds * interval '1 second'
        FROM (
            SELECT locked.id, nextval('runs_claim_token') AS token, row_number() OVER () AS place FROM (
                SELECT r.id FROM (
                    SELECT first.id, first.urgency
                    FROM unnest(level_groups, levels) AS level (group_id, priority)
                    CROSS JOIN LATERAL (
                        SELECT r.id, runs_urgency(r.priority, r.queued_at, aging_seconds, aging_limit) AS urgency
                        FROM runs_run r
                        WHERE r.status = 'queued' AND r.lane = wanted_lane AND r.group_id = level.group_id
                          AND r.priority = level.priority
                        ORDER BY r.id LIMIT wanted + 16) first
                    ORDER BY first.urgency, first.id LIMIT wanted + 16) head
                JOIN runs_run r ON r.id = head.id
                WHERE r.status || '' = 'queued'
                ORDER BY head.urgency, head.id LIMIT wanted FOR UPDATE OF r SKIP LOCKED) locked
            ) numbered, jobs_job j
        WHERE r.id = numbered.id AND j.id = r.job_id
        RETURNING @claimed@;
        RETURN;
    END IF;
"""
CLAIMED = BEFORE[BEFORE.rindex("RETURNING ") + len("RETURNING ") : BEFORE.rindex(";\nEND $$")]
LEVELS = """INTO waiting, level_groups, levels FROM runs_levels(wanted_lane) l;
    IF waiting IS NULL THEN RETURN; END IF;
"""
CLAIM = _changed(
    BEFORE,
    ("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    ("    levels smallint[];\n", "    levels smallint[];\n    is_plain bool;\n"),
    (
        """    IF EXISTS (SELECT 1 FROM runs_lane l WHERE l.name = wanted_lane AND l.paused_at IS NOT NULL)
       OR NOT EXISTS (
           SELECT 1 FROM runs_workerprocess p JOIN runs_worker w ON w.id = p.worker_id
""",
        """    IF NOT EXISTS (
           SELECT 1 FROM runs_workerprocess p JOIN runs_worker w ON w.id = p.worker_id
           JOIN runs_lane l ON l.name = wanted_lane AND l.paused_at IS NULL
""",
    ),
    (
        "array_agg(l.priority)\n    " + LEVELS,
        """array_agg(l.priority),
        bool_and(j.status = 'active' AND NOT g.is_held AND coalesce(
            g.campaign_id, j.max_concurrent_runs, j.max_starts) IS NULL
            AND coalesce(j.concurrency_key_template, j.circuit_target) IS NULL)
    INTO waiting, level_groups, levels, is_plain FROM runs_levels(wanted_lane) l
    JOIN runs_claimgroup g ON g.id = l.group_id JOIN jobs_job j ON j.id = g.job_id;
    IF waiting IS NULL THEN RETURN; END IF;
"""
        + PLAIN.replace("@claimed@", CLAIMED),
    ),
)

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
""".replace("@table@", BEFORE[BEFORE.index("TABLE (") : BEFORE.index("LANGUAGE plpgsql")])


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0007_operations")]

    operations: ClassVar = [
        migrations.RunSQL(CLAIM, BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)),
        migrations.RunSQL(
            TURN,
            "DROP FUNCTION runs_turn(bigint, bigint, jsonb, float8, text, bigint, text, float8, int)",
        ),
    ]

"""Notes what people do to lanes and campaigns (`jobs.changes`); what only the machine writes of them is no act."""

from typing import ClassVar

from django.db import migrations

# A lane has a name where other things have a number: high is 1, default 2, bulk 3.
NOTE_LANE = """
CREATE FUNCTION runs_note_lane() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
    new_row jsonb := to_jsonb(NEW);
    names text[];
BEGIN
    SELECT array_agg(key ORDER BY key) INTO names FROM jsonb_object_keys(new_row) key
    WHERE old_row->key IS DISTINCT FROM new_row->key;
    IF names IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO jobs_change (at, model, object_id, title, act, fields, before, after, context_id, session)
    SELECT clock_timestamp(), 'runs.lane', coalesce(array_position(ARRAY['high', 'default', 'bulk'], NEW.name::text), 0),
        NEW.name, 'update', names, jsonb_object_agg(key, old_row->key), jsonb_object_agg(key, new_row->key),
        _pgh_attach_context(), left(session_user || ' ' || current_setting('application_name'), 200)
    FROM unnest(names) key;
    RETURN NULL;
END $$"""
LANES = """
CREATE TRIGGER note_change AFTER UPDATE ON runs_lane FOR EACH ROW EXECUTE FUNCTION runs_note_lane()"""

IGNORED = (
    "{total,invalid,duplicates,launched,retried,recipients_from,recipients_upto,expanded_upto,retry_upto,retry_only,"
    "judged_succeeded,judged_failed,is_canary_passed,created_at,started_at,finished_at,credential,idempotency_key,"
    "fingerprint}"
)
# How it is to go, and who stopped it or let it go on: not how far it is, which is written many times a second.
STEERED = (
    "name", "parameters", "rate_per_second", "start_at", "stop_on_failure_rate", "canary", "window_from", "window_to",
    "window_zone", "paused_by", "paused_reason", "cancelled_by", "retried_by",
)  # fmt: skip
CAMPAIGN_MADE = f"""
CREATE TRIGGER note_made AFTER INSERT ON runs_campaign
FOR EACH ROW EXECUTE FUNCTION jobs_note_change('runs.campaign', '{IGNORED}', 'id')"""
CAMPAIGN_STEERED = f"""
CREATE TRIGGER note_change AFTER UPDATE ON runs_campaign FOR EACH ROW
WHEN ({" OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in STEERED)})
EXECUTE FUNCTION jobs_note_change('runs.campaign', '{IGNORED}', 'id')"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("jobs", "0002_changes"), ("runs", "0005_histograms")]

    operations: ClassVar = [
        migrations.RunSQL(NOTE_LANE, "DROP FUNCTION runs_note_lane"),
        migrations.RunSQL(LANES, "DROP TRIGGER note_change ON runs_lane"),
        migrations.RunSQL(CAMPAIGN_MADE, "DROP TRIGGER note_made ON runs_campaign"),
        migrations.RunSQL(CAMPAIGN_STEERED, "DROP TRIGGER note_change ON runs_campaign"),
    ]

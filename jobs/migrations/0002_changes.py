"""Notes every change of jobs, and what other apps use to note theirs (`jobs.changes`)."""

from typing import ClassVar

from django.db import migrations

# What only the machine writes of a job is no change of it.
IGNORED = "{version,created_at,updated_at,declared}"

# Parameters that a schema may call secret, as dots: rather too many of them than one too few.
MASKED = """
CREATE FUNCTION jobs_masked(given jsonb, schema jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(given) IS DISTINCT FROM 'object' THEN given
        WHEN schema::text !~ 'writeOnly|password' THEN given
        ELSE (
            SELECT coalesce(jsonb_object_agg(name, CASE
                WHEN value = 'null'::jsonb THEN value
                WHEN coalesce((schema #> ARRAY['properties', name])::text, '$ref') ~ 'writeOnly|password|[$]ref'
                    THEN to_jsonb('••••••'::text)
                ELSE value
            END), '{}'::jsonb) FROM jsonb_each(given) AS each (name, value)
        )
    END
$$"""

# The values under `headers`, `env` and `auth` of a configuration often are passwords.
CONFIGURATION = """
CREATE FUNCTION jobs_masked_configuration(given jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN jsonb_typeof(given) IS DISTINCT FROM 'object' THEN given ELSE (
        SELECT coalesce(jsonb_object_agg(name, CASE
            WHEN name NOT IN ('headers', 'env', 'auth') OR value = 'null'::jsonb THEN value
            WHEN jsonb_typeof(value) = 'object'
                THEN (SELECT coalesce(jsonb_object_agg(key, '••••••'::text), '{}'::jsonb) FROM jsonb_object_keys(value) key)
            ELSE to_jsonb('••••••'::text)
        END), '{}'::jsonb) FROM jsonb_each(given) AS each (name, value)
    ) END
$$"""

SHOWN = """
CREATE FUNCTION jobs_shown(shown jsonb, kind text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    schema jsonb := shown->'schema';
BEGIN
    IF shown ? 'secret_hash' THEN
        shown := shown || '{"secret_hash": "••••••"}'::jsonb;
    END IF;
    IF shown ? 'former_hash' THEN
        shown := shown || '{"former_hash": "••••••"}'::jsonb;
    END IF;
    IF shown ? 'configuration' THEN
        shown := jsonb_set(shown, '{configuration}', jobs_masked_configuration(shown->'configuration'));
    END IF;
    IF shown ? 'defaults' THEN
        shown := jsonb_set(shown, '{defaults}', jobs_masked(shown->'defaults', schema));
    END IF;
    IF shown ? 'parameters' THEN
        SELECT job.schema INTO schema FROM jobs_job job WHERE job.id = (shown->>'job_id')::bigint;
        shown := jsonb_set(shown, '{parameters}', jobs_masked(shown->'parameters', schema));
    END IF;
    RETURN shown;
END $$"""

# Arguments: the object's kind, columns that do not count, the column of its id; and for a row that is a part of
# another object (an upstream of a trigger) the name of the part and the column of its value.
NOTE = """
CREATE FUNCTION jobs_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ignored text[] := TG_ARGV[1]::text[];
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - ignored END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - ignored END;
    any_row jsonb := coalesce(new_row, old_row);
    owner bigint := (any_row->>TG_ARGV[2])::bigint;
    names text[];
    name text := coalesce(nullif(any_row->>'name', ''), any_row->>'slug', any_row->>'kind', '#' || owner);
    act text := lower(TG_OP);
BEGIN
    IF old_row IS NOT DISTINCT FROM new_row THEN
        RETURN NULL;
    END IF;
    IF TG_NARGS > 3 THEN
        names := ARRAY[TG_ARGV[3]];
        old_row := CASE WHEN old_row IS NOT NULL THEN jsonb_build_object(TG_ARGV[3], old_row->TG_ARGV[4]) END;
        new_row := CASE WHEN new_row IS NOT NULL THEN jsonb_build_object(TG_ARGV[3], new_row->TG_ARGV[4]) END;
    ELSE
        SELECT array_agg(key ORDER BY key) INTO names FROM jsonb_object_keys(any_row) key
        WHERE TG_OP <> 'UPDATE' OR old_row->key IS DISTINCT FROM new_row->key;
        old_row := jobs_shown(old_row, TG_ARGV[0]);
        new_row := jobs_shown(new_row, TG_ARGV[0]);
        IF TG_OP = 'UPDATE' THEN
            SELECT jsonb_object_agg(key, old_row->key), jsonb_object_agg(key, new_row->key)
            INTO old_row, new_row FROM unnest(names) key;
        END IF;
    END IF;
    INSERT INTO jobs_change (at, model, object_id, title, act, fields, before, after, context_id, session)
    VALUES (clock_timestamp(), TG_ARGV[0], owner, left(name, 200), act, names, old_row, new_row,
        _pgh_attach_context(), left(session_user || ' ' || current_setting('application_name'), 200));
    RETURN NULL;
END $$"""

JOBS = f"""
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON jobs_job
FOR EACH ROW EXECUTE FUNCTION jobs_note_change('jobs.job', '{IGNORED}', 'id')"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("jobs", "0001_initial")]

    operations: ClassVar = [
        migrations.RunSQL(MASKED, "DROP FUNCTION jobs_masked"),
        migrations.RunSQL(CONFIGURATION, "DROP FUNCTION jobs_masked_configuration"),
        migrations.RunSQL(SHOWN, "DROP FUNCTION jobs_shown"),
        migrations.RunSQL(NOTE, "DROP FUNCTION jobs_note_change"),
        migrations.RunSQL(JOBS, "DROP TRIGGER note_change ON jobs_job"),
    ]

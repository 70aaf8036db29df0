"""Notes every change of triggers, keys and calendars (`jobs.changes`)."""

from django.db import migrations

TABLES = {
    "triggers_trigger": (
        "triggers.trigger",
        "{version,created_at,updated_at,next_run_at,next_slot,replan_from,exhausted,last_run_at}",
        "id",
    ),
    "triggers_upstream": ("triggers.trigger", "{}", "trigger_id", "upstreams", "job_id"),
    "triggers_trigger_calendars": ("triggers.trigger", "{}", "trigger_id", "calendars", "calendar_id"),
    "triggers_apikey": (
        "triggers.apikey",
        "{created_at,last_used_at,last_used_from,launches,former_calls,former_used_at}",
        "id",
    ),
    "triggers_apikey_jobs": ("triggers.apikey", "{}", "apikey_id", "jobs", "job_id"),
    "triggers_calendar": ("triggers.calendar", "{created_at,updated_at}", "id"),
}


def noting(table: str, arguments: tuple[str, ...]) -> migrations.RunSQL:
    words = ", ".join(f"'{argument}'" for argument in arguments)
    return migrations.RunSQL(
        f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION jobs_note_change({words})",
        f"DROP TRIGGER note_change ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_changes"),
        ("triggers", "0001_initial"),
    ]

    operations = [noting(table, arguments) for table, arguments in TABLES.items()]

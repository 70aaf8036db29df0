"""Notes every change of channels and rules (`jobs.changes`)."""

from django.db import migrations

TABLES = {
    "notifications_channel": ("notifications.channel", "{created_at,updated_at}", "id"),
    "notifications_rule": ("notifications.rule", "{created_at,updated_at}", "id"),
}


def noting(table: str, arguments: tuple[str, ...]) -> migrations.RunSQL:
    words = ", ".join(f"'{argument}'" for argument in arguments)
    return migrations.RunSQL(
        f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION jobs_note_change({words})",
        f"DROP TRIGGER note_change ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial"), ("jobs", "0002_changes")]

    operations = [noting(table, arguments) for table, arguments in TABLES.items()]

"""Finds schedules to plan by an index of their own, and asks what changed only where something did.

A schedule's plan is no change, and is written each time it fires: the version, which every other change raises, says
whether there is anything to note.
"""

from django.db import migrations, models

_NOTE = """EXECUTE FUNCTION jobs_note_change('triggers.trigger',
    '{version,created_at,updated_at,next_run_at,next_slot,replan_from,exhausted,last_run_at}', 'id')"""
BOTH = f"""
DROP TRIGGER note_change ON triggers_trigger;
CREATE TRIGGER note_change AFTER INSERT OR DELETE ON triggers_trigger FOR EACH ROW {_NOTE};
CREATE TRIGGER note_update AFTER UPDATE ON triggers_trigger FOR EACH ROW
WHEN (OLD.version IS DISTINCT FROM NEW.version) {_NOTE};"""
ONE = f"""
DROP TRIGGER note_update ON triggers_trigger;
DROP TRIGGER note_change ON triggers_trigger;
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON triggers_trigger FOR EACH ROW {_NOTE};"""


class Migration(migrations.Migration):
    dependencies = [("triggers", "0002_changes")]

    operations = [
        migrations.RunSQL(BOTH, ONE),
        migrations.AddIndex(
            model_name="trigger",
            index=models.Index(
                condition=models.Q(
                    ("enabled", True),
                    ("exhausted", False),
                    ("kind", "schedule"),
                    ("next_run_at__isnull", True),
                ),
                fields=["id"],
                name="trigger_unplanned",
            ),
        ),
    ]

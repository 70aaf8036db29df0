"""Notes when a trigger's address gets a secret and when it loses one, as changes of the trigger (`jobs.changes`)."""

from django.db import migrations

# When a secret ends, and under which key of the vault it is sealed, follows from another being given.
IGNORED = "{sealed,key_id,expires_at,created_at}"
NOTE = f"""
CREATE TRIGGER note_change AFTER INSERT OR DELETE ON triggers_secret
FOR EACH ROW EXECUTE FUNCTION jobs_note_change('triggers.trigger', '{IGNORED}', 'trigger_id', 'secrets', 'id')"""


class Migration(migrations.Migration):
    dependencies = [("triggers", "0010_next"), ("jobs", "0002_changes")]

    operations = [migrations.RunSQL(NOTE, "DROP TRIGGER note_change ON triggers_secret")]

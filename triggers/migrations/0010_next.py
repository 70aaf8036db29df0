"""Reads schedules in the order in which they are due, those of one moment by their id, without sorting them."""

from django.db import migrations, models

from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    dependencies = [("triggers", "0009_ledger_exceptions")]

    operations = [
        AtOnce(
            migrations.AddIndex(
                model_name="trigger",
                index=models.Index(
                    condition=models.Q(("enabled", True), ("kind", "schedule")),
                    fields=["next_run_at", "id"],
                    name="trigger_next",
                ),
            ),
            migrations.RemoveIndex(model_name="trigger", name="trigger_due"),
        ),
    ]

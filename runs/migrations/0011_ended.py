"""Finds the ends of a job's runs within a time by an index, however many runs it had before."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The table may be long, and is written to while the index is built.
    atomic = False

    dependencies = [("runs", "0010_columns")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("campaign__isnull", True), ("finished_at__isnull", False)),
                fields=["job", "finished_at"],
                name="run_ended_of_job",
            ),
        ),
    ]

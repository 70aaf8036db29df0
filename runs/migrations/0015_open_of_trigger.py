"""Finds the open runs of a trigger without a look at those that have ended."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside the work that goes on, which no transaction can do.
    atomic = False

    dependencies: ClassVar = [("runs", "0014_dedup_modes")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ("scheduled", "queued", "running", "waiting")), ("trigger__isnull", False)
                ),
                fields=["trigger"],
                name="run_open_of_trigger",
            ),
        ),
    ]

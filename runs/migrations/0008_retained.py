"""Finds the runs that say themselves how long they are to be kept; built while runs go on being written."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("runs", "0007_totals")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                name="run_retained",
                fields=["id"],
                condition=models.Q(persistent=False, retain_for_seconds__isnull=False),
            ),
        ),
    ]

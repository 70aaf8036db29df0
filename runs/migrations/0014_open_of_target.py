"""Finds what is open for a target that is paused, by an index that is built while runs come and go."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built concurrently can't be built in a transaction.
    atomic = False

    dependencies: ClassVar = [("runs", "0013_targets")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                name="run_open_of_target",
                fields=["target"],
                condition=models.Q(
                    target__isnull=False,
                    campaign__isnull=True,
                    status__in=("scheduled", "queued", "running", "waiting"),
                ),
            ),
        ),
    ]

"""Finds the running runs of a concurrency key by an index, not among all that run of their job."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built concurrently can't be built in a transaction.
    atomic = False

    dependencies: ClassVar = [("runs", "0016_levels_in_order")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                name="run_active",
                fields=["job", "concurrency_key"],
                condition=models.Q(status="running"),
            ),
        ),
        RemoveIndexConcurrently(model_name="run", name="run_running"),
    ]

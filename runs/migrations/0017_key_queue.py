"""Finds the queued runs of a concurrency key; built while runs go on being written."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("runs", "0016_gate")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                name="run_key_queue",
                fields=["group", "concurrency_key", "lane", "priority", "id"],
                condition=models.Q(status="queued", concurrency_key__isnull=False),
            ),
        ),
    ]

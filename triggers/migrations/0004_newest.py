"""Finds a trigger's newest entries of the ledger by an index, built while schedules go on being fired."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built concurrently can't be built in a transaction.
    atomic = False

    dependencies: ClassVar = [("triggers", "0003_portions")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="occurrence",
            index=models.Index(name="occurrence_newest", fields=["trigger", "-id"]),
        ),
    ]

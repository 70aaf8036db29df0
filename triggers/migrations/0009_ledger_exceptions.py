"""Finds what did not simply run among many slots that did, by an index that is built while schedules are fired."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built concurrently can't be built in a transaction.
    atomic = False

    dependencies: ClassVar = [("triggers", "0008_otherwise")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="occurrence",
            index=models.Index(
                name="occurrence_not_fired",
                fields=["-id"],
                condition=models.Q(outcome__in=("skipped", "missed", "dismissed", "due", "waiting")),
            ),
        ),
    ]

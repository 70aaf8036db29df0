"""Turns the two indexes that every run of a campaign is in round: behind each other, new rows fill their pages."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside the work that goes on, which no transaction can do.
    atomic = False

    dependencies: ClassVar = [("runs", "0009_group_checks")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(fields=["job", "id"], name="run_of_job"),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("campaign__isnull", False)),
                fields=["campaign", "id"],
                name="run_of_campaign",
            ),
        ),
        RemoveIndexConcurrently(model_name="run", name="run_history"),
        RemoveIndexConcurrently(model_name="run", name="run_campaign"),
    ]

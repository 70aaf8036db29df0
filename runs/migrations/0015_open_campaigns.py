"""Finds the campaigns that have not ended, paused ones too, by an index that is built while campaigns go on."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built concurrently can't be built in a transaction.
    atomic = False

    dependencies: ClassVar = [("runs", "0014_open_of_target")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="campaign",
            index=models.Index(
                name="campaign_open",
                fields=["status"],
                condition=models.Q(status__in=("scheduled", "expanding", "running", "cancelling", "paused")),
            ),
        ),
        RemoveIndexConcurrently(model_name="campaign", name="campaign_tended"),
    ]

"""Lets a run say that it keeps the last of its dedup key."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0012_campaign_events"), ("jobs", "0004_dedup_mode")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="run",
            name="keeps_last",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]

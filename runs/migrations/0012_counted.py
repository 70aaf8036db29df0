"""Lets each campaign say how much of it the pace of its lane knows, so that nobody sums up all there ever were."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations, models

ACTS = import_module("runs.migrations.0006_acts")
# How much of it is counted is no act.
CAMPAIGN_MADE = ACTS.CAMPAIGN_MADE.replace("launched,retried,", "launched,retried,counted,")


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0011_ended")]

    operations: ClassVar = [
        migrations.AddField("campaign", "counted", models.PositiveBigIntegerField(default=0, db_default=0)),
        migrations.RunSQL("UPDATE runs_campaign SET counted = launched + retried", migrations.RunSQL.noop),
        migrations.AddIndex(
            "campaign",
            models.Index(
                fields=["id"],
                condition=models.Q(counted__lt=models.F("launched") + models.F("retried")),
                name="campaign_grown",
            ),
        ),
        migrations.RunSQL("DROP TRIGGER note_made ON runs_campaign", ACTS.CAMPAIGN_MADE),
        migrations.RunSQL(CAMPAIGN_MADE, "DROP TRIGGER note_made ON runs_campaign"),
    ]

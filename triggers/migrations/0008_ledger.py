"""Slots that people dismiss, or ask to be run after all, and when the run of a slot was launched."""

from typing import ClassVar

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside the work that goes on, which no transaction can do.
    atomic = False

    dependencies: ClassVar = [("triggers", "0007_changes")]

    operations: ClassVar = [
        migrations.AddField(
            "occurrence", "by", models.CharField(blank=True, db_default="", default="", max_length=200)
        ),
        migrations.AddField("occurrence", "fired_at", models.DateTimeField(null=True)),
        migrations.AlterField(
            "occurrence",
            "outcome",
            models.CharField(
                choices=[
                    ("fired", "Fired"),
                    ("skipped", "Skipped"),
                    ("missed", "Missed"),
                    ("dismissed", "Dismissed"),
                    ("due", "Due"),
                ],
                max_length=10,
            ),
        ),
        migrations.RemoveConstraint("occurrence", "occurrence_outcome_known"),
        AddConstraintNotValid(
            "occurrence",
            models.CheckConstraint(
                condition=models.Q(("outcome__in", ("fired", "skipped", "missed", "dismissed", "due"))),
                name="occurrence_outcome_known",
            ),
        ),
        ValidateConstraint("occurrence", "occurrence_outcome_known"),
        AddIndexConcurrently(
            "occurrence",
            models.Index(
                condition=models.Q(("outcome", "missed")),
                fields=["trigger", "slot"],
                name="occurrence_missed",
            ),
        ),
        AddIndexConcurrently(
            "occurrence",
            models.Index(
                condition=models.Q(("outcome", "due")), fields=["trigger", "slot"], name="occurrence_due"
            ),
        ),
    ]

"""Counts what comes into each lane and leaves it by the minute, and lets a worker say what it holds and that it lives."""

from typing import ClassVar

from django.db import migrations, models

from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0008_turns")]

    operations: ClassVar = [
        AtOnce(
            migrations.AddField("worker", "memory_bytes", models.BigIntegerField(null=True)),
            migrations.AddField("worker", "pinged_at", models.DateTimeField(null=True)),
            migrations.AddField("worker", "answered_at", models.DateTimeField(null=True)),
            migrations.CreateModel(
                name="LanePace",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("lane", models.CharField(max_length=10)),
                    ("at", models.DateTimeField()),
                    ("launched", models.BigIntegerField(default=0)),
                    ("ended", models.BigIntegerField(default=0)),
                    ("waits", models.JSONField(default=dict, db_default={})),
                ],
                options={
                    "default_permissions": (),
                    "constraints": [models.UniqueConstraint(fields=("at", "lane"), name="lanepace_once")],
                },
            ),
        ),
    ]

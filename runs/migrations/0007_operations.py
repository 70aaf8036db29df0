"""Adds operations on many runs, and the runs that they have still to act on."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0006_acts"),
        ("triggers", "0004_newest"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AtOnce(
            migrations.CreateModel(
                name="BulkOperation",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "act",
                        models.CharField(
                            choices=[("cancel", "Cancel"), ("retry", "Retry"), ("priority", "Priority")],
                            max_length=10,
                        ),
                    ),
                    ("priority", models.PositiveSmallIntegerField(null=True)),
                    ("filter", models.CharField(max_length=500)),
                    ("total", models.PositiveIntegerField(default=0)),
                    ("looked_at", models.PositiveIntegerField(default=0)),
                    ("done", models.PositiveIntegerField(default=0)),
                    ("refusal", models.CharField(blank=True, default="", max_length=300)),
                    ("by", models.CharField(max_length=200)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("finished_at", models.DateTimeField(null=True)),
                    ("stopped_by", models.CharField(blank=True, default="", max_length=200)),
                    (
                        "api_key",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to="triggers.apikey",
                        ),
                    ),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": ("view",),
                    "indexes": [
                        models.Index(
                            condition=models.Q(("finished_at__isnull", True)),
                            fields=["id"],
                            name="bulkoperation_open",
                        ),
                    ],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("act", "priority"), ("priority__isnull", False)),
                                models.Q(
                                    models.Q(("act", "priority"), _negated=True), ("priority__isnull", True)
                                ),
                                _connector="OR",
                            ),
                            name="bulkoperation_priority",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="BulkTarget",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("run_id", models.BigIntegerField()),
                    (
                        "operation",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="targets",
                            to="runs.bulkoperation",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                },
            ),
        ),
    ]

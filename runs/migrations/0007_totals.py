"""Totals of ended runs by trigger, what retention deleted of each job, and causes that may be deleted."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What ended before is in the hourly tallies, none of which was ever deleted.
TOTALS = """
INSERT INTO runs_triggertally (job_id, trigger_id, trigger_kind, lane, status, runs, timed, duration_seconds,
    wait_seconds, last_run_at)
SELECT job_id, trigger_id, trigger_kind, lane, status, sum(runs), sum(timed), sum(duration_seconds),
    sum(wait_seconds), max(hour)
FROM runs_hourlytally GROUP BY 1, 2, 3, 4, 5
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_retention"),
        ("runs", "0006_campaign_claims"),
        ("triggers", "0004_restricted_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TriggerTally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("job_id", models.BigIntegerField()),
                ("trigger_id", models.BigIntegerField(null=True)),
                ("trigger_kind", models.CharField(max_length=50)),
                ("lane", models.CharField(max_length=10)),
                ("status", models.CharField(max_length=10)),
                ("runs", models.BigIntegerField()),
                ("timed", models.BigIntegerField()),
                ("duration_seconds", models.FloatField()),
                ("wait_seconds", models.FloatField()),
                ("last_run_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="tally",
            name="pruned",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="tally",
            name="pruned_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="run",
            name="parent",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="children",
                to="runs.run",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="retry_of",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="retries",
                to="runs.run",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="root",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="descendants",
                to="runs.run",
            ),
        ),
        migrations.AddIndex(
            model_name="hourlytally",
            index=models.Index(
                condition=models.Q(("trigger_id__isnull", False)),
                fields=["trigger_id", "hour"],
                name="hourlytally_trigger",
            ),
        ),
        migrations.AddIndex(
            model_name="hourlytally",
            index=models.Index(fields=["job_id", "hour"], name="hourlytally_job"),
        ),
        migrations.AddConstraint(
            model_name="triggertally",
            constraint=models.UniqueConstraint(
                fields=("trigger_id", "job_id", "trigger_kind", "lane", "status"),
                name="triggertally_once",
                nulls_distinct=False,
            ),
        ),
        migrations.RunSQL(TOTALS, migrations.RunSQL.noop),
    ]

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0002_changes"),
        ("triggers", "0002_changes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AtOnce(
            migrations.CreateModel(
                name="Failing",
                fields=[
                    (
                        "job",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            primary_key=True,
                            related_name="+",
                            serialize=False,
                            to="jobs.job",
                        ),
                    ),
                    ("run_id", models.BigIntegerField()),
                    ("since", models.DateTimeField()),
                    ("failures", models.PositiveIntegerField(default=1)),
                ],
                options={
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="Channel",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("name", models.CharField(max_length=100, unique=True)),
                    (
                        "kind",
                        models.CharField(
                            choices=[("email", "E-mail"), ("webhook", "Webhook"), ("slack", "Slack")],
                            max_length=10,
                        ),
                    ),
                    ("address", models.CharField(max_length=1000)),
                    ("is_enabled", models.BooleanField(default=True, verbose_name="enabled")),
                    ("secret_changed_at", models.DateTimeField(editable=False, null=True)),
                    (
                        "created_at",
                        models.DateTimeField(
                            auto_now_add=True, db_default=django.db.models.functions.datetime.Now()
                        ),
                    ),
                    (
                        "updated_at",
                        models.DateTimeField(
                            auto_now=True, db_default=django.db.models.functions.datetime.Now()
                        ),
                    ),
                    (
                        "owner",
                        models.ForeignKey(
                            blank=True,
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "ordering": ["name"],
                },
            ),
            migrations.CreateModel(
                name="ChannelSecret",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("sealed", models.TextField(editable=False)),
                    ("key_id", models.CharField(db_index=True, editable=False, max_length=8)),
                    (
                        "channel",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="secret",
                            to="notifications.channel",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="Notice",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "occasion",
                        models.CharField(
                            choices=[
                                ("failed", "A run failed"),
                                ("recovered", "A job succeeds again"),
                                ("missed", "A schedule missed slots"),
                                ("deadline", "A deadline was breached"),
                                ("circuit_opened", "A circuit breaker opened"),
                                ("campaign_stopped", "A campaign stopped by itself"),
                                ("campaign_done", "A campaign is done"),
                                ("succeeded", "A run succeeded"),
                            ],
                            max_length=20,
                        ),
                    ),
                    ("once", models.CharField(max_length=80, unique=True)),
                    ("run_id", models.BigIntegerField(null=True)),
                    ("detail", models.JSONField(db_default={}, default=dict)),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("taken_at", models.DateTimeField(null=True)),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.job"
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="Rule",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "occasions",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(
                                choices=[
                                    ("failed", "A run failed"),
                                    ("recovered", "A job succeeds again"),
                                    ("missed", "A schedule missed slots"),
                                    ("deadline", "A deadline was breached"),
                                    ("circuit_opened", "A circuit breaker opened"),
                                    ("campaign_stopped", "A campaign stopped by itself"),
                                    ("campaign_done", "A campaign is done"),
                                ],
                                max_length=20,
                            ),
                            size=None,
                        ),
                    ),
                    (
                        "tag",
                        models.CharField(
                            blank=True,
                            default="",
                            help_text="Only jobs with this tag. Empty: with any or none.",
                            max_length=60,
                        ),
                    ),
                    (
                        "quiet_minutes",
                        models.PositiveIntegerField(
                            default=10,
                            help_text="Minutes in which one message goes out for each job and occasion; the others are counted and told together. 0: each is told at once.",
                            validators=[django.core.validators.MaxValueValidator(10080)],
                            verbose_name="quiet for",
                        ),
                    ),
                    ("is_enabled", models.BooleanField(default=True, verbose_name="enabled")),
                    (
                        "created_at",
                        models.DateTimeField(
                            auto_now_add=True, db_default=django.db.models.functions.datetime.Now()
                        ),
                    ),
                    (
                        "updated_at",
                        models.DateTimeField(
                            auto_now=True, db_default=django.db.models.functions.datetime.Now()
                        ),
                    ),
                    (
                        "channel",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="rules",
                            to="notifications.channel",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            blank=True,
                            help_text="Empty: every job.",
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="rules",
                            to="jobs.job",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                },
            ),
            migrations.CreateModel(
                name="Message",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                    (
                        "occasion",
                        models.CharField(
                            choices=[
                                ("failed", "A run failed"),
                                ("recovered", "A job succeeds again"),
                                ("missed", "A schedule missed slots"),
                                ("deadline", "A deadline was breached"),
                                ("circuit_opened", "A circuit breaker opened"),
                                ("campaign_stopped", "A campaign stopped by itself"),
                                ("campaign_done", "A campaign is done"),
                                ("test", "A test"),
                            ],
                            max_length=20,
                        ),
                    ),
                    ("run_id", models.BigIntegerField(db_index=True, null=True)),
                    ("others", models.PositiveIntegerField(default=0)),
                    ("subject", models.CharField(max_length=200)),
                    ("text", models.TextField()),
                    ("payload", models.JSONField()),
                    (
                        "status",
                        models.CharField(
                            choices=[("due", "Due"), ("sent", "Sent"), ("failed", "Failed")],
                            default="due",
                            max_length=10,
                        ),
                    ),
                    (
                        "due_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True),
                    ),
                    ("claimed_until", models.DateTimeField(null=True)),
                    ("attempts", models.PositiveIntegerField(default=0)),
                    ("attempts_before", models.PositiveIntegerField(db_default=0, default=0)),
                    ("by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("ended_at", models.DateTimeField(null=True)),
                    (
                        "channel",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="messages",
                            to="notifications.channel",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "notice",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="notifications.notice",
                        ),
                    ),
                    (
                        "rule",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to="notifications.rule",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": ("view", "change"),
                },
            ),
            migrations.CreateModel(
                name="Hush",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "occasion",
                        models.CharField(
                            choices=[
                                ("failed", "A run failed"),
                                ("recovered", "A job succeeds again"),
                                ("missed", "A schedule missed slots"),
                                ("deadline", "A deadline was breached"),
                                ("circuit_opened", "A circuit breaker opened"),
                                ("campaign_stopped", "A campaign stopped by itself"),
                                ("campaign_done", "A campaign is done"),
                            ],
                            max_length=20,
                        ),
                    ),
                    ("until", models.DateTimeField(db_index=True)),
                    ("kept", models.PositiveIntegerField(default=0)),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.job"
                        ),
                    ),
                    (
                        "last",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="notifications.notice",
                        ),
                    ),
                    (
                        "rule",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="notifications.rule",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="Sending",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    (
                        "outcome",
                        models.CharField(
                            choices=[
                                ("begun", "Begun"),
                                ("sent", "Sent"),
                                ("failed", "Failed"),
                                ("unknown", "Unknown"),
                            ],
                            default="begun",
                            max_length=10,
                        ),
                    ),
                    ("status_code", models.PositiveSmallIntegerField(null=True)),
                    ("error", models.CharField(blank=True, default="", max_length=500)),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("ended_at", models.DateTimeField(null=True)),
                    (
                        "message",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="sendings",
                            to="notifications.message",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": (),
                },
            ),
        ),
        AtOnce(
            migrations.AddIndex(
                model_name="notice",
                index=models.Index(condition=models.Q(("taken_at", None)), fields=["id"], name="notice_left"),
            ),
            migrations.AddIndex(
                model_name="notice",
                index=models.Index(
                    condition=models.Q(("occasion", "failed"), ("taken_at", None)),
                    fields=["job"],
                    name="notice_failed",
                ),
            ),
            migrations.AddIndex(
                model_name="notice",
                index=models.Index(
                    condition=models.Q(("taken_at", None)), fields=["run_id"], name="notice_of_run"
                ),
            ),
            migrations.AddConstraint(
                model_name="rule",
                constraint=models.CheckConstraint(
                    condition=models.Q(("job", None), ("tag", ""), _connector="OR"), name="rule_of_job_or_tag"
                ),
            ),
            migrations.AddConstraint(
                model_name="rule",
                constraint=models.CheckConstraint(
                    condition=models.Q(("occasions", []), _negated=True), name="rule_of_something"
                ),
            ),
            migrations.AddIndex(
                model_name="message",
                index=models.Index(
                    condition=models.Q(("status", "due")), fields=["due_at"], name="message_due"
                ),
            ),
            migrations.AddIndex(
                model_name="message",
                index=models.Index(fields=["channel", "-id"], name="message_of_channel"),
            ),
            migrations.AddIndex(
                model_name="message",
                index=models.Index(
                    condition=models.Q(("status", "failed")), fields=["-id"], name="message_failed"
                ),
            ),
            migrations.AddConstraint(
                model_name="message",
                constraint=models.UniqueConstraint(fields=("notice", "channel"), name="message_once"),
            ),
            migrations.AddConstraint(
                model_name="message",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("due_at__isnull", False), ("ended_at", None), ("status", "due")),
                        models.Q(
                            ("due_at", None), ("ended_at__isnull", False), ("status__in", ("sent", "failed"))
                        ),
                        _connector="OR",
                    ),
                    name="message_due_or_ended",
                ),
            ),
            migrations.AddConstraint(
                model_name="hush",
                constraint=models.UniqueConstraint(fields=("rule", "job", "occasion"), name="hush_once"),
            ),
        ),
    ]

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
import timezone_field.fields
from django.conf import settings
from django.db import migrations, models

import triggers.rates
from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0001_initial"),
    ]

    operations = [
        AtOnce(
            migrations.CreateModel(
                name="Batch",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("key", models.CharField(blank=True, default="", max_length=200)),
                    ("count", models.PositiveIntegerField(default=1)),
                    ("size", models.PositiveBigIntegerField(default=0)),
                    ("opened_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("due_at", models.DateTimeField(db_index=True)),
                ],
                options={
                    "verbose_name_plural": "batches",
                    "default_permissions": (),
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("due_at__gte", models.F("opened_at"))), name="batch_due_later"
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Calendar",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "name",
                        models.CharField(
                            max_length=100,
                            unique=True,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[^,]+$", "A calendar’s name has no comma."
                                )
                            ],
                        ),
                    ),
                    ("timezone", timezone_field.fields.TimeZoneField(default="UTC", use_pytz=False)),
                    ("closed", models.TextField(help_text="A period a line.")),
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
                ],
                options={
                    "ordering": ["name"],
                },
            ),
            migrations.CreateModel(
                name="Delivery",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("key", models.CharField(max_length=200, null=True)),
                    ("event", models.CharField(blank=True, default="", max_length=100)),
                    (
                        "verdict",
                        models.CharField(
                            choices=[
                                ("accepted", "Accepted"),
                                ("challenge", "Challenge"),
                                ("unreadable", "Unreadable"),
                                ("refused", "Refused"),
                            ],
                            max_length=10,
                        ),
                    ),
                    ("reason", models.CharField(blank=True, default="", max_length=500)),
                    ("address", models.GenericIPAddressField(null=True)),
                    ("headers", models.JSONField(default=dict)),
                    ("body", models.BinaryField(default=bytes)),
                    ("size", models.PositiveIntegerField(default=0)),
                    ("repeats", models.PositiveIntegerField(default=0)),
                    ("is_test", models.BooleanField(default=False)),
                    ("answer", models.JSONField(null=True)),
                    (
                        "received_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                ],
                options={
                    "verbose_name_plural": "deliveries",
                    "ordering": ["-id"],
                    "default_permissions": ("view",),
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                ("verdict__in", ("accepted", "challenge", "unreadable", "refused"))
                            ),
                            name="delivery_verdict_known",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="RateLimit",
                fields=[
                    ("subject", models.CharField(max_length=40, primary_key=True, serialize=False)),
                    ("free_at", models.DateTimeField()),
                ],
                options={
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="ApiKey",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("public_id", models.CharField(editable=False, max_length=16, unique=True)),
                    ("secret_hash", models.CharField(editable=False, max_length=64)),
                    ("name", models.CharField(max_length=100)),
                    (
                        "scopes",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(
                                choices=[
                                    ("read", "Read"),
                                    ("run", "Run"),
                                    ("cancel", "Cancel"),
                                    ("write", "Write"),
                                ],
                                max_length=10,
                            ),
                            default=list,
                            size=None,
                        ),
                    ),
                    ("restricted", models.BooleanField(default=False, editable=False)),
                    (
                        "networks",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=50),
                            blank=True,
                            default=list,
                            help_text="Addresses it may call from, like 10.0.0.0/8. Empty: from anywhere.",
                            size=None,
                        ),
                    ),
                    (
                        "rate_limit",
                        models.CharField(
                            blank=True,
                            help_text="Most API calls with it, like 100/minute (second, minute, hour or day). Empty: no limit.",
                            max_length=30,
                            null=True,
                            validators=[triggers.rates.validate],
                        ),
                    ),
                    ("enabled", models.BooleanField(default=True)),
                    (
                        "expires_at",
                        models.DateTimeField(
                            blank=True,
                            help_text="When it ends, however much it is used. Empty: it does not.",
                            null=True,
                        ),
                    ),
                    (
                        "idle_days",
                        models.PositiveSmallIntegerField(
                            blank=True,
                            help_text="It ends when it was not used for so many days; each use puts the end off. Empty: it does not.",
                            null=True,
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(3650),
                            ],
                        ),
                    ),
                    ("former_hash", models.CharField(blank=True, default="", editable=False, max_length=64)),
                    ("former_until", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("former_calls", models.BigIntegerField(default=0, editable=False)),
                    ("former_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("rotated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("last_used_from", models.GenericIPAddressField(blank=True, editable=False, null=True)),
                    ("launches", models.BigIntegerField(default=0, editable=False)),
                    (
                        "created_at",
                        models.DateTimeField(
                            auto_now_add=True, db_default=django.db.models.functions.datetime.Now()
                        ),
                    ),
                    (
                        "jobs",
                        models.ManyToManyField(
                            blank=True,
                            help_text="The jobs it may see and start. None chosen: all.",
                            related_name="+",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "owner",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="api_keys",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "verbose_name": "API key",
                    "ordering": ["-id"],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("scopes__contained_by", ["read", "run", "cancel", "write"])),
                            name="apikey_scopes_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("rate_limit", ""), _negated=True),
                            name="apikey_no_empty_limit",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="KeyUse",
                fields=[
                    ("id", models.BigAutoField(primary_key=True, serialize=False)),
                    ("hour", models.DateTimeField()),
                    ("calls", models.BigIntegerField(default=0)),
                    ("launches", models.BigIntegerField(default=0)),
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
                        "key",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="uses",
                            to="triggers.apikey",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                    "indexes": [models.Index(fields=["hour"], name="keyuse_hour")],
                    "constraints": [
                        models.UniqueConstraint(
                            fields=("key", "hour", "job"), name="keyuse_one_an_hour", nulls_distinct=False
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Trigger",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                    (
                        "kind",
                        models.CharField(
                            choices=[
                                ("remote", "Remote"),
                                ("schedule", "Schedule"),
                                ("dependency", "Dependency"),
                                ("event", "Event"),
                            ],
                            max_length=12,
                        ),
                    ),
                    ("name", models.CharField(blank=True, default="", max_length=200)),
                    ("enabled", models.BooleanField(default=True)),
                    (
                        "priority",
                        models.PositiveSmallIntegerField(
                            blank=True,
                            help_text="1 (first) to 100 (last); empty: the job's.",
                            null=True,
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(100),
                            ],
                        ),
                    ),
                    (
                        "parameters",
                        models.JSONField(blank=True, default=dict, help_text="Over the job's defaults."),
                    ),
                    (
                        "rate_limit",
                        models.CharField(
                            blank=True,
                            help_text="Most API calls that fire it, like 100/minute (second, minute, hour or day). Empty: no limit.",
                            max_length=30,
                            null=True,
                            validators=[triggers.rates.validate],
                        ),
                    ),
                    (
                        "cron",
                        models.TextField(
                            blank=True,
                            default="",
                            help_text="minute hour day-of-month month day-of-week; one line or several.",
                        ),
                    ),
                    ("timezone", timezone_field.fields.TimeZoneField(default="UTC", use_pytz=False)),
                    (
                        "misfire",
                        models.CharField(
                            choices=[
                                ("skip", "Skip what was missed"),
                                ("run_once", "Run once for all that was missed"),
                                ("run_each", "Run each missed slot"),
                            ],
                            default="run_once",
                            max_length=16,
                        ),
                    ),
                    (
                        "misfire_limit",
                        models.PositiveSmallIntegerField(
                            default=10,
                            help_text="Most slots caught up by “run each”.",
                            validators=[django.core.validators.MinValueValidator(1)],
                        ),
                    ),
                    (
                        "overlap",
                        models.CharField(
                            choices=[
                                ("allow", "Start beside it"),
                                ("skip", "Skip the slot"),
                                ("queue", "Start when it has ended"),
                                ("cancel_previous", "Cancel it and start"),
                            ],
                            default="skip",
                            max_length=16,
                        ),
                    ),
                    (
                        "jitter_seconds",
                        models.PositiveIntegerField(
                            default=0, help_text="Spread the start over so many seconds."
                        ),
                    ),
                    (
                        "start_within_seconds",
                        models.PositiveIntegerField(
                            blank=True,
                            help_text="Must start within so many seconds of its slot. Empty: as the job says.",
                            null=True,
                            validators=[django.core.validators.MinValueValidator(1)],
                        ),
                    ),
                    (
                        "finish_within_seconds",
                        models.PositiveIntegerField(
                            blank=True,
                            help_text="Must finish within so many seconds of its slot. Empty: as the job says.",
                            null=True,
                            validators=[django.core.validators.MinValueValidator(1)],
                        ),
                    ),
                    ("starts_at", models.DateTimeField(blank=True, null=True)),
                    ("ends_at", models.DateTimeField(blank=True, null=True)),
                    ("paused_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("paused_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
                    (
                        "paused_reason",
                        models.CharField(blank=True, default="", editable=False, max_length=500),
                    ),
                    ("paused_until", models.DateTimeField(blank=True, editable=False, null=True)),
                    (
                        "condition",
                        models.CharField(
                            blank=True,
                            choices=[
                                ("on_success", "On success"),
                                ("on_failure", "On failure"),
                                ("on_completion", "On completion"),
                            ],
                            default="",
                            max_length=16,
                        ),
                    ),
                    (
                        "delay_minutes",
                        models.PositiveSmallIntegerField(
                            default=0,
                            help_text="How long after the end of the upstream run the dependent is due.",
                        ),
                    ),
                    (
                        "needs",
                        models.CharField(
                            choices=[("any", "Any of them"), ("all", "All of them")],
                            default="any",
                            max_length=4,
                        ),
                    ),
                    (
                        "window_minutes",
                        models.PositiveIntegerField(
                            default=1440,
                            help_text="With “all of them”: they must end within so many minutes.",
                            validators=[django.core.validators.MinValueValidator(1)],
                        ),
                    ),
                    (
                        "mapping",
                        models.JSONField(
                            blank=True,
                            default=dict,
                            help_text="Parameters taken from the cause, each by a JSON Pointer; over the parameters above.",
                        ),
                    ),
                    (
                        "scheme",
                        models.CharField(
                            blank=True,
                            choices=[
                                ("standard", "Standard Webhooks"),
                                ("github", "GitHub"),
                                ("gitlab", "GitLab"),
                                ("slack", "Slack"),
                                ("hmac", "HMAC"),
                                ("token", "Shared token"),
                            ],
                            default="",
                            max_length=20,
                        ),
                    ),
                    ("scheme_options", models.JSONField(blank=True, default=dict)),
                    (
                        "events",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=100),
                            blank=True,
                            default=list,
                            help_text="Event names; none: every event.",
                            size=None,
                        ),
                    ),
                    (
                        "filter",
                        models.JSONField(
                            blank=True, default=dict, help_text="Conditions; an empty object: everything."
                        ),
                    ),
                    (
                        "parent_pointer",
                        models.CharField(
                            blank=True,
                            default="",
                            help_text="A JSON Pointer to the id of the run of this site that caused the event, if it tells one.",
                            max_length=200,
                        ),
                    ),
                    (
                        "debounce_seconds",
                        models.PositiveIntegerField(
                            default=0,
                            help_text="Gather deliveries until none has come for so long, for one run; 0: a run for each.",
                        ),
                    ),
                    (
                        "debounce_limit",
                        models.PositiveSmallIntegerField(
                            default=100,
                            help_text="So many gathered deliveries start the run at once.",
                            validators=[django.core.validators.MinValueValidator(1)],
                        ),
                    ),
                    (
                        "debounce_pointer",
                        models.CharField(
                            blank=True,
                            default="",
                            help_text="A JSON Pointer to the value that deliveries are gathered by; empty: all together.",
                            max_length=200,
                        ),
                    ),
                    ("next_run_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("next_slot", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("replan_from", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("exhausted", models.BooleanField(default=False, editable=False)),
                    ("last_run_at", models.DateTimeField(blank=True, editable=False, null=True)),
                    ("version", models.PositiveIntegerField(default=1, editable=False)),
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
                        "calendars",
                        models.ManyToManyField(
                            blank=True,
                            help_text="Slots that fall where one of these is closed are skipped.",
                            related_name="schedules",
                            to="triggers.calendar",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="triggers",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "source",
                        models.ForeignKey(
                            blank=True,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="listeners",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["job_id", "id"],
                    "permissions": [("fire_trigger", "Can fire trigger")],
                    "indexes": [
                        models.Index(
                            condition=models.Q(("enabled", True), ("kind", "schedule")),
                            fields=["next_run_at"],
                            name="trigger_due",
                        )
                    ],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("rate_limit", ""), _negated=True),
                            name="trigger_no_empty_limit",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("kind__in", ["remote", "schedule", "dependency", "event"])),
                            name="trigger_kind_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("priority__isnull", True), ("priority__range", (1, 100)), _connector="OR"
                            ),
                            name="trigger_priority_range",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("kind", "schedule"), models.Q(("cron", ""), _negated=True)),
                                models.Q(models.Q(("kind", "schedule"), _negated=True), ("cron", "")),
                                _connector="OR",
                            ),
                            name="trigger_cron_of_schedule",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("misfire__in", ["skip", "run_once", "run_each"]),
                                ("overlap__in", ["allow", "skip", "queue", "cancel_previous"]),
                            ),
                            name="trigger_words_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("starts_at__isnull", True),
                                ("ends_at__isnull", True),
                                ("ends_at__gt", models.F("starts_at")),
                                _connector="OR",
                            ),
                            name="trigger_ends_after_start",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(
                                    ("condition__in", ["on_success", "on_failure", "on_completion"]),
                                    ("kind", "dependency"),
                                ),
                                models.Q(
                                    models.Q(("kind", "dependency"), _negated=True),
                                    ("condition", ""),
                                    ("delay_minutes", 0),
                                    ("needs", "any"),
                                ),
                                _connector="OR",
                            ),
                            name="trigger_condition_of_dependency",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("needs__in", ["any", "all"]), ("window_minutes__gte", 1)),
                            name="trigger_needs_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(
                                    ("kind", "event"),
                                    ("source__isnull", True),
                                    models.Q(("scheme", ""), _negated=True),
                                ),
                                models.Q(("kind", "event"), ("scheme", ""), ("source__isnull", False)),
                                models.Q(
                                    models.Q(("kind", "event"), _negated=True),
                                    ("debounce_seconds", 0),
                                    ("scheme", ""),
                                    ("source__isnull", True),
                                ),
                                _connector="OR",
                            ),
                            name="trigger_scheme_of_event",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("kind", "remote")),
                            fields=("job",),
                            name="trigger_one_remote_a_job",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Secret",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("sealed", models.TextField(editable=False)),
                    ("key_id", models.CharField(db_index=True, editable=False, max_length=8)),
                    ("expires_at", models.DateTimeField(editable=False, null=True)),
                    (
                        "created_at",
                        models.DateTimeField(
                            db_default=django.db.models.functions.datetime.Now(), editable=False
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="secrets",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="Reaction",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "outcome",
                        models.CharField(
                            choices=[("fired", "Fired"), ("skipped", "Skipped"), ("pending", "Pending")],
                            max_length=10,
                        ),
                    ),
                    ("reason", models.CharField(blank=True, default="", max_length=500)),
                    ("run_id", models.BigIntegerField(null=True)),
                    ("by", models.CharField(blank=True, default="", max_length=200)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    (
                        "batch",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="reactions",
                            to="triggers.batch",
                        ),
                    ),
                    (
                        "delivery",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="reactions",
                            to="triggers.delivery",
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="reactions",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "default_permissions": (),
                    "indexes": [models.Index(fields=["trigger", "id"], name="reaction_of_trigger")],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("outcome__in", ("fired", "skipped", "pending"))),
                            name="reaction_outcome_known",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Occurrence",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("slot", models.DateTimeField()),
                    (
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
                    ("reason", models.CharField(blank=True, default="", max_length=300)),
                    ("run_id", models.BigIntegerField(null=True)),
                    ("by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                    ("fired_at", models.DateTimeField(null=True)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="occurrences",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "indexes": [
                        models.Index(
                            condition=models.Q(("outcome", "missed")),
                            fields=["trigger", "slot"],
                            name="occurrence_missed",
                        ),
                        models.Index(
                            condition=models.Q(("outcome", "due")),
                            fields=["trigger", "slot"],
                            name="occurrence_due",
                        ),
                    ],
                    "constraints": [
                        models.UniqueConstraint(fields=("trigger", "slot"), name="occurrence_once_a_slot"),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("outcome__in", ("fired", "skipped", "missed", "dismissed", "due"))
                            ),
                            name="occurrence_outcome_known",
                        ),
                    ],
                },
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="trigger",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="triggers.trigger",
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="trigger",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="batches",
                to="triggers.trigger",
            ),
        ),
        AtOnce(
            migrations.CreateModel(
                name="Dependency",
                fields=[],
                options={
                    "verbose_name_plural": "dependencies",
                    "ordering": ["job__name", "id"],
                    "proxy": True,
                    "default_permissions": (),
                    "indexes": [],
                    "constraints": [],
                },
                bases=("triggers.trigger",),
            ),
            migrations.CreateModel(
                name="EventTrigger",
                fields=[],
                options={
                    "ordering": ["job__name", "id"],
                    "proxy": True,
                    "default_permissions": (),
                    "indexes": [],
                    "constraints": [],
                },
                bases=("triggers.trigger",),
            ),
            migrations.CreateModel(
                name="RemoteTrigger",
                fields=[],
                options={
                    "ordering": ["job__name", "id"],
                    "proxy": True,
                    "default_permissions": (),
                    "indexes": [],
                    "constraints": [],
                },
                bases=("triggers.trigger",),
            ),
            migrations.CreateModel(
                name="Schedule",
                fields=[],
                options={
                    "ordering": ["job__name", "id"],
                    "proxy": True,
                    "default_permissions": (),
                    "indexes": [],
                    "constraints": [],
                },
                bases=("triggers.trigger",),
            ),
            migrations.CreateModel(
                name="Upstream",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="+", to="jobs.job"
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="edges",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "constraints": [
                        models.UniqueConstraint(fields=("trigger", "job"), name="upstream_once_a_trigger")
                    ],
                },
            ),
        ),
        migrations.AddField(
            model_name="trigger",
            name="upstreams",
            field=models.ManyToManyField(
                blank=True, related_name="dependents", through="triggers.Upstream", to="jobs.job"
            ),
        ),
        AtOnce(
            migrations.AddIndex(
                model_name="delivery",
                index=models.Index(fields=["trigger", "id"], name="delivery_of_trigger"),
            ),
            migrations.AddIndex(
                model_name="delivery",
                index=models.Index(
                    condition=models.Q(("verdict", "refused")),
                    fields=["trigger", "id"],
                    name="delivery_refused",
                ),
            ),
            migrations.AddConstraint(
                model_name="delivery",
                constraint=models.UniqueConstraint(fields=("trigger", "key"), name="delivery_once_a_key"),
            ),
            migrations.AddConstraint(
                model_name="batch",
                constraint=models.UniqueConstraint(fields=("trigger", "key"), name="batch_one_open_a_key"),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="upstream",
            trigger=pgtrigger.compiler.Trigger(
                name="acyclic",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    PERFORM pg_advisory_xact_lock(hashtextextended('triggers.upstream', 0));\n    IF NOT EXISTS (SELECT 1 FROM triggers_trigger t WHERE t.id = NEW.trigger_id AND t.kind = 'dependency') THEN\n        RAISE EXCEPTION 'Only a trigger of kind dependency has upstreams.'\n            USING ERRCODE = 'check_violation', CONSTRAINT = 'upstream_of_dependency';\n    END IF;\n    IF EXISTS (\n        WITH RECURSIVE behind (job_id) AS (\n            SELECT t.job_id FROM triggers_trigger t WHERE t.id = NEW.trigger_id\n            UNION\n            SELECT t.job_id FROM behind b\n            JOIN triggers_upstream u ON u.job_id = b.job_id JOIN triggers_trigger t ON t.id = u.trigger_id)\n        SELECT 1 FROM behind b WHERE b.job_id = NEW.job_id)\n    THEN\n        RAISE EXCEPTION 'Job % would come after itself.', NEW.job_id\n            USING ERRCODE = 'check_violation', CONSTRAINT = 'upstream_acyclic';\n    END IF;\n    RETURN NEW;",
                    hash="11be34348e8097b7664458aafe1a866ea9286d50",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_acyclic_98a0a",
                    table="triggers_upstream",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="upstream",
            trigger=pgtrigger.compiler.Trigger(
                name="bump_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="UPDATE triggers_trigger SET version = version + 1 WHERE id = coalesce(NEW.trigger_id, OLD.trigger_id); RETURN NULL;",
                    hash="530d0936480bb52e2f801b90f0e10babdde9190b",
                    operation="INSERT OR DELETE",
                    pgid="pgtrigger_bump_version_c7ced",
                    table="triggers_upstream",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="trigger",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_job",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."kind" = \'dependency\' AND (OLD."job_id" IS DISTINCT FROM (NEW."job_id") OR NOT (NEW."kind" = \'dependency\')))',
                    func="RAISE EXCEPTION 'A dependency keeps its job and its kind.' USING ERRCODE = 'check_violation', CONSTRAINT = 'trigger_keeps_job';",
                    hash="c3070e828cb1902a10432fea91c41897712634a7",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_job_ceae4",
                    table="triggers_trigger",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="trigger",
            trigger=pgtrigger.compiler.Trigger(
                name="replan",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."cron" IS DISTINCT FROM (NEW."cron") OR OLD."enabled" IS DISTINCT FROM (NEW."enabled") OR OLD."ends_at" IS DISTINCT FROM (NEW."ends_at") OR OLD."jitter_seconds" IS DISTINCT FROM (NEW."jitter_seconds") OR OLD."kind" IS DISTINCT FROM (NEW."kind") OR OLD."paused_at" IS DISTINCT FROM (NEW."paused_at") OR OLD."starts_at" IS DISTINCT FROM (NEW."starts_at") OR OLD."timezone" IS DISTINCT FROM (NEW."timezone"))',
                    func="\n    IF OLD.kind = 'schedule' AND OLD.next_slot IS NOT NULL AND OLD.next_run_at <= clock_timestamp() THEN\n        INSERT INTO triggers_occurrence (trigger_id, slot, outcome, reason)\n        VALUES (OLD.id, OLD.next_slot, 'missed', 'The schedule was changed before its slot was fired.')\n        ON CONFLICT DO NOTHING;\n    END IF;\n    NEW.next_run_at = NULL; NEW.next_slot = NULL; NEW.exhausted = FALSE;\n    NEW.replan_from = clock_timestamp(); RETURN NEW;",
                    hash="73f837ec3bfabba7e8820dc4016e3e6d66168b70",
                    operation="UPDATE",
                    pgid="pgtrigger_replan_07d20",
                    table="triggers_trigger",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="trigger",
            trigger=pgtrigger.compiler.Trigger(
                name="plan",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    NEW.next_run_at = NULL; NEW.next_slot = NULL; NEW.exhausted = FALSE;\n    NEW.replan_from = clock_timestamp(); RETURN NEW;",
                    hash="98dcf7083c6806847a42a621894a14ea8dec6667",
                    operation="INSERT",
                    pgid="pgtrigger_plan_ce3fb",
                    table="triggers_trigger",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="trigger",
            trigger=pgtrigger.compiler.Trigger(
                name="bump_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."condition" IS DISTINCT FROM (NEW."condition") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."cron" IS DISTINCT FROM (NEW."cron") OR OLD."debounce_limit" IS DISTINCT FROM (NEW."debounce_limit") OR OLD."debounce_pointer" IS DISTINCT FROM (NEW."debounce_pointer") OR OLD."debounce_seconds" IS DISTINCT FROM (NEW."debounce_seconds") OR OLD."delay_minutes" IS DISTINCT FROM (NEW."delay_minutes") OR OLD."enabled" IS DISTINCT FROM (NEW."enabled") OR OLD."ends_at" IS DISTINCT FROM (NEW."ends_at") OR OLD."events" IS DISTINCT FROM (NEW."events") OR OLD."filter" IS DISTINCT FROM (NEW."filter") OR OLD."finish_within_seconds" IS DISTINCT FROM (NEW."finish_within_seconds") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."jitter_seconds" IS DISTINCT FROM (NEW."jitter_seconds") OR OLD."job_id" IS DISTINCT FROM (NEW."job_id") OR OLD."kind" IS DISTINCT FROM (NEW."kind") OR OLD."mapping" IS DISTINCT FROM (NEW."mapping") OR OLD."misfire" IS DISTINCT FROM (NEW."misfire") OR OLD."misfire_limit" IS DISTINCT FROM (NEW."misfire_limit") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."needs" IS DISTINCT FROM (NEW."needs") OR OLD."overlap" IS DISTINCT FROM (NEW."overlap") OR OLD."parameters" IS DISTINCT FROM (NEW."parameters") OR OLD."parent_pointer" IS DISTINCT FROM (NEW."parent_pointer") OR OLD."paused_at" IS DISTINCT FROM (NEW."paused_at") OR OLD."paused_by" IS DISTINCT FROM (NEW."paused_by") OR OLD."paused_reason" IS DISTINCT FROM (NEW."paused_reason") OR OLD."paused_until" IS DISTINCT FROM (NEW."paused_until") OR OLD."priority" IS DISTINCT FROM (NEW."priority") OR OLD."public_id" IS DISTINCT FROM (NEW."public_id") OR OLD."rate_limit" IS DISTINCT FROM (NEW."rate_limit") OR OLD."scheme" IS DISTINCT FROM (NEW."scheme") OR OLD."scheme_options" IS DISTINCT FROM (NEW."scheme_options") OR OLD."source_id" IS DISTINCT FROM (NEW."source_id") OR OLD."start_within_seconds" IS DISTINCT FROM (NEW."start_within_seconds") OR OLD."starts_at" IS DISTINCT FROM (NEW."starts_at") OR OLD."timezone" IS DISTINCT FROM (NEW."timezone") OR OLD."window_minutes" IS DISTINCT FROM (NEW."window_minutes"))',
                    func="NEW.version = OLD.version + 1; RETURN NEW;",
                    hash="60affa48f0bed4b89de29130efc0f831207e0f07",
                    operation="UPDATE",
                    pgid="pgtrigger_bump_version_4dac1",
                    table="triggers_trigger",
                    when="BEFORE",
                ),
            ),
        ),
    ]

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

from jobs.migrating import AtOnce


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0001_initial"),
        ("triggers", "0001_initial"),
    ]

    operations = [
        AtOnce(
            migrations.CreateModel(
                name="Campaign",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("name", models.CharField(max_length=200)),
                    ("parameters", models.JSONField(default=dict)),
                    (
                        "status",
                        models.CharField(
                            choices=[
                                ("draft", "Draft"),
                                ("scheduled", "Scheduled"),
                                ("expanding", "Expanding"),
                                ("running", "Running"),
                                ("paused", "Paused"),
                                ("cancelling", "Cancelling"),
                                ("done", "Done"),
                                ("cancelled", "Cancelled"),
                            ],
                            default="draft",
                            max_length=10,
                        ),
                    ),
                    ("cause", models.CharField(max_length=500)),
                    ("rate_per_second", models.FloatField(null=True)),
                    ("start_at", models.DateTimeField(null=True)),
                    ("stop_on_failure_rate", models.FloatField(null=True)),
                    ("canary", models.PositiveIntegerField(null=True)),
                    ("window_from", models.TimeField(null=True)),
                    ("window_to", models.TimeField(null=True)),
                    ("window_zone", models.CharField(default="UTC", max_length=60)),
                    ("total", models.PositiveBigIntegerField(default=0)),
                    ("invalid", models.PositiveBigIntegerField(default=0)),
                    ("duplicates", models.PositiveBigIntegerField(default=0)),
                    ("launched", models.PositiveBigIntegerField(default=0)),
                    ("retried", models.PositiveBigIntegerField(default=0)),
                    ("recipients_from", models.BigIntegerField(default=0)),
                    ("recipients_upto", models.BigIntegerField(default=0)),
                    ("expanded_upto", models.BigIntegerField(default=0)),
                    ("retry_upto", models.BigIntegerField(null=True)),
                    (
                        "retry_only",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.BigIntegerField(), null=True, size=None
                        ),
                    ),
                    ("retried_by", models.CharField(blank=True, default="", max_length=200)),
                    ("is_canary_passed", models.BooleanField(default=False)),
                    ("judged_succeeded", models.BigIntegerField(default=0)),
                    ("judged_failed", models.BigIntegerField(default=0)),
                    ("paused_by", models.CharField(blank=True, default="", max_length=200)),
                    ("paused_reason", models.CharField(blank=True, default="", max_length=500)),
                    ("cancelled_by", models.CharField(blank=True, default="", max_length=200)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("started_at", models.DateTimeField(null=True)),
                    ("finished_at", models.DateTimeField(null=True)),
                    ("credential", models.CharField(blank=True, default="", max_length=60)),
                    ("idempotency_key", models.CharField(max_length=255, null=True)),
                    ("fingerprint", models.CharField(blank=True, default="", max_length=64)),
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
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="campaigns",
                            to="jobs.job",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": ("view",),
                    "indexes": [
                        models.Index(
                            condition=models.Q(
                                ("status__in", ("scheduled", "expanding", "running", "cancelling"))
                            ),
                            fields=["status"],
                            name="campaign_tended",
                        ),
                        models.Index(
                            condition=models.Q(("rate_per_second__isnull", False)),
                            fields=["id"],
                            name="campaign_paced",
                        ),
                    ],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                (
                                    "status__in",
                                    [
                                        "draft",
                                        "scheduled",
                                        "expanding",
                                        "running",
                                        "paused",
                                        "cancelling",
                                        "done",
                                        "cancelled",
                                    ],
                                )
                            ),
                            name="campaign_status_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("rate_per_second__range", (0.001, 1000000.0))),
                            name="campaign_rate_range",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("stop_on_failure_rate__gt", 0), ("stop_on_failure_rate__lte", 1)
                            ),
                            name="campaign_failure_rate_range",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("canary__gt", 0)), name="campaign_canary_positive"
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("window_from__isnull", True), ("window_to__isnull", True)),
                                models.Q(
                                    ("window_from__isnull", False),
                                    ("window_to__isnull", False),
                                    models.Q(("window_from", models.F("window_to")), _negated=True),
                                ),
                                _connector="OR",
                            ),
                            name="campaign_window_whole",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                ("expanded_upto__lte", models.F("recipients_upto")),
                                ("launched__lte", models.F("total")),
                            ),
                            name="campaign_expanded_in_range",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("idempotency_key__isnull", False)),
                            fields=("credential", "idempotency_key"),
                            name="campaign_once_a_key",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Ending",
                fields=[
                    ("run_id", models.BigIntegerField(primary_key=True, serialize=False)),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ],
            ),
            migrations.CreateModel(
                name="Heartbeat",
                fields=[
                    ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                    ("at", models.DateTimeField()),
                    ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("detail", models.JSONField(default=dict)),
                ],
            ),
            migrations.CreateModel(
                name="Tally",
                fields=[
                    (
                        "job",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            primary_key=True,
                            related_name="tally",
                            serialize=False,
                            to="jobs.job",
                        ),
                    ),
                    ("succeeded", models.BigIntegerField(default=0)),
                    ("failed", models.BigIntegerField(default=0)),
                    ("cancelled", models.BigIntegerField(default=0)),
                    ("skipped", models.BigIntegerField(default=0)),
                    ("duration_seconds", models.FloatField(default=0)),
                    ("timed", models.BigIntegerField(default=0)),
                    ("last_run_id", models.BigIntegerField(null=True)),
                    ("last_run_at", models.DateTimeField(null=True)),
                    ("last_run_status", models.CharField(max_length=10, null=True)),
                    ("pruned", models.BigIntegerField(db_default=0, default=0)),
                    ("pruned_at", models.DateTimeField(null=True)),
                ],
            ),
            migrations.CreateModel(
                name="TallyDelta",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("job_id", models.BigIntegerField()),
                    ("trigger_id", models.BigIntegerField(null=True)),
                    ("campaign_id", models.BigIntegerField(null=True)),
                    ("trigger_kind", models.CharField(max_length=50)),
                    ("lane", models.CharField(max_length=10)),
                    ("status", models.CharField(max_length=10)),
                    ("runs", models.IntegerField()),
                    ("timed", models.IntegerField()),
                    ("duration_seconds", models.FloatField()),
                    ("wait_seconds", models.FloatField()),
                    ("last_run_id", models.BigIntegerField()),
                    ("last_run_at", models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name="CampaignTally",
                fields=[
                    (
                        "campaign",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            primary_key=True,
                            related_name="tally",
                            serialize=False,
                            to="runs.campaign",
                        ),
                    ),
                    ("succeeded", models.BigIntegerField(default=0)),
                    ("failed", models.BigIntegerField(default=0)),
                    ("cancelled", models.BigIntegerField(default=0)),
                    ("skipped", models.BigIntegerField(default=0)),
                ],
            ),
            migrations.CreateModel(
                name="CampaignEvent",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "act",
                        models.CharField(
                            choices=[
                                ("ordered", "Ordered"),
                                ("started", "Started"),
                                ("paused", "Paused"),
                                ("resumed", "Resumed"),
                                ("changed", "Changed"),
                                ("retried", "Retried"),
                                ("cancelled", "Cancelled"),
                                ("ended", "Ended"),
                            ],
                            max_length=10,
                        ),
                    ),
                    ("actor", models.CharField(blank=True, default="", max_length=200)),
                    ("detail", models.CharField(blank=True, default="", max_length=500)),
                    (
                        "campaign",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="events",
                            to="runs.campaign",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": (),
                    "indexes": [models.Index(fields=["campaign", "id"], name="campaignevent_of")],
                },
            ),
            migrations.CreateModel(
                name="CampaignPace",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("at", models.DateTimeField()),
                    ("succeeded", models.BigIntegerField(default=0)),
                    ("failed", models.BigIntegerField(default=0)),
                    ("other", models.BigIntegerField(default=0)),
                    (
                        "campaign",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="runs.campaign",
                        ),
                    ),
                ],
                options={
                    "constraints": [
                        models.UniqueConstraint(fields=("campaign", "at"), name="campaignpace_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="Circuit",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("target", models.CharField(max_length=300, unique=True)),
                    ("calls", models.PositiveIntegerField(default=0)),
                    ("failures", models.PositiveIntegerField(default=0)),
                    (
                        "window_started_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("opened_at", models.DateTimeField(null=True)),
                    ("open_until", models.DateTimeField(null=True)),
                    ("probe_run_id", models.BigIntegerField(null=True)),
                ],
                options={
                    "ordering": ["target"],
                    "default_permissions": ("view",),
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(
                                    ("open_until__isnull", True),
                                    ("opened_at__isnull", True),
                                    ("probe_run_id__isnull", True),
                                ),
                                models.Q(("open_until__isnull", False), ("opened_at__isnull", False)),
                                _connector="OR",
                            ),
                            name="circuit_open_has_end",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="CircuitEvent",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "kind",
                        models.CharField(
                            choices=[
                                ("opened", "Opened"),
                                ("reopened", "Reopened"),
                                ("closed", "Closed"),
                                ("reset", "Reset"),
                            ],
                            max_length=10,
                        ),
                    ),
                    ("actor", models.CharField(blank=True, default="", max_length=200)),
                    ("detail", models.CharField(blank=True, default="", max_length=300)),
                    (
                        "circuit",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="events",
                            to="runs.circuit",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="ClaimGroup",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("is_held", models.BooleanField(db_default=False, default=False)),
                    ("paced_until", models.DateTimeField(null=True)),
                    (
                        "campaign",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="runs.campaign",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.job"
                        ),
                    ),
                ],
                options={
                    "constraints": [
                        models.UniqueConstraint(
                            fields=("job", "is_held", "campaign"),
                            name="claimgroup_once",
                            nulls_distinct=False,
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Following",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("upstream_id", models.BigIntegerField(db_index=True)),
                    ("status", models.CharField(max_length=10)),
                    ("ended_at", models.DateTimeField()),
                    (
                        "outcome",
                        models.CharField(
                            choices=[("fired", "Fired"), ("skipped", "Skipped"), ("pending", "Pending")],
                            max_length=10,
                        ),
                    ),
                    ("reason", models.CharField(blank=True, default="", max_length=500)),
                    ("run_id", models.BigIntegerField(null=True)),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "job",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="followings",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "indexes": [
                        models.Index(fields=["trigger", "-id"], name="following_history"),
                        models.Index(fields=["job"], name="following_job"),
                        models.Index(
                            condition=models.Q(("outcome", "pending")),
                            fields=["trigger", "ended_at"],
                            name="following_pending",
                        ),
                    ],
                    "constraints": [
                        models.UniqueConstraint(fields=("trigger", "upstream_id"), name="following_once"),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("outcome", "fired"), ("run_id__isnull", False)),
                                models.Q(
                                    ("outcome__in", ("skipped", "pending")),
                                    models.Q(("reason", ""), _negated=True),
                                ),
                                _connector="OR",
                            ),
                            name="following_outcome_known",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="HourlyTally",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("hour", models.DateTimeField()),
                    ("job_id", models.BigIntegerField()),
                    ("trigger_id", models.BigIntegerField(null=True)),
                    ("trigger_kind", models.CharField(max_length=50)),
                    ("lane", models.CharField(max_length=10)),
                    ("status", models.CharField(max_length=10)),
                    ("runs", models.BigIntegerField()),
                    ("timed", models.BigIntegerField()),
                    ("duration_seconds", models.FloatField()),
                    ("wait_seconds", models.FloatField()),
                ],
                options={
                    "indexes": [
                        models.Index(
                            condition=models.Q(("trigger_id__isnull", False)),
                            fields=["trigger_id", "hour"],
                            name="hourlytally_trigger",
                        ),
                        models.Index(fields=["job_id", "hour"], name="hourlytally_job"),
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            fields=("hour", "job_id", "trigger_id", "trigger_kind", "lane", "status"),
                            name="hourlytally_once",
                            nulls_distinct=False,
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="JobStart",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("at", models.DateTimeField()),
                    (
                        "job",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="jobs.job",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                    "indexes": [models.Index(fields=["job", "-at"], name="jobstart_newest")],
                },
            ),
            migrations.CreateModel(
                name="Lane",
                fields=[
                    ("name", models.CharField(max_length=10, primary_key=True, serialize=False)),
                    ("paused_at", models.DateTimeField(blank=True, null=True)),
                    ("paused_by", models.CharField(blank=True, default="", max_length=200)),
                    ("paused_reason", models.CharField(blank=True, default="", max_length=500)),
                ],
                options={
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("name__in", ("high", "default", "bulk"))), name="lane_known"
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="RecipientList",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("name", models.CharField(max_length=200, unique=True)),
                    ("size", models.PositiveBigIntegerField(default=0)),
                    ("is_text", models.BooleanField(default=False)),
                    ("saved_by", models.CharField(max_length=200)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    (
                        "owner",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "ordering": ["name"],
                    "default_permissions": ("view", "delete"),
                },
            ),
            migrations.CreateModel(
                name="ListPart",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("text", models.TextField()),
                    (
                        "list",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="parts",
                            to="runs.recipientlist",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "default_permissions": (),
                },
            ),
            migrations.CreateModel(
                name="ResultSum",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("campaign_id", models.BigIntegerField(db_index=True)),
                    ("field", models.CharField(max_length=60)),
                    ("sum", models.FloatField()),
                    ("runs", models.BigIntegerField()),
                    ("is_folded", models.BooleanField(db_default=False)),
                ],
                options={
                    "default_permissions": (),
                    "indexes": [
                        models.Index(
                            condition=models.Q(("is_folded", False)), fields=["id"], name="resultsum_new"
                        )
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            condition=models.Q(("is_folded", True)),
                            fields=("campaign_id", "field"),
                            name="resultsum_once",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Run",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("job_version", models.PositiveIntegerField(default=1)),
                    (
                        "status",
                        models.CharField(
                            choices=[
                                ("scheduled", "Scheduled"),
                                ("queued", "Queued"),
                                ("running", "Running"),
                                ("waiting", "Waiting"),
                                ("succeeded", "Succeeded"),
                                ("failed", "Failed"),
                                ("cancelled", "Cancelled"),
                                ("skipped", "Skipped"),
                            ],
                            max_length=10,
                        ),
                    ),
                    ("priority", models.PositiveSmallIntegerField()),
                    (
                        "lane",
                        models.GeneratedField(
                            db_persist=True,
                            expression=models.Case(
                                models.When(priority__lte=9, then=models.Value("high")),
                                models.When(priority__lt=100, then=models.Value("default")),
                                default=models.Value("bulk"),
                            ),
                            output_field=models.CharField(max_length=10),
                        ),
                    ),
                    (
                        "trigger_kind",
                        models.CharField(
                            choices=[
                                ("manual", "Manual"),
                                ("remote", "Remote"),
                                ("schedule", "Schedule"),
                                ("dependency", "Dependency"),
                                ("event", "Event"),
                                ("campaign", "Campaign"),
                            ],
                            db_default="manual",
                            max_length=50,
                        ),
                    ),
                    ("trigger_name", models.CharField(blank=True, default="", max_length=200)),
                    ("cause", models.CharField(max_length=500)),
                    ("slot", models.DateTimeField(null=True)),
                    ("hops", models.PositiveSmallIntegerField(db_default=0, default=0)),
                    ("context", models.JSONField(default=dict)),
                    ("parameters", models.JSONField(default=dict)),
                    ("target", models.CharField(max_length=200, null=True)),
                    (
                        "tags",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), default=list, size=None
                        ),
                    ),
                    ("metadata", models.JSONField(default=dict)),
                    ("dedup_key", models.CharField(max_length=200, null=True)),
                    ("keeps_last", models.BooleanField(db_default=False, default=False)),
                    ("concurrency_key", models.CharField(max_length=200, null=True)),
                    ("persistent", models.BooleanField(default=False)),
                    ("retain_for_seconds", models.PositiveBigIntegerField(null=True)),
                    ("attempt", models.PositiveSmallIntegerField(default=0)),
                    ("max_attempts", models.PositiveSmallIntegerField(default=1)),
                    ("failed_attempts", models.PositiveSmallIntegerField(default=0)),
                    ("lost_attempts", models.PositiveSmallIntegerField(default=0)),
                    ("attempts", models.JSONField(default=list)),
                    ("claim_token", models.BigIntegerField(null=True)),
                    ("worker", models.CharField(blank=True, default="", max_length=200)),
                    ("progress", models.JSONField(null=True)),
                    ("next_step", models.CharField(max_length=200, null=True)),
                    ("state", models.JSONField(null=True)),
                    ("cancel_requested_at", models.DateTimeField(null=True)),
                    ("cancelled_by", models.CharField(blank=True, default="", max_length=200)),
                    ("result", models.JSONField(null=True)),
                    (
                        "failure_reason",
                        models.CharField(
                            choices=[
                                ("error", "Error"),
                                ("timeout", "Timeout"),
                                ("worker_lost", "Worker Lost"),
                                ("poisoned", "Poisoned"),
                                ("engine_lost", "Engine Lost"),
                                ("expired", "Expired"),
                                ("broken", "Broken"),
                            ],
                            max_length=20,
                            null=True,
                        ),
                    ),
                    ("error", models.JSONField(null=True)),
                    ("skip_reason", models.CharField(blank=True, default="", max_length=300)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("run_at", models.DateTimeField(null=True)),
                    ("due_at", models.DateTimeField(null=True)),
                    ("queued_at", models.DateTimeField(null=True)),
                    ("started_at", models.DateTimeField(null=True)),
                    ("deadline_at", models.DateTimeField(null=True)),
                    ("finished_at", models.DateTimeField(null=True)),
                    ("engine", models.CharField(max_length=40, null=True)),
                    ("external_id", models.CharField(max_length=200, null=True)),
                    ("external_status", models.CharField(max_length=60, null=True)),
                    ("synced_at", models.DateTimeField(null=True)),
                    (
                        "api_key",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="runs",
                            to="triggers.apikey",
                        ),
                    ),
                    (
                        "campaign",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.DO_NOTHING,
                            related_name="runs",
                            to="runs.campaign",
                        ),
                    ),
                    (
                        "created_by",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "group",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="runs.claimgroup",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="runs",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "parent",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.DO_NOTHING,
                            related_name="children",
                            to="runs.run",
                        ),
                    ),
                    (
                        "retry_of",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.DO_NOTHING,
                            related_name="retries",
                            to="runs.run",
                        ),
                    ),
                    (
                        "root",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.DO_NOTHING,
                            related_name="descendants",
                            to="runs.run",
                        ),
                    ),
                    (
                        "trigger",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.SET_NULL,
                            related_name="runs",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "permissions": [
                        ("cancel_run", "Can cancel run"),
                        ("retry_run", "Can retry run"),
                        ("prioritise_run", "Can change the priority of run"),
                    ],
                    "default_permissions": ("view", "delete"),
                    "indexes": [
                        models.Index(
                            condition=models.Q(("status", "queued")),
                            fields=["lane", "group", "priority", "id"],
                            name="run_queue",
                        ),
                        models.Index(
                            condition=models.Q(("concurrency_key__isnull", False), ("status", "queued")),
                            fields=["group", "concurrency_key", "lane", "priority", "id"],
                            name="run_key_queue",
                        ),
                        models.Index(
                            condition=models.Q(("status__in", ("scheduled", "waiting"))),
                            fields=["due_at"],
                            name="run_due",
                        ),
                        models.Index(
                            condition=models.Q(("status", "running")), fields=["job"], name="run_running"
                        ),
                        models.Index(fields=["job", "id"], name="run_of_job"),
                        models.Index(fields=["created_at"], name="run_created"),
                        models.Index(
                            condition=models.Q(("status__in", ("failed", "cancelled", "skipped"))),
                            fields=["status", "-id"],
                            name="run_notable",
                        ),
                        models.Index(
                            condition=models.Q(("trigger_kind", "campaign"), _negated=True),
                            fields=["trigger_kind", "-id"],
                            name="run_kind",
                        ),
                        models.Index(
                            condition=models.Q(("trigger__isnull", False)),
                            fields=["trigger", "-id"],
                            name="run_trigger",
                        ),
                        models.Index(
                            condition=models.Q(
                                ("status__in", ("scheduled", "queued", "running", "waiting")),
                                ("trigger__isnull", False),
                            ),
                            fields=["trigger"],
                            name="run_open_of_trigger",
                        ),
                        models.Index(
                            condition=models.Q(("api_key__isnull", False)),
                            fields=["api_key", "-id"],
                            name="run_key",
                        ),
                        models.Index(
                            condition=models.Q(("created_by__isnull", False)),
                            fields=["created_by"],
                            name="run_by",
                        ),
                        models.Index(
                            condition=models.Q(("parent__isnull", False)),
                            fields=["parent"],
                            name="run_parent",
                        ),
                        models.Index(
                            condition=models.Q(("root__isnull", False)),
                            fields=["root", "-id"],
                            name="run_root",
                        ),
                        models.Index(
                            condition=models.Q(("retry_of__isnull", False)),
                            fields=["retry_of"],
                            name="run_retry_of",
                        ),
                        models.Index(
                            condition=models.Q(("persistent", False), ("retain_for_seconds__isnull", False)),
                            fields=["id"],
                            name="run_retained",
                        ),
                        models.Index(
                            condition=models.Q(("campaign__isnull", False)),
                            fields=["campaign", "id"],
                            name="run_of_campaign",
                        ),
                        models.Index(
                            condition=models.Q(("campaign__isnull", False), ("status", "failed")),
                            fields=["campaign", "-id"],
                            name="run_campaign_failed",
                        ),
                    ],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                (
                                    "status__in",
                                    [
                                        "scheduled",
                                        "queued",
                                        "running",
                                        "waiting",
                                        "succeeded",
                                        "failed",
                                        "cancelled",
                                        "skipped",
                                    ],
                                )
                            ),
                            name="run_status_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                (
                                    "trigger_kind__in",
                                    ["manual", "remote", "schedule", "dependency", "event", "campaign"],
                                )
                            ),
                            name="run_kind_known",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("priority__range", (1, 100))), name="run_priority_range"
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(
                                    (
                                        "failure_reason__in",
                                        [
                                            "error",
                                            "timeout",
                                            "worker_lost",
                                            "poisoned",
                                            "engine_lost",
                                            "expired",
                                            "broken",
                                        ],
                                    ),
                                    ("failure_reason__isnull", False),
                                    ("status", "failed"),
                                ),
                                models.Q(
                                    models.Q(("status", "failed"), _negated=True),
                                    ("failure_reason__isnull", True),
                                ),
                                _connector="OR",
                            ),
                            name="run_failed_has_reason",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(
                                    ("finished_at__isnull", False),
                                    ("status__in", ("succeeded", "failed", "cancelled", "skipped")),
                                ),
                                models.Q(
                                    models.Q(
                                        ("status__in", ("succeeded", "failed", "cancelled", "skipped")),
                                        _negated=True,
                                    ),
                                    ("finished_at__isnull", True),
                                ),
                                _connector="OR",
                            ),
                            name="run_final_has_end",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("status", "running"), _negated=True),
                                ("claim_token__isnull", False),
                                ("external_id__isnull", False),
                                _connector="OR",
                            ),
                            name="run_running_has_claim",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("status", "scheduled"), _negated=True),
                                ("due_at__isnull", False),
                                _connector="OR",
                            ),
                            name="run_scheduled_has_due",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("status", "skipped"), _negated=True),
                                models.Q(("skip_reason", ""), _negated=True),
                                _connector="OR",
                            ),
                            name="run_skipped_has_reason",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("dedup_key", ""), _negated=True),
                                models.Q(("target", ""), _negated=True),
                            ),
                            name="run_empty_is_null",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(
                                ("dedup_key__isnull", False),
                                ("keeps_last", False),
                                ("status__in", ("scheduled", "queued", "running", "waiting")),
                            ),
                            fields=("job", "dedup_key"),
                            name="run_dedup_alone",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(
                                ("claim_token__isnull", True),
                                ("dedup_key__isnull", False),
                                ("keeps_last", True),
                                ("status__in", ("scheduled", "queued", "running", "waiting")),
                            ),
                            fields=("job", "dedup_key"),
                            name="run_dedup_waiting",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(
                                ("claim_token__isnull", False),
                                ("dedup_key__isnull", False),
                                ("keeps_last", True),
                                ("status__in", ("scheduled", "queued", "running", "waiting")),
                            ),
                            fields=("job", "dedup_key"),
                            name="run_dedup_started",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("slot__isnull", False)),
                            fields=("trigger", "slot"),
                            name="run_once_a_slot",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("parent__isnull", False), ("trigger_kind", "dependency")),
                            fields=("trigger", "parent"),
                            name="run_follows_once",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Recipient",
                fields=[
                    (
                        "run_id",
                        models.BigIntegerField(
                            db_default=models.Func(models.Value("runs_run_id_seq"), function="nextval"),
                            primary_key=True,
                            serialize=False,
                        ),
                    ),
                    ("line", models.PositiveIntegerField()),
                    ("key", models.CharField(db_collation="C", max_length=200)),
                    ("parameters", models.JSONField(default=dict)),
                    ("is_active", models.BooleanField(default=True)),
                    ("dedup_key", models.CharField(max_length=200, null=True)),
                    ("concurrency_key", models.CharField(max_length=200, null=True)),
                    ("fault", models.JSONField(null=True)),
                    (
                        "campaign",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.DO_NOTHING,
                            related_name="recipients",
                            to="runs.campaign",
                        ),
                    ),
                ],
                options={
                    "ordering": ["run_id"],
                    "default_permissions": (),
                    "indexes": [
                        models.Index(fields=["campaign", "key", "run_id"], name="recipient_key"),
                        models.Index(
                            condition=models.Q(("fault__isnull", False)),
                            fields=["campaign", "run_id"],
                            name="recipient_fault",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="LogChunk",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("attempt", models.PositiveSmallIntegerField()),
                    ("first_seq", models.BigIntegerField()),
                    ("last_seq", models.BigIntegerField()),
                    ("size", models.PositiveIntegerField()),
                    ("lines", models.JSONField()),
                    (
                        "run",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="log_chunks",
                            to="runs.run",
                        ),
                    ),
                ],
                options={
                    "ordering": ["run_id", "first_seq"],
                    "constraints": [
                        models.UniqueConstraint(fields=("run", "first_seq"), name="logchunk_in_order")
                    ],
                },
            ),
            migrations.CreateModel(
                name="Idempotency",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("credential", models.CharField(max_length=60)),
                    ("key", models.CharField(max_length=255)),
                    ("fingerprint", models.CharField(max_length=64)),
                    (
                        "created_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    (
                        "run",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="runs.run",
                        ),
                    ),
                ],
                options={
                    "indexes": [models.Index(fields=["created_at"], name="idempotency_age")],
                    "constraints": [
                        models.UniqueConstraint(fields=("credential", "key"), name="idempotency_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="Deadline",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "kind",
                        models.CharField(
                            choices=[("start", "must start by"), ("finish", "must finish by")], max_length=6
                        ),
                    ),
                    ("due_at", models.DateTimeField()),
                    ("is_breached", models.BooleanField(null=True)),
                    ("judged_at", models.DateTimeField(null=True)),
                    (
                        "job",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="+",
                            to="jobs.job",
                        ),
                    ),
                    (
                        "run",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="deadlines",
                            to="runs.run",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "default_permissions": (),
                    "indexes": [
                        models.Index(
                            condition=models.Q(("is_breached", None)), fields=["due_at"], name="deadline_due"
                        ),
                        models.Index(
                            condition=models.Q(("is_breached", True)),
                            fields=["job", "-id"],
                            name="deadline_breached",
                        ),
                    ],
                    "constraints": [
                        models.UniqueConstraint(fields=("run", "kind"), name="deadline_once_a_run")
                    ],
                },
            ),
            migrations.CreateModel(
                name="RunEvent",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("kind", models.CharField(max_length=30)),
                    ("actor", models.CharField(blank=True, default="", max_length=200)),
                    ("detail", models.JSONField(default=dict)),
                    (
                        "run",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="events", to="runs.run"
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                },
            ),
            migrations.CreateModel(
                name="RunLabel",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "kind",
                        models.CharField(
                            choices=[("tag", "Tag"), ("metadata", "Metadata"), ("parameter", "Parameter")],
                            max_length=10,
                        ),
                    ),
                    ("key", models.CharField(max_length=100)),
                    ("value", models.CharField(blank=True, max_length=200)),
                    (
                        "run",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="labels", to="runs.run"
                        ),
                    ),
                ],
                options={
                    "indexes": [models.Index(fields=["kind", "key", "value", "-run"], name="label_search")],
                },
            ),
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
                options={
                    "constraints": [
                        models.UniqueConstraint(
                            fields=("trigger_id", "job_id", "trigger_kind", "lane", "status"),
                            name="triggertally_once",
                            nulls_distinct=False,
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Worker",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("node", models.UUIDField(default=uuid.uuid4)),
                    ("name", models.CharField(max_length=200)),
                    ("hostname", models.CharField(max_length=200)),
                    ("pid", models.IntegerField()),
                    (
                        "lanes",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=10), size=None
                        ),
                    ),
                    ("concurrency", models.PositiveIntegerField()),
                    ("commit", models.CharField(blank=True, default="", max_length=60)),
                    (
                        "started_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    (
                        "heartbeat_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("lease_until", models.DateTimeField()),
                    ("ready_at", models.DateTimeField(null=True)),
                    ("stopping_at", models.DateTimeField(null=True)),
                ],
                options={
                    "indexes": [
                        models.Index(fields=["node"], name="worker_node"),
                        models.Index(fields=["lease_until"], name="worker_lease"),
                    ],
                },
            ),
            migrations.CreateModel(
                name="WorkerProcess",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("pid", models.IntegerField()),
                    ("announced", models.BigIntegerField(default=0)),
                    (
                        "started_at",
                        models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                    ),
                    ("ended_at", models.DateTimeField(null=True)),
                    (
                        "worker",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="processes",
                            to="runs.worker",
                        ),
                    ),
                ],
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="process",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                to="runs.workerprocess",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="campaign",
            trigger=pgtrigger.compiler.Trigger(
                name="moves",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.status IS DISTINCT FROM NEW.status AND OLD.status || '>' || NEW.status NOT IN ('draft>scheduled', 'draft>expanding', 'draft>cancelled', 'scheduled>expanding', 'scheduled>paused', 'scheduled>cancelled', 'expanding>running', 'expanding>paused', 'expanding>cancelling', 'running>paused', 'running>cancelling', 'running>done', 'paused>scheduled', 'paused>expanding', 'paused>running', 'paused>cancelling', 'paused>cancelled', 'cancelling>cancelled', 'done>running'))",
                    func="RAISE EXCEPTION 'A campaign cannot move from % to % (campaign %).', OLD.status, NEW.status, OLD.id;",
                    hash="1ddea88f1e5fc8e7f1e97504d2af569d5f7f10c9",
                    operation="UPDATE",
                    pgid="pgtrigger_moves_e4eab",
                    table="runs_campaign",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="claimgroup",
            trigger=pgtrigger.compiler.Trigger(
                name="has_no_runs",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    IF EXISTS (SELECT FROM runs_run r WHERE r.job_id = OLD.job_id AND r.group_id = OLD.id) THEN\n                        RAISE foreign_key_violation USING MESSAGE =\n                            format('There are runs of the claim group %s of the job %s.', OLD.id, OLD.job_id);\n                    END IF;\n                    RETURN OLD;",
                    hash="f44644c6f40146cf95739b3c10ef956b6ac570f3",
                    operation="DELETE",
                    pgid="pgtrigger_has_no_runs_8b20b",
                    table="runs_claimgroup",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="run",
            trigger=pgtrigger.compiler.Trigger(
                name="moves",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.status IS DISTINCT FROM NEW.status AND OLD.status || '>' || NEW.status NOT IN ('scheduled>queued', 'scheduled>cancelled', 'scheduled>skipped', 'queued>running', 'queued>cancelled', 'queued>skipped', 'queued>failed', 'running>queued', 'running>scheduled', 'running>waiting', 'running>succeeded', 'running>failed', 'running>cancelled', 'waiting>queued', 'waiting>succeeded', 'waiting>failed', 'waiting>cancelled'))",
                    func="RAISE EXCEPTION 'A run cannot move from % to % (run %).', OLD.status, NEW.status, OLD.id;",
                    hash="1d6afad1c14250c54f48fdf8e2726d242d9e2d50",
                    operation="UPDATE",
                    pgid="pgtrigger_moves_9cba6",
                    table="runs_run",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="run",
            trigger=pgtrigger.compiler.Trigger(
                name="has_group",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE one record;",
                    func="\n                    FOR one IN SELECT DISTINCT m.job_id, m.group_id FROM made m LOOP\n                        PERFORM FROM runs_claimgroup g\n                        WHERE g.id = one.group_id AND g.job_id = one.job_id FOR KEY SHARE;\n                        IF NOT FOUND THEN\n                            RAISE foreign_key_violation USING MESSAGE =\n                                format('There is no claim group %s of a job %s.', one.group_id, one.job_id);\n                        END IF;\n                    END LOOP;\n                    RETURN NULL;",
                    hash="992fc3232a904482006a55d861d60f715661466d",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_has_group_aaf13",
                    referencing="REFERENCING NEW TABLE AS made ",
                    table="runs_run",
                    when="AFTER",
                ),
            ),
        ),
    ]

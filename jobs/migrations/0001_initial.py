import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.datetime
import django.db.models.functions.text
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import jobs.models
import jobs.registry


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("pghistory", "0007_auto_20250421_0444"),
    ]

    operations = [
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(max_length=80, unique=True, validators=[jobs.registry.validate_slug]),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, default="")),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("executor", models.CharField(max_length=20)),
                ("configuration", models.JSONField(blank=True, default=dict)),
                ("schema", models.JSONField(blank=True, default=dict, verbose_name="parameter schema")),
                ("defaults", models.JSONField(blank=True, default=dict, verbose_name="default parameters")),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="1 (first) to 100 (last); empty: 1 when asked for, 50 when scheduled, 100 in a campaign.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "timeout_seconds",
                    models.PositiveIntegerField(
                        default=3600,
                        help_text="Of one attempt.",
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "max_attempts",
                    models.PositiveSmallIntegerField(
                        default=1, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "retry_first_delay_seconds",
                    models.FloatField(default=1, validators=[django.core.validators.MinValueValidator(0)]),
                ),
                (
                    "retry_longest_delay_seconds",
                    models.FloatField(default=60, validators=[django.core.validators.MinValueValidator(0)]),
                ),
                (
                    "retry_factor",
                    models.FloatField(default=2, validators=[django.core.validators.MinValueValidator(1)]),
                ),
                (
                    "retry_jitter",
                    models.FloatField(
                        default=0.2,
                        help_text="Share of the delay that is random, 0 to 1.",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1),
                        ],
                    ),
                ),
                (
                    "on_lost",
                    models.CharField(
                        choices=[("retry", "Retry"), ("fail", "Fail")], default="retry", max_length=10
                    ),
                ),
                (
                    "max_concurrent_runs",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "concurrency_key_template",
                    models.CharField(
                        blank=True,
                        help_text="Runs with the same value share a limit, for example {customer}. Empty: no key.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "max_concurrent_per_key",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="How many runs with the same concurrency key may run at once.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="max concurrent runs per key",
                    ),
                ),
                (
                    "max_starts",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="How many runs may start within the stretch of time beside it. Empty: any number.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "starts_window_seconds",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Never more than that many starts in any stretch of so many seconds.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                    ),
                ),
                (
                    "start_within_seconds",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Must start within so many seconds of being due. Empty: no promise.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "finish_within_seconds",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Must finish within so many seconds of being due. Empty: no promise.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "dedup_key_template",
                    models.CharField(
                        blank=True,
                        help_text="At most one open run for each value, for example {customer}.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "dedup_mode",
                    models.CharField(
                        choices=[
                            ("return_existing", "Return Existing"),
                            ("replace_queued", "Replace Queued"),
                            ("keep_last", "Keep Last"),
                        ],
                        db_default="return_existing",
                        default="return_existing",
                        help_text="What becomes of a launch that meets an open run with the same dedup key.",
                        max_length=20,
                    ),
                ),
                (
                    "retain_for_seconds",
                    models.PositiveBigIntegerField(
                        blank=True,
                        help_text="How long finished runs are kept. Empty: as long as the site says (HEADWAY_RETAIN_DAYS).",
                        null=True,
                    ),
                ),
                (
                    "circuit_failure_rate",
                    models.FloatField(
                        blank=True,
                        help_text="Share of failed attempts, 0.01 to 1, from which nothing more starts. Empty: no breaker.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.01),
                            django.core.validators.MaxValueValidator(1),
                        ],
                    ),
                ),
                (
                    "circuit_min_calls",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="How many attempts there must be before their failure rate says anything.",
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "circuit_window_seconds",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Attempts are counted in stretches of so many seconds.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                    ),
                ),
                (
                    "circuit_cooldown_seconds",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="How long nothing starts, before one run is let through as a probe.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                    ),
                ),
                (
                    "circuit_per_host",
                    models.BooleanField(
                        default=False,
                        help_text="Share the breaker with every other job that calls the same host (http jobs only).",
                        verbose_name="circuit breaker per host",
                    ),
                ),
                (
                    "circuit_target",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(circuit_failure_rate__isnull=True, then=None),
                            models.When(
                                circuit_per_host=True,
                                executor="http",
                                then=django.db.models.functions.text.Concat(
                                    models.Value("host:"),
                                    django.db.models.functions.text.Lower(
                                        jobs.models.HostOf(
                                            django.db.models.fields.json.KeyTextTransform(
                                                "url", "configuration"
                                            )
                                        )
                                    ),
                                ),
                            ),
                            default=django.db.models.functions.text.Concat(
                                models.Value("job:"), models.F("slug")
                            ),
                        ),
                        output_field=models.CharField(max_length=300),
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("inactive", "Inactive")],
                        default="active",
                        max_length=10,
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("paused_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
                ("paused_reason", models.CharField(blank=True, default="", max_length=500)),
                ("paused_until", models.DateTimeField(blank=True, null=True)),
                ("declared", models.JSONField(blank=True, editable=False, null=True)),
                ("broken_reason", models.CharField(blank=True, editable=False, max_length=500, null=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True, db_default=django.db.models.functions.datetime.Now()
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
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
                "ordering": ["name", "id"],
                "permissions": [("run_job", "Can run job"), ("pause_job", "Can pause and resume job")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("slug__regex", "^[a-z0-9]+(-[a-z0-9]+)*$"),
                            models.Q(("slug__in", ["available-upstream", "run", "trigger"]), _negated=True),
                        ),
                        name="job_slug_form",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "paused", "inactive"])),
                        name="job_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("on_lost__in", ["retry", "fail"])), name="job_on_lost_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("priority__isnull", True), ("priority__range", (1, 100)), _connector="OR"
                        ),
                        name="job_priority_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("timeout_seconds__gte", 1),
                            ("max_attempts__gte", 1),
                            ("retry_first_delay_seconds__gte", 0),
                            ("retry_longest_delay_seconds__gte", models.F("retry_first_delay_seconds")),
                            ("retry_factor__gte", 1),
                            ("retry_jitter__range", (0, 1)),
                        ),
                        name="job_policy_ranges",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_concurrent_runs__isnull", True),
                            ("max_concurrent_runs__gte", 1),
                            _connector="OR",
                        ),
                        name="job_limit_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("dedup_key_template", ""), _negated=True),
                            models.Q(("concurrency_key_template", ""), _negated=True),
                            models.Q(("broken_reason", ""), _negated=True),
                        ),
                        name="job_empty_is_null",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_concurrent_per_key__gte", 1),
                            models.Q(
                                ("max_starts__isnull", True),
                                ("max_starts__range", (1, 10000)),
                                _connector="OR",
                            ),
                            ("starts_window_seconds__range", (1, 86400)),
                        ),
                        name="job_start_limits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("circuit_failure_rate__isnull", True),
                                ("circuit_failure_rate__range", (0.01, 1)),
                                _connector="OR",
                            ),
                            ("circuit_min_calls__gte", 1),
                            ("circuit_window_seconds__range", (1, 86400)),
                            ("circuit_cooldown_seconds__range", (1, 86400)),
                        ),
                        name="job_circuit_ranges",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("model", models.CharField(max_length=60)),
                ("object_id", models.BigIntegerField()),
                ("title", models.CharField(max_length=200)),
                ("act", models.CharField(max_length=6)),
                (
                    "fields",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=63), size=None
                    ),
                ),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("session", models.CharField(blank=True, default="", max_length=200)),
                (
                    "context",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="pghistory.context",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["model", "object_id", "-id"], name="change_of_object")],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="change",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="bf9c7d6ec2d957da30c2712ad56f10e7eb69bb8c",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_617e3",
                    table="jobs_change",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="job",
            trigger=pgtrigger.compiler.Trigger(
                name="bump_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."broken_reason" IS DISTINCT FROM (NEW."broken_reason") OR OLD."circuit_cooldown_seconds" IS DISTINCT FROM (NEW."circuit_cooldown_seconds") OR OLD."circuit_failure_rate" IS DISTINCT FROM (NEW."circuit_failure_rate") OR OLD."circuit_min_calls" IS DISTINCT FROM (NEW."circuit_min_calls") OR OLD."circuit_per_host" IS DISTINCT FROM (NEW."circuit_per_host") OR OLD."circuit_window_seconds" IS DISTINCT FROM (NEW."circuit_window_seconds") OR OLD."concurrency_key_template" IS DISTINCT FROM (NEW."concurrency_key_template") OR OLD."configuration" IS DISTINCT FROM (NEW."configuration") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."declared" IS DISTINCT FROM (NEW."declared") OR OLD."dedup_key_template" IS DISTINCT FROM (NEW."dedup_key_template") OR OLD."dedup_mode" IS DISTINCT FROM (NEW."dedup_mode") OR OLD."defaults" IS DISTINCT FROM (NEW."defaults") OR OLD."description" IS DISTINCT FROM (NEW."description") OR OLD."executor" IS DISTINCT FROM (NEW."executor") OR OLD."finish_within_seconds" IS DISTINCT FROM (NEW."finish_within_seconds") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."max_attempts" IS DISTINCT FROM (NEW."max_attempts") OR OLD."max_concurrent_per_key" IS DISTINCT FROM (NEW."max_concurrent_per_key") OR OLD."max_concurrent_runs" IS DISTINCT FROM (NEW."max_concurrent_runs") OR OLD."max_starts" IS DISTINCT FROM (NEW."max_starts") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."on_lost" IS DISTINCT FROM (NEW."on_lost") OR OLD."owner_id" IS DISTINCT FROM (NEW."owner_id") OR OLD."paused_at" IS DISTINCT FROM (NEW."paused_at") OR OLD."paused_by" IS DISTINCT FROM (NEW."paused_by") OR OLD."paused_reason" IS DISTINCT FROM (NEW."paused_reason") OR OLD."paused_until" IS DISTINCT FROM (NEW."paused_until") OR OLD."priority" IS DISTINCT FROM (NEW."priority") OR OLD."retain_for_seconds" IS DISTINCT FROM (NEW."retain_for_seconds") OR OLD."retry_factor" IS DISTINCT FROM (NEW."retry_factor") OR OLD."retry_first_delay_seconds" IS DISTINCT FROM (NEW."retry_first_delay_seconds") OR OLD."retry_jitter" IS DISTINCT FROM (NEW."retry_jitter") OR OLD."retry_longest_delay_seconds" IS DISTINCT FROM (NEW."retry_longest_delay_seconds") OR OLD."schema" IS DISTINCT FROM (NEW."schema") OR OLD."slug" IS DISTINCT FROM (NEW."slug") OR OLD."start_within_seconds" IS DISTINCT FROM (NEW."start_within_seconds") OR OLD."starts_window_seconds" IS DISTINCT FROM (NEW."starts_window_seconds") OR OLD."status" IS DISTINCT FROM (NEW."status") OR OLD."tags" IS DISTINCT FROM (NEW."tags") OR OLD."timeout_seconds" IS DISTINCT FROM (NEW."timeout_seconds"))',
                    func="NEW.version = OLD.version + 1; RETURN NEW;",
                    hash="b638b190e03593c5287d4bdccb344d922923fbfc",
                    operation="UPDATE",
                    pgid="pgtrigger_bump_version_e21ac",
                    table="jobs_job",
                    when="BEFORE",
                ),
            ),
        ),
    ]

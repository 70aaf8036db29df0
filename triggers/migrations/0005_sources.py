import uuid

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from jobs.migrating import AtOnce

# What only polling writes of a source is no change of it; of its secret, only when it was set.
IGNORED = (
    "{created_at,updated_at,sealed,key_id,state,next_poll_at,claim,claimed_until,last_poll_at,caught_up_at,"
    "backlog,last_error,failures,failing_since,found_count}"
)
NOTE = f"""
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON triggers_source
FOR EACH ROW EXECUTE FUNCTION jobs_note_change('triggers.source', '{IGNORED}', 'id')"""


class Migration(migrations.Migration):
    dependencies = [
        ("triggers", "0004_newest"),
    ]

    operations = [
        AtOnce(
            migrations.AlterField(
                model_name="trigger",
                name="scheme",
                field=models.CharField(
                    blank=True,
                    choices=[
                        ("standard", "Standard Webhooks"),
                        ("github", "GitHub"),
                        ("gitlab", "GitLab"),
                        ("slack", "Slack"),
                        ("hmac", "HMAC"),
                        ("token", "Shared token"),
                        ("poll", "Polled sources"),
                    ],
                    default="",
                    max_length=20,
                ),
            ),
            migrations.CreateModel(
                name="Source",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                    ("name", models.CharField(max_length=100, unique=True)),
                    ("kind", models.CharField(max_length=10)),
                    ("options", models.JSONField(blank=True, default=dict)),
                    (
                        "interval_seconds",
                        models.PositiveIntegerField(
                            default=30,
                            help_text="Seconds between two looks; with a backlog the next look follows at once.",
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(86400),
                            ],
                            verbose_name="interval",
                        ),
                    ),
                    (
                        "begin",
                        models.CharField(
                            choices=[("now", "From now on"), ("beginning", "From the beginning")],
                            default="now",
                            help_text="Whether what is there at the first look is passed over, or delivered.",
                            max_length=10,
                        ),
                    ),
                    ("enabled", models.BooleanField(default=True)),
                    ("sealed", models.TextField(blank=True, default="", editable=False)),
                    ("key_id", models.CharField(blank=True, default="", editable=False, max_length=8)),
                    ("secret_set_at", models.DateTimeField(editable=False, null=True)),
                    ("state", models.JSONField(default=dict, editable=False)),
                    (
                        "next_poll_at",
                        models.DateTimeField(
                            db_default=django.db.models.functions.datetime.Now(), editable=False
                        ),
                    ),
                    ("claim", models.UUIDField(editable=False, null=True)),
                    ("claimed_until", models.DateTimeField(editable=False, null=True)),
                    ("last_poll_at", models.DateTimeField(editable=False, null=True)),
                    ("caught_up_at", models.DateTimeField(editable=False, null=True)),
                    ("backlog", models.BooleanField(default=False, editable=False)),
                    ("last_error", models.CharField(blank=True, default="", editable=False, max_length=500)),
                    ("failures", models.PositiveIntegerField(default=0, editable=False)),
                    ("failing_since", models.DateTimeField(editable=False, null=True)),
                    ("found_count", models.PositiveBigIntegerField(default=0, editable=False)),
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
                        "trigger",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="sources",
                            to="triggers.trigger",
                        ),
                    ),
                ],
                options={
                    "ordering": ["name"],
                },
            ),
            migrations.CreateModel(
                name="Sighting",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("identity", models.BinaryField(max_length=16)),
                    ("value", models.BigIntegerField(null=True)),
                    ("taken", models.BooleanField()),
                    ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "source",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="sightings",
                            to="triggers.source",
                        ),
                    ),
                ],
                options={
                    "default_permissions": (),
                },
            ),
        ),
        AtOnce(
            migrations.AddIndex(
                model_name="source",
                index=models.Index(
                    condition=models.Q(("enabled", True)), fields=["next_poll_at"], name="source_due"
                ),
            ),
            migrations.AddConstraint(
                model_name="source",
                constraint=models.CheckConstraint(
                    condition=models.Q(("kind__in", ("folder", "bucket", "table", "queue"))),
                    name="source_kind_known",
                ),
            ),
            migrations.AddConstraint(
                model_name="source",
                constraint=models.CheckConstraint(
                    condition=models.Q(("begin__in", ("now", "beginning"))), name="source_begin_known"
                ),
            ),
            migrations.AddConstraint(
                model_name="source",
                constraint=models.CheckConstraint(
                    condition=models.Q(("interval_seconds__range", (1, 86400))), name="source_interval_range"
                ),
            ),
            migrations.AddConstraint(
                model_name="sighting",
                constraint=models.UniqueConstraint(fields=("source", "identity"), name="sighting_once"),
            ),
        ),
        migrations.RunSQL(NOTE, "DROP TRIGGER note_change ON triggers_source"),
    ]

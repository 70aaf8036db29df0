"""Lets a target be paused by name: who is, the claim groups of its runs, and what the gate says of them."""

from importlib import import_module
from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models

# As they were, for whoever goes back.
GATE_BEFORE = import_module("runs.migrations.0002_claim").GATE
CLAIM_BEFORE = import_module("runs.migrations.0008_turns").CLAIM

# A group of a target is closed while that is paused: when the pause ends, its runs may start from where they are.
_AFTER = "        WHEN c.status IN ('cancelling', 'cancelled') THEN 'campaign_cancelled'\n"
_JOINED = "LEFT JOIN runs_circuit k ON k.target = j.circuit_target\n"
GATE = (
    GATE_BEFORE.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)
    .replace(_AFTER, "        WHEN t.id IS NOT NULL THEN 'target_paused'\n" + _AFTER, 1)
    .replace(
        _JOINED,
        _JOINED + "LEFT JOIN runs_pausedtarget t ON t.name = g.target"
        " AND (t.paused_until IS NULL OR t.paused_until > now())\n",
        1,
    )
)
# Where there is such a group, the gate is to be asked.
_PLAIN = "bool_and(j.status = 'active' AND NOT g.is_held AND coalesce("
CLAIM = CLAIM_BEFORE.replace(
    _PLAIN, "bool_and(j.status = 'active' AND NOT g.is_held AND g.target IS NULL AND coalesce(", 1
)
NOTE = """
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON runs_pausedtarget
FOR EACH ROW EXECUTE FUNCTION jobs_note_change('runs.pausedtarget', '{paused_at}', 'id')"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0012_counted")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="PausedTarget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True, verbose_name="target")),
                ("paused_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("paused_by", models.CharField(blank=True, default="", max_length=200)),
                ("paused_until", models.DateTimeField(blank=True, null=True, verbose_name="until")),
                (
                    "paused_reason",
                    models.CharField(blank=True, default="", max_length=500, verbose_name="reason"),
                ),
            ],
            options={"default_permissions": ("view", "change"), "ordering": ["-paused_at", "-id"]},
        ),
        migrations.AddField("claimgroup", "target", models.CharField(max_length=200, null=True)),
        migrations.RemoveConstraint("claimgroup", "claimgroup_once"),
        migrations.AddConstraint(
            "claimgroup",
            models.UniqueConstraint(
                fields=("job", "is_held", "campaign", "target"), name="claimgroup_once", nulls_distinct=False
            ),
        ),
        migrations.RunSQL(NOTE, "DROP TRIGGER note_change ON runs_pausedtarget"),
        migrations.RunSQL(GATE, GATE_BEFORE.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)),
        migrations.RunSQL(CLAIM, CLAIM_BEFORE),
    ]

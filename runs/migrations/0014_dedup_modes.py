"""Allows one open run of a dedup key in all; or, where the last is kept, one that waits and one that was started.

The indexes are built beside the work that goes on, the new ones before the old one goes.
"""

from typing import ClassVar, Final

from django.db import migrations, models
from django.db.models import Q

OPEN: Final = ("scheduled", "queued", "running", "waiting")
CREATE: Final = """CREATE UNIQUE INDEX CONCURRENTLY {name} ON runs_run (job_id, dedup_key)
    WHERE dedup_key IS NOT NULL {also} AND status IN ('scheduled', 'queued', 'running', 'waiting')"""
DROP: Final = "DROP INDEX CONCURRENTLY {name}"
BEFORE: Final = "run_one_open_a_dedup_key"
NEW: Final[dict[str, tuple[str, dict[str, bool]]]] = {
    "run_dedup_alone": ("AND NOT keeps_last", {"keeps_last": False}),
    "run_dedup_waiting": (
        "AND keeps_last AND claim_token IS NULL",
        {"keeps_last": True, "claim_token__isnull": True},
    ),
    "run_dedup_started": (
        "AND keeps_last AND claim_token IS NOT NULL",
        {"keeps_last": True, "claim_token__isnull": False},
    ),
}


def added(name: str, also: str, condition: dict[str, bool]) -> migrations.SeparateDatabaseAndState:
    """Builds an index, which for Django is the constraint it makes."""
    constraint = models.UniqueConstraint(
        name=name,
        fields=["job", "dedup_key"],
        condition=Q(dedup_key__isnull=False, status__in=OPEN, **condition),
    )
    return migrations.SeparateDatabaseAndState(
        [migrations.RunSQL(CREATE.format(name=name, also=also), DROP.format(name=name))],
        [migrations.AddConstraint(model_name="run", constraint=constraint)],
    )


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("runs", "0013_keeps_last")]

    operations: ClassVar = [
        *(added(name, also, condition) for name, (also, condition) in NEW.items()),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(DROP.format(name=BEFORE), CREATE.format(name=BEFORE, also=""))],
            [migrations.RemoveConstraint(model_name="run", name=BEFORE)],
        ),
    ]

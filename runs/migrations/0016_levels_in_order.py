"""Has a claim find the heads of a level by the index that has them in order, whatever the planner takes for common."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

# As it was, for whoever goes back.
BEFORE = import_module("runs.migrations.0013_targets").CLAIM

# Where nearly all runs that the planner has seen are queued in one level, such as a campaign of a million, the oldest of
# any level seem to be found as fast along the primary key, in whose order they are wanted. Of the run of another job
# behind them that was a walk past all of them. Wanted in the order of priority and id within a span, which is one
# priority, they are in order in `run_queue` alone.
CLAIM = BEFORE.replace(
    "AND r.priority = level.priority", "AND r.priority >= level.priority AND r.priority <= level.priority"
).replace("ORDER BY r.id LIMIT", "ORDER BY r.priority, r.id LIMIT")


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0015_open_campaigns")]

    operations: ClassVar = [migrations.RunSQL(CLAIM, BEFORE)]

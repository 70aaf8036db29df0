"""Bounds how many runs of taken concurrency keys one claim puts aside, and counts those of each key by its index."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

# As it was, for whoever goes back.
BEFORE = import_module("runs.migrations.0016_levels_in_order").CLAIM

# To put a run aside takes a tenth of a millisecond, so of a campaign of a million for one key a claim would be broken
# off by the time limit of statements, and the next one would begin anew. A claim puts up to three thousand aside, and
# leaves the jobs with keys to the claims that come then: what other jobs have behind them starts meanwhile.
#
# Each candidate's key is looked up by itself. A join counts all that run of all jobs with keys for each candidate.
_JOINED = "JOIN runs_key key ON key.job_id = r.job_id AND key.concurrency_key = r.concurrency_key"
_LOOKED_UP = """JOIN LATERAL (
                        SELECT k.free FROM runs_key k
                        WHERE k.job_id = r.job_id AND k.concurrency_key = r.concurrency_key OFFSET 0) key ON true"""
_ROUND = "            EXIT WHEN NOT FOUND;\n        END LOOP;\n"
CLAIM = (
    BEFORE.replace(_JOINED, _LOOKED_UP)
    .replace("    seen int;\n", "    seen int;\n    rounds int := 0;\n", 1)
    .replace(
        "ORDER BY r.priority, r.id LIMIT 1000) r);", "ORDER BY r.priority, r.id LIMIT 1000) r LIMIT 1000);", 1
    )
    .replace(
        _ROUND,
        """            EXIT WHEN NOT FOUND;
            rounds := rounds + 1;
            IF rounds = 3 THEN
                counted := ARRAY(SELECT unnest(counted) EXCEPT SELECT unnest(keyed));
                keyed := NULL;
            END IF;
        END LOOP;
""",
        1,
    )
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0017_running_by_key")]

    operations: ClassVar = [migrations.RunSQL(CLAIM, BEFORE)]

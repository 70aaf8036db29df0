"""Histograms of waits and durations in the hourly tallies, and what was not folded yet of them in the deltas."""

from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models

# The bucket of a time (`runs.histogram`): a quarter of a doubling. 4 / ln(2) is 5.77….
BUCKET = """
CREATE FUNCTION runs_bucket(span interval) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(-56, least(88, floor(
        5.7707801635558535 * ln(greatest(extract(epoch FROM span)::float8, 0.00001)))))::smallint
$$
"""

# Two histograms of the hourly tallies, as objects of bucket and count, added up.
MERGED = """
CREATE FUNCTION runs_merged(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(counted.key, counted.runs), '{}') FROM (
        SELECT both_of.key, sum(both_of.value::bigint) AS runs
        FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) both_of
        GROUP BY both_of.key) counted
$$
"""


def _buckets() -> "django.contrib.postgres.fields.ArrayField[list[int], list[int]]":
    return django.contrib.postgres.fields.ArrayField(
        base_field=models.SmallIntegerField(), db_default=[], default=list, size=None
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("runs", "0004_aging")]

    operations: ClassVar = [
        migrations.RunSQL(BUCKET, "DROP FUNCTION runs_bucket(interval)"),
        migrations.RunSQL(MERGED, "DROP FUNCTION runs_merged(jsonb, jsonb)"),
        *(
            migrations.AddField(model, name, field)
            for name in ("waits", "durations")
            for model, field in (
                ("tallydelta", _buckets()),
                ("hourlytally", models.JSONField(db_default={}, default=dict)),
            )
        ),
    ]

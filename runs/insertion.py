"""Inserts a launched run with all that belongs to it: one prepared statement, one way to the database and back.

Used by `runs.launch` only. Making the row by the ORM took nine statements, and two thirds of a launch.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.db import connection

from jobs.models import Job
from runs.models import ClaimGroup, Deadline, Run, RunLabel
from runs.statements import together
from runs.status import OPEN

_OPEN: Final = ", ".join(f"'{status.value}'" for status in OPEN)
# All values go as JSON: so it is one statement with one plan, whichever of them there are.
_INSERT: Final = f"""
    WITH made AS (
        INSERT INTO runs_run (group_id, @names@)
        SELECT g.id, @values@
        FROM jsonb_to_record(%s::jsonb) AS x (@columns@)
        JOIN runs_claimgroup g ON g.job_id = x.job_id AND g.campaign_id IS NULL AND NOT g.is_held
            AND g.target IS NULL
        ON CONFLICT (job_id, dedup_key)
            WHERE dedup_key IS NOT NULL AND NOT keeps_last AND status IN ({_OPEN}) DO NOTHING
        RETURNING id, group_id, lane),
    labelled AS (
        INSERT INTO runs_runlabel (run_id, kind, key, value)
        SELECT made.id, x.kind, x.key, x.value
        FROM made, jsonb_to_recordset(%s::jsonb) AS x (kind text, key text, value text)),
    promised AS (
        INSERT INTO runs_deadline (run_id, job_id, kind, due_at)
        SELECT made.id, x.job_id, x.kind, x.due_at
        FROM made, jsonb_to_recordset(%s::jsonb) AS x (job_id bigint, kind text, due_at timestamptz)),
    keyed AS (
        UPDATE triggers_apikey key SET launches = key.launches + 1 FROM made WHERE key.id = %s::bigint)
    SELECT id, group_id, lane FROM made"""  # noqa: S608 - of the model's own names


def insert(run: Run, *, labels: Iterable[RunLabel], deadlines: Iterable[Deadline]) -> bool:
    """Inserts `run`; False if an open run has its dedup key.

    With it come its labels and deadlines, and its API key counts it. `run` learns its id, group and lane. Raises
    the database's IntegrityError for a slot, or an ended run, that led to a run already.
    """
    arguments = [
        json.dumps(_given(run)),
        json.dumps([{"kind": label.kind, "key": label.key, "value": label.value} for label in labels]),
        json.dumps(
            [{"job_id": one.job_id, "kind": one.kind, "due_at": one.due_at.isoformat()} for one in deadlines]
        ),
        run.api_key_id,
    ]
    (rows,) = together((_statement(), arguments))
    if not rows:  # perhaps because it is the first run of its job
        group_of(run.job)
        (rows,) = together((_statement(), arguments))
    for row in rows:
        run.pk, run.group_id, run.lane = row["id"], row["group_id"], row["lane"]
        run._state.adding, run._state.db = False, connection.alias
    return bool(rows)


def group_of(job: Job) -> ClaimGroup:
    """Where the job's runs queue that belong to no campaign."""
    return ClaimGroup.objects.get_or_create(job=job, campaign=None, is_held=False, target=None)[0]


@cache
def _columns() -> tuple[tuple[str, str], ...]:
    """The columns that a new run is given, with their types."""
    fields = [
        field
        for field in Run._meta.concrete_fields
        if not field.primary_key and not field.generated and field.name != "group"
    ]
    return tuple((field.attname, field.db_type(connection) or "") for field in fields)


@cache
def _statement() -> str:
    names = [name for name, _ in _columns()]
    return (
        _INSERT.replace("@names@", ", ".join(names))
        .replace("@values@", ", ".join(f"x.{name}" for name in names))
        .replace("@columns@", ", ".join(f"{name} {kind}" for name, kind in _columns()))
    )


def _given(run: Run) -> dict[str, Any]:
    """What the run's columns are given; what is left out is NULL, as most of a new run is."""
    return {name: _plain(value) for name, _ in _columns() if (value := getattr(run, name)) is not None}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value

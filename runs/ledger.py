"""Each time a trigger fired, or should have: slots, ends of upstream runs, deliveries, or simply its runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from jobs.models import Job
from runs.models import Following, Run, TriggerKind
from triggers.models import Kind, Occurrence, Reaction, Trigger

Row = Occurrence | Following | Reaction | Run

OUTCOMES: Final = (*Occurrence.Outcome.values, Following.Outcome.PENDING.value)
# Where the entries of each kind stand, and how they lead to the job of the trigger.
_LEDGERS: Final[dict[str, tuple[QuerySet[Any], str]]] = {
    Kind.SCHEDULE: (Occurrence.objects.order_by("-id"), "trigger__job"),
    Kind.DEPENDENCY: (Following.objects.select_related("job"), "trigger__job"),
    Kind.EVENT: (Reaction.objects.order_by("-id"), "trigger__job"),
}
# The newest rows of each of some triggers, each found through the ledger's own index.
_LAST: Final = {
    Kind.SCHEDULE: """
    SELECT o.id FROM unnest(%s::bigint[]) AS asked(id) CROSS JOIN LATERAL (
        SELECT id FROM triggers_occurrence WHERE trigger_id = asked.id ORDER BY slot DESC LIMIT %s) o""",
    Kind.DEPENDENCY: """
    SELECT f.id FROM unnest(%s::bigint[]) AS asked(id) CROSS JOIN LATERAL (
        SELECT id FROM runs_following WHERE trigger_id = asked.id ORDER BY id DESC LIMIT %s) f""",
    Kind.EVENT: """
    SELECT e.id FROM unnest(%s::bigint[]) AS asked(id) CROSS JOIN LATERAL (
        SELECT id FROM triggers_reaction WHERE trigger_id = asked.id ORDER BY id DESC LIMIT %s) e""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One time a trigger fired, or should have: on what occasion, and the run it led to or why none.

    `run` is a number only once retention has deleted the run, and `launched` is None then.
    """

    id: int
    at: datetime
    trigger_id: int | None
    kind: str
    outcome: str
    reason: str = ""
    slot: datetime | None = None
    upstream: str | None = None
    upstream_run: int | None = None
    upstream_status: str | None = None
    delivery: int | None = None
    run: int | None = None
    launched: Run | None = None

    @property
    def late(self) -> timedelta | None:
        """How long after its slot a schedule was looked at; None for what has no slot."""
        return max(self.at - self.slot, timedelta()) if self.slot else None

    @property
    def late_seconds(self) -> float | None:
        """The same in seconds."""
        return _seconds(self.late)

    @property
    def run_name(self) -> str | None:
        """The run's name, while it is kept."""
        return self.launched.name if self.launched else None

    @property
    def run_status(self) -> str | None:
        """How the run stands, while it is kept."""
        return self.launched.status if self.launched else None

    @property
    def run_wait_seconds(self) -> float | None:
        """How long the run waited in its queue, if it was started."""
        return _seconds(self.launched.wait) if self.launched else None

    @property
    def run_duration_seconds(self) -> float | None:
        """How long the run took, if it has ended."""
        return _seconds(self.launched.duration) if self.launched else None


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def of_trigger(trigger: Trigger) -> tuple[QuerySet[Any], str]:
    """The rows of a trigger's ledger, the newest first, and how they lead to a job."""
    runs = Run.objects.select_related("job").order_by("-pk")
    rows, job = _LEDGERS.get(trigger.kind, (runs, "job"))
    return rows.filter(trigger=trigger), job


def of_job(job: Job, *, limit: int) -> list[Entry]:
    """The newest `limit` entries of all that may start the job, by hand and by campaigns included."""
    kinds = dict(job.triggers.values_list("pk", "kind"))
    others = Run.objects.select_related("job").filter(job=job).order_by("-pk")[: 2 * limit]
    rows: list[Row] = [run for run in others if kinds.get(run.trigger_id or 0) not in _LEDGERS]
    for kind in set(kinds.values()) & _LEDGERS.keys():
        ids = _newest(_LAST[Kind(kind)], (pk for pk, each in kinds.items() if each == kind), limit)
        rows += _LEDGERS[kind][0].filter(pk__in=ids)
    return sorted(entries(rows), key=lambda entry: entry.at, reverse=True)[:limit]


def entries(rows: Sequence[Row]) -> list[Entry]:
    """What the rows say, with the runs that were led to, in one query."""
    ids = [row.run_id for row in rows if not isinstance(row, Run) and row.run_id]
    runs = Run.objects.select_related("job").in_bulk(ids) if ids else {}
    return [_entry(row, runs) for row in rows]


def _entry(row: Row, runs: Mapping[int, Run]) -> Entry:
    if isinstance(row, Run):
        fired = Occurrence.Outcome.FIRED.value
        return Entry(
            id=row.pk,
            at=row.created_at,
            trigger_id=row.trigger_id,
            kind=row.trigger_kind,
            outcome=fired,
            run=row.pk,
            launched=row,
        )
    told: dict[str, Any] = {
        "id": row.pk,
        "trigger_id": row.trigger_id,
        "outcome": row.outcome,
        "reason": row.reason,
        "run": row.run_id,
        "launched": runs.get(row.run_id or 0),
    }
    if isinstance(row, Occurrence):
        return Entry(at=row.created_at, slot=row.slot, kind=TriggerKind.SCHEDULE, **told)
    if isinstance(row, Reaction):
        return Entry(at=row.created_at, delivery=row.delivery_id, kind=TriggerKind.EVENT, **told)
    upstream: dict[str, Any] = {
        "upstream": row.job.slug,
        "upstream_run": row.upstream_id,
        "upstream_status": row.status,
    }
    return Entry(at=row.at, kind=TriggerKind.DEPENDENCY, **upstream, **told)


def _newest(query: str, triggers: Iterable[int], limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(query, [list(triggers), limit])
        return [row[0] for row in cursor.fetchall()]

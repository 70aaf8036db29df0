"""Writes what was planned: a transaction for the jobs, then one for each portion of runs.

An old run is known by its name, which is kept in `context` and as the label `legacy_name`: so an import that
was cut off, or is made again, adds only what is not here yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import connection, transaction

from jobs.models import Job
from runs import launch
from runs.importing.old_runs import OldRun
from runs.models import Run, RunLabel, TriggerKind
from runs.status import Status
from triggers.models import Trigger

LABEL: Final = "legacy_name"
PORTION: Final = 500
# Any number nobody else locks: two imports at once must not both find a run missing.
_LOCK: Final = 7_031_977
_SENTENCES: Final = {
    TriggerKind.MANUAL: "Started by hand",
    TriggerKind.REMOTE: "Started from outside",
    TriggerKind.SCHEDULE: "Started by a schedule",
    TriggerKind.DEPENDENCY: "Started after another job",
    TriggerKind.EVENT: "Started by an event",
    TriggerKind.CAMPAIGN: "Started by a campaign",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """How much was new."""

    jobs: int
    schedules: int
    runs: int


def known(names: Iterable[str]) -> dict[str, Run]:
    """The runs that were imported before, by their old names."""
    found: dict[str, Run] = {}
    waiting = iter(sorted(set(names)))
    while portion := list(islice(waiting, PORTION)):
        labels = RunLabel.objects.filter(kind=RunLabel.Kind.METADATA, key=LABEL, value__in=portion)
        found |= {label.value: label.run for label in labels.select_related("run__job")}
    return found


def store(*, jobs: Iterable[Job], schedules: Iterable[Trigger], runs: Sequence[tuple[OldRun, str]]) -> Stored:
    """Stores what is not here yet. `runs` are with the slugs of their jobs, each behind its parent."""
    with transaction.atomic():
        _lock()
        new_jobs = [job for job in jobs if not Job.objects.filter(slug=job.slug).exists()]
        for job in new_jobs:
            job.save()
        new_schedules = [each for each in schedules if not _has_schedule(each.job.slug)]
        for schedule in new_schedules:
            schedule.job = Job.objects.get(slug=schedule.job.slug)
            schedule.save()
    waiting = iter(runs)
    count = 0
    while portion := list(islice(waiting, PORTION)):
        with transaction.atomic():
            _lock()
            count += _store_runs(portion)
    return Stored(jobs=len(new_jobs), schedules=len(new_schedules), runs=count)


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _has_schedule(slug: str) -> bool:
    return Trigger.objects.schedules().filter(job__slug=slug).exists()


def _store_runs(portion: Sequence[tuple[OldRun, str]]) -> int:
    """Records the portion's new runs, as many at a time as can be before a parent among them is needed."""
    here = known(name for run, _ in portion for name in (run.name, run.parent) if name)
    jobs = Job.objects.in_bulk({slug for _, slug in portion}, field_name="slug")
    new = [(run, slug) for run, slug in portion if run.name not in here]
    waiting: dict[str, launch.Ended] = {}
    for run, slug in new:
        if run.parent in waiting:
            here |= _record(waiting)
            waiting = {}
        waiting[run.name] = _ended(run, job=jobs[slug], parent=here.get(run.parent or ""))
    _record(waiting)
    return len(new)


def _record(waiting: dict[str, launch.Ended]) -> dict[str, Run]:
    return dict(zip(waiting, launch.record(list(waiting.values())), strict=True))


def _ended(run: OldRun, *, job: Job, parent: Run | None) -> launch.Ended:
    context = {
        LABEL: run.name,
        **({"original_job_id": run.parent} if run.parent else {}),
        **({"legacy": run.rest} if run.rest else {}),
    }
    error = {"type": "Imported", "message": run.message, "traceback": ""}
    return launch.Ended(
        job=job,
        cause=launch.Cause(
            kind=run.kind,
            sentence=f"{_SENTENCES[run.kind]} in an older system, as {run.name}",
            parent=parent,
            context=context,
        ),
        request=launch.Request(parameters=run.parameters, priority=run.priority, metadata={LABEL: run.name}),
        status=run.status,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        result=run.result,
        failure_reason=run.failure_reason,
        error=error if run.status == Status.FAILED else None,
        skip_reason=run.message if run.status == Status.SKIPPED else "",
    )

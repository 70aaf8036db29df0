"""Ties old jobs and runs to each other and to what is here, so that all of it can be stored or none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError

from jobs import sync
from jobs.faults import Fault, pointer
from jobs.models import Job
from runs.importing.documents import rows
from runs.importing.old_jobs import OldJob, is_recurring, old_job, slug_of
from runs.importing.old_runs import OldRun, old_run
from runs.importing.storing import known
from triggers.models import Kind, Trigger

# Where runs go that belong to no job at all (S1's `immediate_…` documents), unless another is named.
HOMELESS: Final = "imported-runs"
_PAUSED: Final = {"paused_by": "the import", "paused_reason": "It was paused in the system it came from."}
_JSON_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


@dataclass(slots=True)
class Plan:
    """What is to be stored: new jobs with their schedules, and runs with the slug of their job, oldest first.

    A run's parent comes before it. `notes` are sentences about what could not be kept as it was.
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    schedules: dict[str, Trigger] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)  # slugs of jobs that are here already
    runs: list[tuple[OldRun, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def plan(document: Any, *, timezone: str = "UTC", job: str | None = None) -> Plan:
    """What the document comes to; with `faults`, nothing of it may be stored.

    `timezone` is for schedules that name none, `job` the slug for runs that belong to no job.
    """
    made = Plan()
    old_jobs, old_runs = _read(document, made.faults)
    names = _plan_jobs(made, old_jobs, timezone)
    ordered = _in_order(made, old_runs)
    _plan_runs(made, ordered, names, home=job or HOMELESS)
    if job is None and any(slug == HOMELESS for _, slug in made.runs):
        _plan_home(made)
    return made


def _read(document: Any, faults: list[Fault]) -> tuple[list[OldJob], list[OldRun]]:
    jobs: list[OldJob] = []
    runs: list[OldRun] = []
    for row in rows(document, faults):
        if (not row.is_run or is_recurring(row)) and (job := old_job(row, faults)):
            jobs.append(job)
        if row.is_run and (run := old_run(row, faults)):
            runs.append(run)
    return jobs, runs


def _plan_jobs(made: Plan, old_jobs: Iterable[OldJob], timezone: str) -> dict[str, str]:
    """Plans the jobs that are not here yet; returns the slug for each name by which runs may call a job."""
    here = Job.objects.in_bulk(field_name="slug")
    names = {slug: slug for slug in here}
    scheduled = set(Trigger.objects.schedules().values_list("job__slug", flat=True))
    for old in old_jobs:
        names |= dict.fromkeys(old.names, old.slug)
        if old.slug in here:
            made.kept.append(old.slug)
        elif old.slug not in made.jobs:
            made.jobs[old.slug] = _job(old, made.faults)
        if old.cron and old.slug not in scheduled | made.schedules.keys():
            job = here.get(old.slug) or made.jobs[old.slug]
            made.schedules[old.slug] = _schedule(old, job, timezone, made.faults)
        elif old.cron and old.slug in scheduled:
            made.notes.append(f"{old.place}: {old.slug!r} has a schedule here already, which stays as it is.")
    return names


def _job(old: OldJob, faults: list[Fault]) -> Job:
    schema = old.schema if old.schema is not None else _schema_of(old.parameters)
    job = Job(
        slug=old.slug,
        name=old.name,
        description=old.description,
        executor=old.executor,
        configuration=old.configuration,
        schema=schema,
        defaults=old.parameters,
        status=old.status,
        **(_PAUSED if old.status == Job.Status.PAUSED else {}),
    )
    job.broken_reason = sync.breakage(job)
    _clean(job, old.place, faults, without=("configuration",) if job.broken_reason else ())
    return job


def _schedule(old: OldJob, job: Job, timezone: str, faults: list[Fault]) -> Trigger:
    schedule = Trigger(
        job=job, kind=Kind.SCHEDULE, name="imported", cron=old.cron or "", timezone=old.timezone or timezone
    )
    _clean(schedule, old.place, faults, without=("job",))
    return schedule


def _clean(row: Job | Trigger, place: str, faults: list[Fault], *, without: Iterable[str]) -> None:
    try:
        row.full_clean(exclude=set(without), validate_constraints=False)
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            faults.extend(
                Fault(pointer=place + pointer(name), code="value", detail=message)
                for message in messages
                if name not in without
            )


def _schema_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes what the old job was given; what an old run was given beside is allowed as well."""
    types = {name: _JSON_TYPES.get(type(value)) for name, value in parameters.items()}
    return {
        "type": "object",
        "properties": {name: {"type": kind} if kind else {} for name, kind in types.items()},
        "additionalProperties": True,
    }


def _plan_home(made: Plan) -> None:
    if not Job.objects.filter(slug=HOMELESS).exists():
        made.jobs[HOMELESS] = Job(
            slug=HOMELESS,
            name="Imported runs",
            description="Runs of an older system that belonged to no job.",
            executor="python",
            status=Job.Status.INACTIVE,
            broken_reason="It only holds runs of an older system.",
        )


def _in_order(made: Plan, old_runs: Iterable[OldRun]) -> list[OldRun]:
    """The runs by age, each behind its parent; names that come twice and endless chains are faults."""
    by_name: dict[str, OldRun] = {}
    for run in sorted(old_runs, key=lambda run: run.created_at):
        if run.name in by_name:
            detail = f"{run.name!r} comes twice; it is at {by_name[run.name].place} as well."
            made.faults.append(Fault(pointer=run.place, code="duplicate", detail=detail))
        by_name.setdefault(run.name, run)
    ordered: dict[str, OldRun] = {}
    for run in by_name.values():
        chain = list(_chain(run, by_name, ordered))
        if chain and chain[-1].parent in {each.name for each in chain}:
            names = " → ".join([*(each.name for each in chain), str(chain[-1].parent)])
            detail = f"The chain of original_job_id leads back to itself: {names}."
            made.faults.append(Fault(pointer=run.place + "/original_job_id", code="cycle", detail=detail))
        ordered |= {each.name: each for each in reversed(chain)}
    return list(ordered.values())


def _chain(run: OldRun, by_name: Mapping[str, OldRun], ordered: Mapping[str, OldRun]) -> Iterator[OldRun]:
    """The run, its parent, its parent's parent, …; ends before what is ordered, and where it meets itself."""
    seen: set[str] = set()
    current: OldRun | None = run
    while current is not None and current.name not in seen and current.name not in ordered:
        yield current
        seen.add(current.name)
        current = by_name.get(current.parent or "")


def _plan_runs(made: Plan, ordered: Sequence[OldRun], names: Mapping[str, str], *, home: str) -> None:
    parents = known(run.parent for run in ordered if run.parent)
    slugs = {name: run.job.slug for name, run in parents.items()}
    for run in ordered:
        wanted = run.job or (run.name if run.name in names else None)
        inherited = slugs.get(run.parent or "") or names.get(run.parent or "")
        if wanted is None:
            slug: str | None = inherited or home
        else:
            slug = names.get(wanted) or names.get(slug_of(wanted))
        if slug is None:
            detail = f"{wanted!r} is neither a job of this file nor one of this site."
            made.faults.append(Fault(pointer=run.place, code="unknown_job", detail=detail))
            continue
        slugs[run.name] = slug
        made.runs.append((run, slug))

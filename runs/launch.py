"""The only creator of runs: checks whether a launch may be, and makes the row with all its provenance.

The row and whatever belongs to it (labels, the key's count) are one transaction of the caller's or its own;
the hint to the workers goes out after the commit. After that the run cannot be lost.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from jobs import parameters as job_parameters
from jobs import priority as priorities
from jobs.faults import Fault
from jobs.models import Job
from jobs.parameters import InvalidParameters
from runs import deadlines, dedup, dispatch, insertion, labels, portions, statements, tallies, targets
from runs.keying import key_of
from runs.labels import label_text
from runs.models import Campaign, ClaimGroup, Run, RunLabel
from runs.plain import plain
from runs.refusals import (
    JobBroken,
    JobInactive,
    JobPaused,
    LaunchRefused,
    LoopStopped,
    TriggerDisabled,
    check,
    check_chain,
)
from runs.status import Status
from runs.wanted import Cause, Ended, Launched, Request
from triggers import key_use
from triggers.models import Trigger

__all__ = [
    "Cause",
    "Ended",
    "JobBroken",
    "JobInactive",
    "JobPaused",
    "LaunchRefused",
    "Launched",
    "LoopStopped",
    "Request",
    "TriggerDisabled",
    "check",
    "label_text",
    "launch",
    "launch_many",
    "launch_or_skip",
    "launch_prepared",
    "launch_recipients",
    "merged_parameters",
    "prepare",
    "record",
    "retry",
    "retry_recipients",
]


def launch(job: Job, *, cause: Cause, request: Request | None = None) -> Launched:
    """Makes a run of `job`.

    Raises a LaunchRefused if the job is paused, inactive or broken, the trigger disabled, or the chain of runs
    a loop, and `jobs.parameters.InvalidParameters` if the merged parameters do not fit the job's schema.
    Parameters are merged at the top level: request over trigger over the job's defaults.
    """
    request = request or Request()
    check(job, trigger=cause.trigger)
    check_chain(cause.parent)
    merged = merged_parameters(job, trigger=cause.trigger, given=request.parameters)
    job_parameters.validate(job.schema, merged)
    run = _row(job, cause=cause, request=request, parameters=merged)
    promised = deadlines.of(run, job=job, trigger=cause.trigger)
    # Without a dedup key and a target it is one statement, and so a transaction already.
    with nullcontext() if run.dedup_key is None and run.target is None else transaction.atomic():
        is_paused = run.target is not None and targets.enter(run.target)
        found = dedup.insert(run, labels=labels.of(run), deadlines=promised)
        if found is not None:
            return Launched(run=found, created=False)
        if is_paused:
            targets.put_aside(run.target)
            run.refresh_from_db(fields=["group"])
        if run.status == Status.QUEUED:
            dispatch.hint_after_commit(run.lane)
        if cause.api_key is not None:
            transaction.on_commit(partial(key_use.launched, cause.api_key, job=job), robust=True)
    return Launched(run=run, created=True, deadlines=promised)


def launch_many(wanted: Sequence[tuple[Job, Cause]]) -> list[int | LaunchRefused | InvalidParameters]:
    """Launches all of these by a few statements; returns in their order the ids of the runs.

    In place of one that may not be stands the error that `launch` would raise; the others are launched. An error
    of the database means that none was. What `launch` does for API keys and dedup keys it does here, one by one.
    """
    answers: list[int | LaunchRefused | InvalidParameters] = [0] * len(wanted)
    rows = []
    with transaction.atomic():
        for place, row in enumerate(_rows(wanted)):
            if isinstance(row, Exception):
                answers[place] = row
            elif row is None:
                answers[place] = _launched(*wanted[place])
            else:
                rows.append({**row, "place": place})
        lanes: Counter[str] = Counter()
        arguments = [json.dumps(rows, default=datetime.isoformat)]
        for made in statements.planned(portions.LAUNCH, arguments) if rows else ():
            answers[made["place"]] = made["id"]
            lanes[made["lane"]] += 1
        for lane, count in lanes.items():
            transaction.on_commit(partial(dispatch.hint, lane, count), robust=True)
    return answers


def prepare(wanted: Sequence[tuple[Job, Cause]]) -> list[dict[str, Any] | None]:
    """What `launch_many` would insert for each of these; None for one that it would refuse or launch by itself."""
    return [row if isinstance(row, dict) else None for row in _rows(wanted)]


def launch_prepared(*, jobs: str, slots: str, now: datetime) -> Counter[str]:
    """Launches the runs of slots that were prepared, and enters them, by one statement; returns how many for each lane.

    Both are documents of `runs.ahead`, which sends the hints. What is no longer as it was when they were made is left
    as it is.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # While the tables are thought to be small, each of them would be read whole for each slot.
        cursor.execute("SET LOCAL enable_seqscan = off")
        made = statements.planned(portions.FIRE, {"jobs": jobs, "slots": slots, "now": now})
    return Counter({row["lane"]: row["runs"] for row in made})


def _launched(job: Job, cause: Cause) -> int | LaunchRefused | InvalidParameters:
    try:
        return launch(job, cause=cause).run.pk
    except (LaunchRefused, InvalidParameters) as error:
        return error


def _rows(
    wanted: Sequence[tuple[Job, Cause]],
) -> Iterator[dict[str, Any] | LaunchRefused | InvalidParameters | None]:
    """The row of each, or why it may not be launched; None for one that must be launched by itself."""
    jobs = {job.pk: job for job, _ in wanted}
    checkers = {pk: job_parameters.checker(job.schema) for pk, job in jobs.items()}
    groups = _groups(jobs.values())
    for job, cause in wanted:
        try:
            merged = _checked(job, cause, checkers[job.pk])
        except (LaunchRefused, InvalidParameters) as error:
            yield error
            continue
        if cause.api_key is not None or key_of(job.dedup_key_template, merged, schema=job.schema) is not None:
            yield None
            continue
        row = _facts(job, cause=cause, request=Request(), parameters=merged)
        yield {**row, **_relations(job, groups[job.pk], cause, row)}


def _checked(job: Job, cause: Cause, faults: Callable[[object], list[Fault]]) -> dict[str, Any]:
    """The parameters of a launch that may be; raises what `launch` raises."""
    check(job, trigger=cause.trigger)
    check_chain(cause.parent)
    merged = merged_parameters(job, trigger=cause.trigger, given={})
    if found := faults(merged):
        raise InvalidParameters(found)
    return merged


def launch_or_skip(job: Job, *, cause: Cause, request: Request | None = None) -> Launched:
    """As `launch`, but where the job is paused, inactive or broken it makes a `skipped` run with the reason.

    For causes with nobody behind them who could be told (product.md, Paused job). Such a run ends where it
    begins: it is counted, and nothing follows it.
    """
    try:
        return launch(job, cause=cause, request=request)
    except (JobPaused, JobInactive, JobBroken) as error:
        reason = str(error)
    request = request or Request()
    merged = merged_parameters(job, trigger=cause.trigger, given=request.parameters)
    run = _row(job, cause=cause, request=request, parameters=plain(merged))
    run.status, run.skip_reason, run.finished_at = Status.SKIPPED, plain(reason)[:300], run.created_at
    run.due_at = run.queued_at = None
    run.group = insertion.group_of(job)
    with transaction.atomic():
        run.save(force_insert=True)
        RunLabel.objects.bulk_create(labels.of(run))
        tallies.count([run])
    return Launched(run=run, created=True)


def record(ended: Sequence[Ended]) -> list[Run]:
    """Makes the rows of runs that ended in an older system (`runs.importing`), as they ended, and counts them.

    They are history: no launch is refused, nothing is validated but by the database, and no worker hears of
    them. All of them are made, or none.
    """
    with transaction.atomic():
        runs = Run.objects.bulk_create([_ended_row(each) for each in ended])
        RunLabel.objects.bulk_create([label for run in runs for label in labels.of(run)])
        tallies.count(runs)
    return runs


def retry(run: Run, *, cause: Cause, parameters: Mapping[str, Any] | None = None) -> Launched:
    """Launches `run`'s job once more with the run's parameters, or with the given ones in their place.

    Raises what `launch` raises, and LaunchRefused for a run that is still open.
    """
    if not run.is_final:
        raise LaunchRefused(f"Run {run.pk} is still {run.status}: only a run that has ended can be retried.")
    request = Request(
        parameters=run.parameters if parameters is None else parameters,
        # A key that came from the job's template is made anew, because the parameters may be others now.
        dedup_key=None
        if run.dedup_key == key_of(run.job.dedup_key_template, run.parameters, schema=run.job.schema)
        else run.dedup_key,
        tags=run.tags,
        metadata=run.metadata,
        target=run.target,
        retain_for_seconds=run.retain_for_seconds,
        persistent=run.persistent,
    )
    return launch(run.job, cause=cause, request=request)


def launch_recipients(campaign: Campaign, *, upto: int) -> int:
    """Makes runs of the campaign's next recipients, up to the run id `upto`; returns how many.

    Runs and the campaign's place are one statement. The caller holds the lock on the campaign's row.
    """
    group, _ = ClaimGroup.objects.get_or_create(
        job_id=campaign.job_id, campaign=campaign, is_held=False, target=None
    )
    targets.enter_many()
    cause = f"Campaign #{campaign.pk} {campaign.name}: {campaign.cause}"[:500]
    span = {"after": campaign.expanded_upto, "upto": upto}
    return _portion(portions.EXPAND, campaign=campaign.pk, group=group.pk, cause=cause, **span)


def retry_recipients(campaign: Campaign, *, limit: int) -> int:
    """Looks at the next `limit` failed runs of the campaign and launches once more, as `retry` does, those that may be.

    Returns how many were looked at.
    """
    targets.enter_many()
    return _portion(portions.RETRY, campaign=campaign.pk, limit=limit)


def _portion(statement: str, **values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        done, queued = cursor.fetchone()
    if queued:
        top_up = partial(dispatch.top_up, "bulk", dispatch.most_hints("bulk"))
        transaction.on_commit(top_up, robust=True)
    return int(done)


def merged_parameters(job: Job, *, trigger: Trigger | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Request over trigger over the job's defaults, at the top level (product.md, Parameters)."""
    return job_parameters.merge(job.defaults, trigger.parameters if trigger else {}, given)


def _row(job: Job, *, cause: Cause, request: Request, parameters: dict[str, Any]) -> Run:
    now = timezone.now()
    later = request.run_at is not None and request.run_at > now
    return Run(
        job=job,
        trigger=cause.trigger,
        api_key=cause.api_key,
        created_by=cause.user,
        parent=cause.parent,
        retry_of=cause.retry_of,
        status=Status.SCHEDULED if later else Status.QUEUED,
        target=request.target or None,
        metadata=dict(request.metadata),
        dedup_key=request.dedup_key or key_of(job.dedup_key_template, parameters, schema=job.schema),
        persistent=request.persistent,
        retain_for_seconds=request.retain_for_seconds,
        created_at=now,
        run_at=request.run_at,
        due_at=request.run_at if later else None,
        queued_at=None if later else now,
        **_facts(job, cause=cause, request=request, parameters=parameters),
    )


def _facts(job: Job, *, cause: Cause, request: Request, parameters: dict[str, Any]) -> dict[str, Any]:
    """What every run is made with, whichever way: why it exists, and what it is given."""
    parent = cause.parent
    return {
        "job_version": job.version,
        "priority": _priority(job, cause=cause, asked=request.priority),
        "trigger_kind": cause.kind,
        "trigger_name": cause.trigger.label if cause.trigger else "",
        "cause": plain(cause.sentence)[:500],
        "slot": cause.slot,
        "root_id": (parent.root_id or parent.pk) if parent else None,
        "hops": parent.hops + 1 if parent else 0,
        "context": plain(dict(cause.context)),
        "parameters": parameters,
        "tags": list(dict.fromkeys([*job.tags, *request.tags])),
        "concurrency_key": key_of(job.concurrency_key_template, parameters, schema=job.schema),
        "max_attempts": job.max_attempts,
    }


def _relations(job: Job, group: ClaimGroup, cause: Cause, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a run that is made together with others has beside its facts; see `portions.LAUNCH`."""
    now = timezone.now()
    found = labels.words(job, parameters=facts["parameters"], tags=facts["tags"], metadata={})
    due = deadlines.promised(job, trigger=cause.trigger, begin=cause.slot or now)
    return {
        "job_id": job.pk,
        "group_id": group.pk,
        "status": Status.QUEUED,
        "trigger_id": cause.trigger.pk if cause.trigger else None,
        "created_by_id": cause.user.pk if cause.user else None,
        "parent_id": cause.parent.pk if cause.parent else None,
        "retry_of_id": cause.retry_of.pk if cause.retry_of else None,
        "created_at": now,
        "labels": [{"kind": word.kind, "key": word.key, "value": word.value} for word in found],
        "deadlines": [{"kind": kind, "due_at": due_at} for kind, due_at in due],
    }


def _groups(jobs: Iterable[Job]) -> dict[int, ClaimGroup]:
    """The claim group of each job; made with its first run."""
    wanted = {job.pk: job for job in jobs}
    found = ClaimGroup.objects.filter(job__in=wanted, campaign=None, is_held=False, target=None)
    groups = {group.job_id: group for group in found}
    for pk in wanted.keys() - groups.keys():
        groups[pk] = insertion.group_of(wanted[pk])
    return groups


def _ended_row(ended: Ended) -> Run:
    parameters = plain(dict(ended.request.parameters))
    run = _row(ended.job, cause=ended.cause, request=ended.request, parameters=parameters)
    run.status, run.group = ended.status, insertion.group_of(ended.job)
    run.created_at = run.queued_at = ended.created_at
    run.started_at, run.finished_at = ended.started_at, ended.finished_at
    run.attempt = 0 if ended.started_at is None else 1
    run.dedup_key = None
    run.result, run.error = plain(ended.result), plain(ended.error)
    run.failure_reason, run.skip_reason = ended.failure_reason, plain(ended.skip_reason)[:300]
    return run


def _priority(job: Job, *, cause: Cause, asked: int | None) -> int:
    """The first given of request, trigger, job, default of the kind (product.md, Which number wins)."""
    retried = cause.retry_of
    if asked is not None:
        return asked
    if retried is not None:
        return retried.priority
    if cause.parent is not None and cause.parent.lane == "bulk":
        return cause.parent.priority
    for given in (cause.trigger.priority if cause.trigger else None, job.priority):
        if given is not None:
            return given
    return priorities.OF_KIND[cause.kind]

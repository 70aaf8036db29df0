"""Brings the jobs that code declares (`jobs.registry`) into the table, without undoing what people changed.

`Job.declared` holds what the code said at the last sync. A field that still says so follows the code; one
that says something else was changed by an operator: it stays, and is shown as a difference until somebody
takes the code's value over. A job that can't be carried out any more is marked as broken until it can.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from jobs import executors, registry
from jobs.models import Job
from jobs.registry import JobDefinition

REASON_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of a job that says something else than the code declared."""

    field: str
    declared: Any
    current: Any


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did, by slug. A job may have been updated in one field and differ in another."""

    created: list[str] = field(default_factory=list)
    updated: dict[str, list[str]] = field(default_factory=dict)  # the names of the fields
    unchanged: list[str] = field(default_factory=list)
    differing: dict[str, list[Difference]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # the reason; all that are broken now
    mended: list[str] = field(default_factory=list)


def sync() -> Report:
    """Makes or updates the row of every declared job, and marks what is broken or mended.

    Each job is a transaction of its own that holds its row, so any number of syncs may run at once.
    """
    report = Report()
    for slug, definition in sorted(registry.definitions().items()):
        _sync(slug, said_by(definition), report)
    for job in Job.objects.order_by("slug"):
        _mark(job, report)
    return report


def said_by(definition: JobDefinition) -> dict[str, Any]:
    """What the code says of a job, as the values of the row's fields."""
    said = {
        "name": definition.name,
        "description": definition.description,
        "tags": definition.tags,
        "executor": "python",
        "configuration": {},
        "schema": definition.schema,
        "defaults": definition.defaults,
        "priority": definition.priority,
        "timeout_seconds": definition.timeout_seconds,
        "max_attempts": definition.retry.max_attempts,
        "retry_first_delay_seconds": definition.retry.first_delay_seconds,
        "retry_longest_delay_seconds": definition.retry.longest_delay_seconds,
        "retry_factor": definition.retry.factor,
        "retry_jitter": definition.retry.jitter,
        "on_lost": definition.on_lost,
        "max_concurrent_runs": definition.max_concurrent_runs,
        "concurrency_key_template": definition.concurrency_key,
        "max_concurrent_per_key": definition.max_concurrent_per_key,
        "max_starts": definition.max_starts,
        "starts_window_seconds": definition.starts_window_seconds,
        "start_within_seconds": definition.start_within_seconds,
        "finish_within_seconds": definition.finish_within_seconds,
        "circuit_failure_rate": definition.circuit_failure_rate,
        "circuit_min_calls": definition.circuit_min_calls,
        "circuit_window_seconds": definition.circuit_window_seconds,
        "circuit_cooldown_seconds": definition.circuit_cooldown_seconds,
        "dedup_key_template": definition.dedup_key,
        "dedup_mode": definition.dedup_mode,
        "retain_for_seconds": definition.retain_for_seconds,
    }
    # As the database gives it back, so that what was stored compares equal to what is said.
    plain: dict[str, Any] = json.loads(json.dumps(said, default=dict))
    return plain


def differences(job: Job) -> list[Difference]:
    """The fields of `job` that were changed after the code declared them; none for a job without code."""
    return [
        Difference(field=name, declared=declared, current=getattr(job, name))
        for name, declared in (job.declared or {}).items()
        if getattr(job, name) != declared
    ]


def take_over(job: Job, fields: Iterable[str]) -> None:
    """Gives the named fields the code's values again; raises KeyError for one the code is silent on."""
    names = list(fields)
    for name in names:
        setattr(job, name, (job.declared or {})[name])
    job.save(update_fields=[*names, "updated_at"])


@transaction.atomic
def _sync(slug: str, said: Mapping[str, Any], report: Report) -> None:
    job, created = Job.objects.select_for_update().get_or_create(
        slug=slug, defaults={**said, "declared": said}
    )
    if created:
        report.created.append(slug)
        return
    changes = _changes(job, said)
    if changes or job.declared != said:
        for name, value in (changes | {"declared": said}).items():
            setattr(job, name, value)
        job.save(update_fields=[*changes, "declared", "updated_at"])
    if changes:
        report.updated[slug] = sorted(changes)
    else:
        report.unchanged.append(slug)
    if found := differences(job):
        report.differing[slug] = found


def _changes(job: Job, said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that nobody but the code has changed, with what the code says of them now.

    A job that an operator made before there was a function of its slug keeps everything he said.
    """
    if job.declared is None:
        return {}
    unchanged = Job()  # a field that the code is new to say something of
    before = {name: getattr(unchanged, name) for name in said} | job.declared
    return {
        name: value
        for name, value in said.items()
        if before[name] == getattr(job, name) and before[name] != value
    }


def _mark(job: Job, report: Report) -> None:
    """Notes on the row whether the job can be carried out at all."""
    reason = breakage(job)
    if reason is not None:
        report.broken[job.slug] = reason
    elif job.broken_reason is not None:
        report.mended.append(job.slug)
    if reason != job.broken_reason:
        Job.objects.filter(pk=job.pk).update(broken_reason=reason)


def breakage(job: Job) -> str | None:
    """Why no run of `job` could be carried out, in a sentence: its function or program is gone. Else None."""
    if job.executor == "python":
        function = job.configuration.get("function") or job.slug
        return None if registry.get(function) else _vanished(function)
    try:
        executors.get(job.executor).check(job.configuration)
    except (executors.UnknownExecutor, executors.InvalidConfiguration) as error:
        return str(error)[:REASON_LENGTH]
    return None


def _vanished(function: str) -> str:
    errors = "; ".join(f"{module}: {error}" for module, error in registry.import_errors().items())
    because = f" These modules can't be imported: {errors}" if errors else ""
    return f"No installed app declares the function {function!r}.{because}"[:REASON_LENGTH]

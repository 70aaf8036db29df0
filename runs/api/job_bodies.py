"""What a body may say of a job, as JSON Schemas, and the job it comes to."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

from jobs import parameters, registry, wire
from jobs import priority as priorities
from jobs.faults import Fault
from jobs.inputs import unmasked
from jobs.models import DedupMode, Job
from jobs.wire import InvalidBody
from runs.api.bodies import HUNDRED_YEARS

LARGEST: Final = 2**31 - 1
LONGEST_RETRIES: Final = 32_767
DAY: Final = 86_400
KNOWN: Final = 10  # functions that a refusal names


def _whole(least: int, most: int = LARGEST) -> wire.Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _number(least: float, most: float = DAY * 366) -> wire.Schema:
    return {"type": "number", "minimum": least, "maximum": most}


def _or_null(schema: wire.Schema) -> wire.Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEMPLATE: Final = _or_null({"type": "string", "minLength": 1, "maxLength": 200})
FIELDS: Final[Mapping[str, wire.Schema]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"},
    "description": {"type": "string", "maxLength": 20_000},
    "tags": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"\S"},
        "maxItems": 50,
    },
    "status": {
        "type": "string",
        "enum": [Job.Status.ACTIVE.value, Job.Status.INACTIVE.value],
        "description": "`active` ends a pause, too.",
    },
    "configuration": {
        "type": "object",
        "description": "What the executor needs; dots keep the stored secret.",
    },
    "schema": {"type": "object", "description": "A JSON Schema of the parameters."},
    "defaults": {"type": "object", "description": "Default parameters; dots keep the stored secret."},
    "priority": _or_null(
        {
            "anyOf": [
                _whole(priorities.FIRST, priorities.LAST),
                {"type": "string", "enum": list(priorities.NAMES)},
            ]
        }
    ),
    "timeout_seconds": _whole(1),
    "max_attempts": _whole(1, LONGEST_RETRIES),
    "retry_first_delay_seconds": _number(0),
    "retry_longest_delay_seconds": _number(0),
    "retry_factor": _number(1, 1000),
    "retry_jitter": _number(0, 1),
    "on_lost": {"type": "string", "enum": Job.OnLost.values},
    "max_concurrent_runs": _or_null(_whole(1)),
    "concurrency_key_template": _TEMPLATE,
    "max_concurrent_per_key": _whole(1),
    "max_starts": _or_null(_whole(1, 10_000)),
    "starts_window_seconds": _whole(1, DAY),
    "start_within_seconds": _or_null(_whole(1)),
    "finish_within_seconds": _or_null(_whole(1)),
    "dedup_key_template": _TEMPLATE,
    "dedup_mode": {"type": "string", "enum": DedupMode.values},
    "retain_for_seconds": _or_null(_whole(0, HUNDRED_YEARS)),
    "circuit_failure_rate": _or_null(_number(0.01, 1)),
    "circuit_min_calls": _whole(1),
    "circuit_window_seconds": _whole(1, DAY),
    "circuit_cooldown_seconds": _whole(1, DAY),
    "circuit_per_host": {"type": "boolean"},
}
CHANGES: Final[wire.Schema] = {
    "type": "object",
    "properties": FIELDS,
    "additionalProperties": False,
    "description": "Durations are seconds; null: no limit, or (priority) by the trigger kind.",
}
WHOLE: Final[wire.Schema] = {**CHANGES, "required": ["name", "configuration"]}
NEW: Final[wire.Schema] = {
    **CHANGES,
    "properties": {"slug": wire.SLUG, "executor": {"type": "string", "maxLength": 20}, **FIELDS},
    "required": ["slug", "name", "executor"],
}


def lay(job: Job, body: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Lays a valid body on `job`, which is not stored by that; returns the names of the fields it said.

    `whole`: what the body does not name becomes what it is by default. Raises InvalidBody.
    """
    blank = Job()
    given = {name: getattr(blank, name) for name in FIELDS} | dict(body) if whole else dict(body)
    if isinstance(given.get("priority"), str):
        given["priority"] = priorities.parse(given["priority"])
    for name in ("configuration", "defaults"):
        if name in given:
            given[name] = unmasked(given[name], getattr(job, name))
    for name, value in given.items():
        setattr(job, name, value)
    if given.get("status") is not None:
        job.paused_at = job.paused_until = None
        job.paused_by = job.paused_reason = ""
        given |= dict.fromkeys(("paused_at", "paused_by", "paused_reason", "paused_until"))
    _check(job)
    return list(given)


def take_from_function(job: Job) -> None:
    """Gives a new job of a function its parameters, unless the body said others.

    Raises InvalidBody if none is named and none has the job's slug: each of its runs would fail.
    """
    named = job.configuration.get("function")
    if job.executor != "python" or (named and not isinstance(named, str)):
        return  # what is wrong with a name that is none is said with the rest of the configuration
    definition = registry.get(named or job.slug)
    if definition is None and not named:
        known = ", ".join(sorted(registry.definitions())[:KNOWN]) or "none"
        detail = f"It names no 'function', and none is declared as {job.slug!r}; expected one of {known}."
        raise InvalidBody([Fault(pointer="/configuration", code="required", detail=detail)])
    if definition is not None and not job.schema:
        job.schema, job.defaults = dict(definition.schema), {**definition.defaults, **job.defaults}


def _check(job: Job) -> None:
    try:
        job.full_clean()
    except ValidationError as error:
        raise wire.refused(error) from None
    faults = [fault for fault in parameters.faults(job.schema, job.defaults) if fault.code != "required"]
    if faults:
        raise InvalidBody(
            Fault(pointer=f"/defaults{fault.pointer}", code=fault.code, detail=fault.detail)
            for fault in faults
        )

"""What an old run says, whichever system it comes from; pure, and nothing of it is stored yet.

Two shapes are known (docs/importing.md). A row of S0's `runs` table has an `id` of its own and names its job
by `job_id`; a document of S1's collections is named by `job_id` itself, and its job by `scheduled_job_id`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jobs import priority as priorities
from jobs.executors import outcomes
from jobs.faults import Fault
from runs.importing.documents import Row
from runs.importing.fields import Fields, json_value
from runs.importing.old_jobs import parameters
from runs.importing.words import status_of
from runs.models import TriggerKind
from runs.status import OPEN, FailureReason, Status, UnknownStatus

NAME_LENGTH: Final = 200
TEXT_LENGTH: Final = 4_000
# What the first word of an old name says of the cause (S1, naming convention).
_KINDS: Final[Mapping[str, TriggerKind]] = {
    "triggered": TriggerKind.MANUAL,
    "immediate": TriggerKind.MANUAL,
    "scheduled": TriggerKind.SCHEDULE,
    "recurring": TriggerKind.SCHEDULE,
}
_NAME: Final = re.compile(r"(?P<kind>[a-z]+)_(?:(?P<job>.+)_)?(?P<time>\d{9,11})_[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRun:
    """A run that ended, or never will; `job` and `parent` are names in the old system."""

    place: str
    name: str
    job: str | None
    parent: str | None
    kind: TriggerKind
    status: Status
    failure_reason: FailureReason | None
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    priority: int | None
    parameters: dict[str, Any]
    result: Any
    rest: dict[str, Any]


def old_run(row: Row, faults: list[Fault]) -> OldRun | None:
    """The run in `row`; None if anything in it is wrong."""
    before = len(faults)
    fields = Fields(row.place, row.fields, faults)
    name, job = _names(fields, row.fields)
    if not name or len(name) > NAME_LENGTH:
        fields.refuse(
            "id",
            "required",
            f"The run is called {name!r:.80}; expected id or job_id, up to {NAME_LENGTH} characters.",
        )
        return None
    said = _NAME.fullmatch(name)
    word = str(fields.text("status") or "")
    status, reason = _status(fields, word)
    times = _times(fields, said)
    run = OldRun(
        place=row.place,
        name=name,
        job=job or (said["job"] if said and said["kind"] in {"triggered", "scheduled"} else None),
        parent=fields.text("original_job_id"),
        kind=fields.converted(_kind, "trigger", "trigger_type") or _named_kind(said),
        status=status,
        failure_reason=reason,
        message=_message(fields, word, status),
        created_at=times[0],
        started_at=times[1],
        finished_at=times[2],
        priority=fields.converted(_priority, "priority"),
        parameters=parameters(fields),
        result=_result(fields, row.fields),
        rest=_cut(fields.rest(without=("_id", *_counters(row.fields)))),
    )
    return run if len(faults) == before else None


def _names(fields: Fields, raw: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The run's own name, and the name of its job."""
    scheduled = fields.text("scheduled_job_id")
    if scheduled or "original_job_id" in raw or not fields.take("id"):
        return fields.text("job_id"), scheduled
    return fields.text("id"), fields.text("job_id", "job", "job_slug")


def _status(fields: Fields, word: str) -> tuple[Status, FailureReason | None]:
    """Final in any case: what was open when it was exported is over here, and the failure says so."""
    try:
        status = status_of(word)
    except UnknownStatus as error:
        fields.refuse("status", "value", str(error))
        return Status.SKIPPED, None
    if status == Status.RUNNING:
        return Status.FAILED, FailureReason.WORKER_LOST
    if status in OPEN:
        return Status.SKIPPED, None
    if status == Status.FAILED:
        return status, FailureReason.TIMEOUT if word.lower().startswith("time") else FailureReason.ERROR
    return status, None


def _message(fields: Fields, word: str, status: Status) -> str:
    said = fields.text("error_details", "error_message", "error")
    if status == Status.SKIPPED:
        return said or f"It had not started when it was exported ({word})."
    if status == Status.FAILED and word.lower() in {"running", "executing"}:
        return said or "It was still running when it was exported."
    return said or ("It failed; the old system kept no message." if status == Status.FAILED else "")


def _times(fields: Fields, said: re.Match[str] | None) -> tuple[datetime, datetime | None, datetime]:
    """When it was created, started and finished; what is missing is taken from its neighbour."""
    created, started = fields.time("created_at"), fields.time("started_at")
    finished, updated = fields.time("completed_at", "finished_at"), fields.time("updated_at")
    named = datetime.fromtimestamp(int(said["time"]), UTC) if said else None
    first = created or started or named or finished
    if first is None:
        fields.refuse(
            "created_at", "required", "The run has no time at all; expected created_at, in ISO 8601."
        )
        first = datetime.now(UTC)
    last = finished or updated or started or first
    for name, earlier, later in (("started_at", first, started), ("completed_at", started, finished)):
        if earlier and later and later < earlier:
            fields.refuse(
                name, "order", f"{later.isoformat()} is before {earlier.isoformat()}, when it began."
            )
    return first, started, max(last, started or first)


def _kind(value: Any) -> TriggerKind:
    try:
        return TriggerKind(str(value).lower())
    except ValueError:
        expected = ", ".join(TriggerKind.values)
        raise ValueError(f"{value!r:.80} is not a trigger: expected one of {expected}.") from None


def _named_kind(said: re.Match[str] | None) -> TriggerKind:
    """What the run's name says; a run without a trigger was started by hand (S0, Migration)."""
    return _KINDS.get(said["kind"], TriggerKind.MANUAL) if said else TriggerKind.MANUAL


def _priority(value: Any) -> int:
    return priorities.parse(int(value) if isinstance(value, str) and value.isdigit() else value)


def _counters(raw: Mapping[str, Any]) -> list[str]:
    return [name for name in raw if str(name).startswith("properties_")]


def _result(fields: Fields, raw: Mapping[str, Any]) -> Any:
    """`result`, and S1's counters, which stand beside the other fields."""
    counters = {name: json_value(raw[name]) for name in _counters(raw) if raw[name] is not None}
    result = fields.converted(json_value, "result")
    if isinstance(result, dict):
        return counters | result
    return result if result is not None else counters or None


def _cut(rest: dict[str, Any]) -> dict[str, Any]:
    """What no field of ours takes, kept for whoever looks for it; long texts without their middle."""
    kept = {name: value for name, value in rest.items() if value not in (None, "", [], {})}
    return {
        name: outcomes.cut(value, TEXT_LENGTH) if isinstance(value, str) else value
        for name, value in kept.items()
    }

"""What is wanted of a launch, and what came of it: a cause, a request, and the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from jobs.models import Job
from runs.models import Deadline, Run, TriggerKind
from runs.status import FailureReason, Status
from triggers.models import ApiKey, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who or what wants a run. `sentence` is kept for ever, so it names names and not only ids."""

    kind: TriggerKind
    sentence: str
    trigger: Trigger | None = None
    slot: datetime | None = None
    api_key: ApiKey | None = None
    user: User | None = None
    parent: Run | None = None
    retry_of: Run | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller may ask of one launch, beyond the job; everything is optional."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    dedup_key: str | None = None
    run_at: datetime | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    retain_for_seconds: int | None = None
    persistent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that ended before this site knew of it; `status` is a final one."""

    job: Job
    cause: Cause
    request: Request
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    result: Any = None
    failure_reason: FailureReason | None = None
    error: Mapping[str, Any] | None = None
    skip_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """The run, and whether this launch made it; not if the dedup key already had an open one.

    `deadlines` are those that were made with it; None if that is not known.
    """

    run: Run
    created: bool
    deadlines: Sequence[Deadline] | None = None

"""The run object of the API: every field of a run as outsiders read it, secrets masked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from jobs import parameters, wire
from jobs.fields import Instant, Text, Value
from jobs.priority import LANES
from runs import why
from runs.models import DeadlineKind, Run, TriggerKind
from runs.status import FailureReason, Status
from runs.wanted import Launched
from triggers.keys import PREFIX as KEY_PREFIX

RELATED: Final = ("job", "api_key", "created_by")
ACTS: Final = ("logs", "events", "steps", "cancel", "priority", "retry", "rerun", "complete")

_ERROR: Final = {
    "type": ["object", "null"],
    "properties": {"type": wire.TEXT, "message": wire.TEXT, "traceback": wire.TEXT},
}
_PROGRESS: Final = {
    "type": ["object", "null"],
    "properties": {
        "done": wire.NUMBER_OR_NULL,
        "total": wire.NUMBER_OR_NULL,
        "message": wire.TEXT_OR_NULL,
    },
}
_DEADLINES: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": DeadlineKind.values},
            "due_at": wire.INSTANT,
            "breached": {"type": ["boolean", "null"]},
        },
    },
}
_ATTEMPTS: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "attempt": wire.WHOLE,
            "outcome": wire.TEXT,
            "worker": wire.TEXT_OR_NULL,
            "queued_at": wire.INSTANT_OR_NULL,
            "started_at": wire.INSTANT_OR_NULL,
            "finished_at": wire.INSTANT_OR_NULL,
            "error": _ERROR,
        },
    },
}
_LINKS: Final = {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}


class RunSerializer(serializers.Serializer[Run]):
    """One instance of a job, from launch to a final status, with who or what started it and why."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    job = Value(wire.SLUG, source="job.slug")
    job_name = Value(wire.TEXT, source="job.name")
    status = Value({"type": "string", "enum": Status.values})
    trigger = Value({"type": "string", "enum": TriggerKind.values}, source="trigger_kind")
    trigger_id = Value(wire.WHOLE_OR_NULL)
    trigger_name = Text()
    cause = Value(wire.TEXT)
    slot = Instant()
    campaign = Value(wire.WHOLE_OR_NULL, source="campaign_id")
    # Set so because serializers have attributes of these names, which a field does not replace.
    vars()["parent"] = Value(wire.WHOLE_OR_NULL, source="parent_id")
    vars()["root"] = Value(wire.WHOLE_OR_NULL, source="root_id")
    retry_of = Value(wire.WHOLE_OR_NULL, source="retry_of_id")
    api_key = serializers.SerializerMethodField()
    created_by = Value(wire.TEXT_OR_NULL, source="created_by.username")
    vars()["context"] = Value(wire.OBJECT)
    target = Value(wire.TEXT_OR_NULL)

    priority = Value({"type": "integer", "minimum": 1, "maximum": 100})
    lane = Value({"type": "string", "enum": list(LANES)})
    parameters = serializers.SerializerMethodField()
    tags = Value(wire.TEXTS)
    metadata = Value(wire.OBJECT)
    dedup_key = Value(wire.TEXT_OR_NULL)
    concurrency_key = Value(wire.TEXT_OR_NULL)
    persistent = Value(wire.YES_NO)
    retain_for_seconds = Value(wire.WHOLE_OR_NULL)

    executor = Value(wire.TEXT, source="job.executor")
    worker = Text()
    attempt = Value(wire.WHOLE)
    max_attempts = Value(wire.WHOLE)
    attempts = serializers.SerializerMethodField()
    progress = Value(_PROGRESS)
    next_step = Value(wire.TEXT_OR_NULL)
    why = serializers.SerializerMethodField()
    why_code = serializers.SerializerMethodField()

    result = Value(wire.ANYTHING)
    failure_reason = Value({"type": ["string", "null"], "enum": [*FailureReason.values, None]})
    error = Value(_ERROR)
    skip_reason = Text()
    cancel_requested_at = Instant()
    cancelled_by = Text()

    created_at = Instant(wire.INSTANT)
    run_at = Instant()
    queued_at = Instant()
    started_at = Instant()
    finished_at = Instant()
    retry_at = Instant()
    resume_at = Instant()
    wait_seconds = serializers.SerializerMethodField()
    duration_seconds = serializers.SerializerMethodField()

    deadlines = serializers.SerializerMethodField()

    engine = Value(wire.TEXT_OR_NULL)
    external_id = Value(wire.TEXT_OR_NULL)
    external_status = Value(wire.TEXT_OR_NULL)
    synced_at = Instant()
    links = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_api_key(self, run: Run) -> str | None:
        """The public part of the key, as in sentences."""
        return f"{KEY_PREFIX}_{run.api_key.public_id}" if run.api_key else None

    @extend_schema_field(dict(wire.OBJECT))
    def get_parameters(self, run: Run) -> dict[str, Any]:
        """What the run is given; what the job's schema calls a secret is masked."""
        return parameters.mask(run.job.schema, run.parameters)

    @extend_schema_field(_ATTEMPTS)
    def get_attempts(self, run: Run) -> list[dict[str, Any]]:
        """Every try, the oldest first; the last is what the run itself says."""
        return [_attempt(entry) for entry in run.history()]

    @extend_schema_field(_DEADLINES)
    def get_deadlines(self, run: Run) -> list[dict[str, Any]]:
        """What was promised of the run, and whether it was kept; null while that is open."""
        known = self.context.get("deadlines")
        return [
            {"kind": one.kind, "due_at": wire.instant_text(one.due_at), "breached": one.is_breached}
            for one in (run.deadlines.all() if known is None else known)
        ]

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_why(self, run: Run) -> str | None:
        """Why the run is not running, in a sentence; null for one that runs or has ended."""
        reason = self.context["reasons"].get(run.pk)
        return reason.sentence if reason else None

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_why_code(self, run: Run) -> str | None:
        """The same in one word for programs."""
        reason = self.context["reasons"].get(run.pk)
        return reason.code if reason else None

    @extend_schema_field(dict(wire.NUMBER_OR_NULL))
    def get_wait_seconds(self, run: Run) -> float | None:
        """From the latest move into queued to the start."""
        return run.wait.total_seconds() if run.wait is not None else None

    @extend_schema_field(dict(wire.NUMBER_OR_NULL))
    def get_duration_seconds(self, run: Run) -> float | None:
        """From the start of the last attempt to the end."""
        return run.duration.total_seconds() if run.duration is not None else None

    @extend_schema_field(_LINKS)
    def get_links(self, run: Run) -> dict[str, str]:
        """Where the run itself, its parts, its acts, its job and its page are."""
        site: str = self.context["site"]
        own = f"{site}/api/runs/{run.pk}"
        acts = {act: f"{own}/{act}" for act in ACTS}
        return {
            "self": own,
            **acts,
            "job": f"{site}/api/jobs/{run.job.slug}",
            "page": f"{site}/runs/{run.pk}/",
        }


class LaunchedSerializer(RunSerializer):
    """The answer of a launching call: the run, and what became of the call."""

    message = serializers.SerializerMethodField()
    deduplicated = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT))
    def get_message(self, run: Run) -> str:
        """What was done, in a sentence."""
        return str(self.context["message"])

    @extend_schema_field(dict(wire.YES_NO))
    def get_deduplicated(self, run: Run) -> bool:
        """Whether this is an open run with the same dedup key, and nothing new was launched."""
        return bool(self.context["deduplicated"])


def run_object(run: Run, request: Request) -> dict[str, Any]:
    """One run, with why it is not running."""
    return dict(RunSerializer(run, context=context([run], request)).data)


def run_objects(runs: Sequence[Run], request: Request) -> list[dict[str, Any]]:
    """Several runs; the number of queries does not grow with them."""
    prefetch_related_objects(list(runs), "deadlines")
    serializer = RunSerializer(runs, many=True, context=context(runs, request))  # type: ignore[arg-type]
    return list(serializer.data)


def launched_object(launched: Launched, request: Request, *, message: str) -> dict[str, Any]:
    """The run a launching call led to."""
    run, deduplicated = launched.run, not launched.created
    extra = {"message": message, "deduplicated": deduplicated, "deadlines": launched.deadlines}
    return dict(LaunchedSerializer(run, context=context([run], request) | extra).data)


def context(runs: Sequence[Run], request: Request) -> dict[str, Any]:
    """What the serializer needs beyond the runs themselves."""
    reasons = {runs[0].pk: why.why(runs[0])} if len(runs) == 1 else why.of_runs(runs)
    return {"reasons": reasons, "site": request.build_absolute_uri("/").rstrip("/")}


def _attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The database writes instants into the list in its own form."""
    return {
        name: wire.instant_text(wire.instant(value)) if name.endswith("_at") and value else value
        for name, value in entry.items()
    }

"""A program reports the end of a run that it carries out itself, and is told what follows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault
from jobs.fields import Instant, Value
from jobs.wire import InvalidBody
from runs import followers, status
from runs.api.finding import actor, find_run
from runs.launch import LaunchRefused
from runs.models import Following, Run
from runs.status import Status
from triggers.ledger import Entry
from triggers.models import Occurrence, Scope, Trigger
from triggers.visibility import visible

_WORDS: Final = [
    word
    for word in (*Status.values, *status.ALIASES)
    if status.parse(word) in (Status.SUCCEEDED, Status.FAILED)
]
# Why a slot that has all that it needed is not started yet.
BEHIND: Final = "It waits for the run before it to end."
BODY: Final[wire.Schema] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": _WORDS},
        "result": {"description": "What the run came to; any JSON."},
        "error": {
            "anyOf": [
                {"type": "string", "maxLength": 10_000},
                {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "maxLength": 200},
                        "message": {"type": "string", "maxLength": 10_000},
                        "traceback": {"type": "string", "maxLength": 100_000},
                    },
                    "additionalProperties": False,
                },
                {"type": "null"},
            ],
            "description": "What went wrong, for a failed run.",
        },
    },
    "required": ["status"],
    "additionalProperties": False,
}


class TriggeredSerializer(serializers.Serializer[Any]):
    """A job that was started because the run ended so; `slot` is that of a schedule which had waited for it."""

    job = Value(wire.SLUG)
    run = Value(wire.WHOLE)
    trigger = Value(wire.WHOLE)
    condition = Value(wire.TEXT)
    slot = Instant()


class NotTriggeredSerializer(serializers.Serializer[Any]):
    """A job that waits for the run's job and was not started, and why; `run`: the skipped or open run, if any."""

    job = Value(wire.SLUG)
    run = Value(wire.WHOLE_OR_NULL)
    trigger = Value(wire.WHOLE)
    condition = Value(wire.TEXT)
    slot = Instant()
    reason = Value(wire.TEXT)


class CompletedSerializer(serializers.Serializer[Any]):
    """How the run ended, and what follows."""

    run = Value(wire.WHOLE)
    status = Value({"type": "string", "enum": [Status.SUCCEEDED.value, Status.FAILED.value]})
    triggeredCount = Value(wire.WHOLE)  # noqa: N815 - the documents' name
    triggered = TriggeredSerializer(many=True, read_only=True)
    skipped = NotTriggeredSerializer(many=True, read_only=True)


class CompleteView(Endpoint):
    """Report a run's end."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "jobs.run_job"
    body_schema = BODY
    answers: ClassVar = {200: CompletedSerializer}

    def post(self, request: Request, run: str) -> Response:
        """Report the end of a run that a program carries out itself: queued, running or waiting, else 409.

        The answer names what follows: the jobs that were started because of it, and those that were not, with
        the reason.
        """
        body = wire.body(request, self.body_schema)
        _check_size(body.get("result"))
        found = find_run(request, run)
        ended = status.parse(body["status"])
        followed = followers.complete(
            found, status=ended, result=body.get("result"), error=_error(body, ended), by=actor(request)
        )
        if followed is None:
            found.refresh_from_db(fields=["status"])
            raise LaunchRefused(
                f"Run #{found.pk} is {found.status}: only one that is queued, running or waiting can be completed."
            )
        told = [*map(_dependent, followed.dependencies), *map(_slot, followed.slots)]
        return Response(CompletedSerializer(_told(found, ended, _seen(request, told))).data)


def _check_size(result: Any) -> None:
    size = len(json.dumps(result, ensure_ascii=False).encode())
    if size > settings.RESULT_LIMIT:
        detail = f"'result' has {size} bytes of JSON; expected at most {settings.RESULT_LIMIT}."
        raise InvalidBody([Fault(pointer="/result", code="size", detail=detail)])


def _error(body: dict[str, Any], ended: Status) -> dict[str, Any] | None:
    """The error of a failed run, always in the form that runs have."""
    if ended != Status.FAILED:
        return None
    given = body.get("error") or {}
    told = {"message": given} if isinstance(given, str) else given
    return {"type": "Reported", "message": "", "traceback": "", **told}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of one trigger, or of one slot of it; `reason` is empty if its job was started."""

    job: str
    trigger: int
    condition: str
    run: int | None
    reason: str = ""
    slot: datetime | None = None


def _dependent(entry: Following) -> Told:
    fired = entry.outcome == Following.Outcome.FIRED
    return Told(**_of(entry.trigger), run=entry.run_id, reason="" if fired else entry.reason)


def _slot(entry: Entry) -> Told:
    told, reason = _of(entry.trigger), entry.reason
    if entry.run_id is not None:
        reason = ""
    elif entry.outcome == Occurrence.Outcome.DUE:
        reason = BEHIND
    return Told(**told, run=entry.run_id, reason=reason, slot=entry.slot)


def _of(trigger: Trigger) -> dict[str, Any]:
    return {"job": trigger.job.slug, "trigger": trigger.pk, "condition": trigger.condition}


def _seen(request: Request, told: Iterable[Told]) -> list[Told]:
    """Of the triggers whose jobs the caller may see, by the trigger and its slots."""
    told = list(told)
    known = Trigger.objects.filter(pk__in={each.trigger for each in told})
    seen = set(visible(known, auth=request.auth, lookup="job").values_list("pk", flat=True))
    # Of a schedule each has a slot, of a dependency none.
    return sorted((each for each in told if each.trigger in seen), key=lambda each: (each.trigger, each.slot))


def _told(run: Run, ended: Status, told: list[Told]) -> dict[str, Any]:
    triggered = [each for each in told if not each.reason]
    return {
        "run": run.pk,
        "status": ended.value,
        "triggeredCount": len(triggered),
        "triggered": triggered,
        "skipped": [each for each in told if each.reason],
    }

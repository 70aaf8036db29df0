"""A program reports the end of a run that it carries out itself, and is told what follows."""

import json
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault
from jobs.fields import Value
from jobs.wire import InvalidBody
from runs import followers, status
from runs.api.finding import actor, find_run
from runs.launch import LaunchRefused
from runs.models import Following, Run
from runs.status import Status
from triggers.models import Scope, Trigger
from triggers.visibility import visible

_WORDS: Final = [
    word
    for word in (*Status.values, *status.ALIASES)
    if status.parse(word) in (Status.SUCCEEDED, Status.FAILED)
]
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
    """A job that was started because the run ended so."""

    job = Value(wire.SLUG)
    run = Value(wire.WHOLE)
    trigger = Value(wire.WHOLE)
    condition = Value(wire.TEXT)


class NotTriggeredSerializer(serializers.Serializer[Any]):
    """A job that waits for the run's job and was not started, and why; `run`: the skipped or open run, if any."""

    job = Value(wire.SLUG)
    run = Value(wire.WHOLE_OR_NULL)
    trigger = Value(wire.WHOLE)
    condition = Value(wire.TEXT)
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
        entries = followers.complete(
            found, status=ended, result=body.get("result"), error=_error(body, ended), by=actor(request)
        )
        if entries is None:
            found.refresh_from_db(fields=["status"])
            raise LaunchRefused(
                f"Run #{found.pk} is {found.status}: only one that is queued, running or waiting can be completed."
            )
        return Response(CompletedSerializer(_told(found, ended, _seen(request, entries))).data)


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


def _seen(request: Request, entries: Iterable[Following]) -> list[Following]:
    """The entries of triggers whose jobs the caller may see."""
    by_trigger = {entry.trigger_id: entry for entry in entries}
    shown = visible(Trigger.objects.filter(pk__in=by_trigger), auth=request.auth, lookup="job")
    return [by_trigger[pk] for pk in shown.order_by("pk").values_list("pk", flat=True)]


def _told(run: Run, ended: Status, entries: list[Following]) -> dict[str, Any]:
    fired = [entry for entry in entries if entry.outcome == Following.Outcome.FIRED]
    return {
        "run": run.pk,
        "status": ended.value,
        "triggeredCount": len(fired),
        "triggered": [_entry(entry) for entry in fired],
        "skipped": [{**_entry(entry), "reason": entry.reason} for entry in entries if entry not in fired],
    }


def _entry(entry: Following) -> dict[str, Any]:
    trigger = entry.trigger
    return {
        "job": trigger.job.slug,
        "run": entry.run_id,
        "trigger": trigger.pk,
        "condition": trigger.condition,
    }

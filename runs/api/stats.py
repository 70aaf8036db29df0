"""Numbers for programs: one run's attempts in the words of S4, the lanes, the workers."""

from collections import Counter
from typing import Any, ClassVar, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import parameters, wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Text, Value
from jobs.priority import LANES
from runs import queues
from runs.api.finding import find_run
from runs.error_groups import normalised
from runs.models import Run, TriggerKind, Worker
from runs.queues import Queue
from runs.status import OPEN, Status
from triggers.visibility import visible

_GOOD: Final = ("succeeded", "waiting")
_NEITHER: Final = ("running", "interrupted", "cancelled", "skipped")
_QUEUE: Final = {
    "type": "object",
    "properties": {"waiting": wire.WHOLE, "active": wire.WHOLE, "delayed": wire.WHOLE},
}


class RunStatsSerializer(serializers.Serializer[Any]):
    """One run with the numbers of its attempts, in the words of S4 where they are others than ours."""

    trigger_run_id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    job = Value(wire.SLUG)
    trigger = Value({"type": "string", "enum": TriggerKind.values})
    trigger_id = Value(wire.WHOLE_OR_NULL)
    recipient_user_id = Value(wire.TEXT_OR_NULL)
    page_id = Value(wire.ANYTHING)
    flow_id = Value(wire.ANYTHING)
    status = Value({"type": "string", "enum": Status.values})
    trigger_context = Value(wire.OBJECT)
    created_at = Instant(wire.INSTANT)
    completed_at = Instant()
    next_step_at = Instant()
    next_step_id = Value(wire.TEXT_OR_NULL)
    stats = Value(
        {
            "type": "object",
            "properties": {
                **dict.fromkeys(("total_attempts", "successful", "failed", "pending"), wire.WHOLE),
                "success_rate": {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}%$"},
            },
        }
    )
    error_breakdown = Value(
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": wire.TEXT, "error": wire.TEXT, "count": wire.WHOLE},
            },
        }
    )
    queue = Value(_QUEUE)


class RunStatsView(Endpoint):
    """Read the numbers of one run."""

    answers: ClassVar = {200: RunStatsSerializer}

    def get(self, request: Request, run: str) -> Response:
        """Read one run with the numbers of its attempts, its errors, and how full its lane is."""
        return Response(RunStatsSerializer(_run_stats(find_run(request, run))).data)


def _run_stats(run: Run) -> dict[str, Any]:
    shown = parameters.mask(run.job.schema, run.parameters)
    length = queues.lengths()[run.lane]
    return {
        "trigger_run_id": run.pk,
        "name": run.name,
        "job": run.job.slug,
        "trigger": run.trigger_kind,
        "trigger_id": run.trigger_id,
        "recipient_user_id": run.target,
        "page_id": shown.get("page_id", run.context.get("page_id")),
        "flow_id": shown.get("flow_id", run.job.slug),
        "status": run.status,
        "trigger_context": run.context,
        "created_at": run.created_at,
        "completed_at": run.finished_at,
        "next_step_at": run.due_at,
        "next_step_id": run.next_step,
        "stats": _attempts(run),
        "error_breakdown": _errors(run),
        "queue": {"waiting": length.waiting, "active": length.active, "delayed": length.delayed},
    }


def _attempts(run: Run) -> dict[str, Any]:
    outcomes = [entry["outcome"] for entry in run.history()]
    good = sum(outcome in _GOOD for outcome in outcomes)
    bad = sum(outcome not in (*_GOOD, *_NEITHER) for outcome in outcomes)
    return {
        "total_attempts": len(outcomes),
        "successful": good,
        "failed": bad,
        "pending": int(run.status in OPEN),
        "success_rate": f"{100 * good / (good + bad) if good + bad else 0:.2f}%",
    }


def _errors(run: Run) -> list[dict[str, Any]]:
    told = [entry["error"] or {} for entry in run.history() if entry.get("error")]
    counted = Counter((str(e.get("type", "")), normalised(str(e.get("message", "")))) for e in told)
    return [{"type": kind, "error": text, "count": count} for (kind, text), count in counted.most_common()]


class QueueSerializer(serializers.Serializer[Queue]):
    """One lane: what waits in it, goes on and is to come, and who serves it."""

    lane = Value({"type": "string", "enum": list(LANES)}, source="lane.name")
    waiting = Value(wire.WHOLE, source="length.waiting")
    is_estimated = Value(wire.YES_NO, source="length.is_estimated")
    active = Value(wire.WHOLE, source="length.active")
    delayed = Value(wire.WHOLE, source="length.delayed")
    waiting_since = Instant(source="length.waiting_since")
    wait_p50_seconds = Value(wire.NUMBER_OR_NULL, source="ended.wait_p50_seconds")
    wait_p95_seconds = Value(wire.NUMBER_OR_NULL, source="ended.wait_p95_seconds")
    launched_per_minute = serializers.SerializerMethodField()
    ended_per_minute = serializers.SerializerMethodField()
    slots = Value(wire.WHOLE)
    shared = Value(wire.YES_NO)
    workers = serializers.SerializerMethodField()
    paused_at = Instant(source="lane.paused_at")
    paused_by = Text(source="lane.paused_by")
    paused_reason = Text(source="lane.paused_reason")

    @extend_schema_field({"type": "array", "items": dict(wire.WHOLE)})
    def get_launched_per_minute(self, queue: Queue) -> list[int]:
        """How many runs came into it in each of the last 30 minutes, the current one at the end."""
        return queue.paces.launched

    @extend_schema_field({"type": "array", "items": dict(wire.WHOLE)})
    def get_ended_per_minute(self, queue: Queue) -> list[int]:
        """How many runs of it ended in each of them."""
        return queue.paces.ended

    @extend_schema_field(dict(wire.WHOLE))
    def get_workers(self, queue: Queue) -> int:
        """How many live workers serve it."""
        return len(queue.workers)


class QueuesSerializer(serializers.Serializer[Any]):
    """All lanes together, and each."""

    waiting = Value(wire.WHOLE)
    active = Value(wire.WHOLE)
    delayed = Value(wire.WHOLE)
    lanes = QueueSerializer(many=True, read_only=True)


class QueueStatsView(Endpoint):
    """Read how full the lanes are."""

    answers: ClassVar = {200: QueuesSerializer}

    def get(self, request: Request) -> Response:
        """Read how many runs wait, go on and are to come in each lane; long queues are estimated."""
        found = queues.queues(timezone.now())
        sums = {
            name: sum(getattr(queue.length, name) for queue in found)
            for name in ("waiting", "active", "delayed")
        }
        return Response(QueuesSerializer({**sums, "lanes": found}).data)


class WorkerSerializer(serializers.Serializer[Worker]):
    """A live worker, how many of its slots are busy, and the runs that go on in them."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    hostname = Value(wire.TEXT)
    pid = Value(wire.WHOLE)
    lanes = Value({"type": "array", "items": {"type": "string", "enum": list(LANES)}})
    concurrency = Value(wire.WHOLE)
    busy = serializers.SerializerMethodField()
    runs = serializers.SerializerMethodField()
    commit = Text()
    draining_at = Instant()
    drained_by = Text()
    started_at = Instant(wire.INSTANT)
    heartbeat_at = Instant(wire.INSTANT)
    memory_bytes = Value(wire.WHOLE_OR_NULL)
    pinged_at = Instant()
    ping_seconds = Value(wire.NUMBER_OR_NULL)

    @extend_schema_field(dict(wire.WHOLE))
    def get_busy(self, worker: Worker) -> int:
        """How many of its slots carry a run."""
        return len(self.context["busy"][worker.pk])

    @extend_schema_field({"type": "array", "items": dict(wire.WHOLE)})
    def get_runs(self, worker: Worker) -> list[int]:
        """The runs that the caller may see."""
        return [run.pk for run in self.context["busy"][worker.pk] if run.pk in self.context["seen"]]


class WorkersSerializer(serializers.Serializer[Any]):
    """The workers that take work."""

    workers = WorkerSerializer(many=True, read_only=True)


class WorkerStatsView(Endpoint):
    """Read which workers there are."""

    answers: ClassVar = {200: WorkersSerializer}

    def get(self, request: Request) -> Response:
        """Read which workers are alive, what lanes they serve, and what they carry."""
        workers = queues.live_workers(timezone.now())
        busy = queues.busy(workers)
        ids = [run.pk for runs in busy.values() for run in runs]
        seen = visible(Run.objects.filter(pk__in=ids), auth=request.auth, lookup="job")
        context = {"busy": busy, "seen": set(seen.values_list("pk", flat=True))}
        return Response(WorkersSerializer({"workers": workers}, context=context).data)

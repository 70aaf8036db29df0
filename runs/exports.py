"""Writes a list of runs as CSV or NDJSON, line by line, newest first, and no more than `MOST` of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet

from jobs import wire
from runs.models import Run
from runs.reports import written

MOST: Final = 50_000
# So many are read at a time, each time behind the last: no cursor is held open while a slow reader reads.
PORTION: Final = 1_000
COLUMNS: Final = (
    *("id", "name", "job", "status", "trigger", "cause", "lane", "priority", "target", "tags", "campaign"),
    *("attempt", "max_attempts", "created_at", "queued_at", "started_at", "finished_at"),
    *("wait_seconds", "duration_seconds", "failure_reason", "error_type", "error_message", "skip_reason"),
)
_READ: Final = (
    *("status", "trigger_kind", "cause", "lane", "priority", "target", "tags", "campaign_id", "attempt"),
    *("max_attempts", "created_at", "queued_at", "started_at", "finished_at", "failure_reason", "error"),
    *("skip_reason", "job__slug"),
)


def csv(runs: QuerySet[Run], *, most: int = MOST) -> Iterator[str]:
    """The lines of a CSV with a header."""
    yield written(COLUMNS)
    for run in _newest(runs, most):
        yield written(_text(value) for value in _values(run).values())


def ndjson(runs: QuerySet[Run], *, most: int = MOST) -> Iterator[str]:
    """One JSON object a line."""
    for run in _newest(runs, most):
        yield json.dumps(_values(run), ensure_ascii=False) + "\n"


FORMATS: Final[Mapping[str, tuple[Callable[[QuerySet[Run]], Iterator[str]], str]]] = {
    "csv": (csv, "text/csv"),
    "ndjson": (ndjson, "application/x-ndjson"),
}


def _newest(runs: QuerySet[Run], most: int) -> Iterator[Run]:
    runs, left, last = runs.select_related("job").only(*_READ).order_by("-pk"), most, None
    while left:
        portion = list((runs if last is None else runs.filter(pk__lt=last))[: min(PORTION, left)])
        yield from portion
        if len(portion) < PORTION:
            return
        left, last = left - len(portion), portion[-1].pk


def _values(run: Run) -> dict[str, Any]:
    error = run.error or {}
    return {
        "id": run.pk,
        "name": run.name,
        "job": run.job.slug,
        "status": run.status,
        "trigger": run.trigger_kind,
        "cause": run.cause,
        "lane": run.lane,
        "priority": run.priority,
        "target": run.target,
        "tags": run.tags,
        "campaign": run.campaign_id,
        "attempt": run.attempt,
        "max_attempts": run.max_attempts,
        "created_at": _instant(run.created_at),
        "queued_at": _instant(run.queued_at),
        "started_at": _instant(run.started_at),
        "finished_at": _instant(run.finished_at),
        "wait_seconds": _seconds(run.wait),
        "duration_seconds": _seconds(run.duration),
        "failure_reason": run.failure_reason,
        "error_type": error.get("type"),
        "error_message": error.get("message"),
        "skip_reason": run.skip_reason or None,
    }


def _instant(at: datetime | None) -> str | None:
    return wire.instant_text(at) if at else None


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)

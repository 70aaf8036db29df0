"""The page /: is it healthy, what failed, what comes next?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job
from jobs.priority import LANES
from runs import stats, strips
from runs.models import Circuit, Heartbeat, Lane, Run, Worker
from runs.views import live
from runs.views.access import VIEW_RUNS, permitted
from runs.views.chart import ORDER, chart
from runs.views.run_list import rights
from runs.views.schedule_words import described
from triggers.models import ApiKey, Kind, Trigger

POLL_SECONDS = 10
SHOWN = 10
BEAT_SILENT_AFTER = timedelta(seconds=15)
# A site is new, and its first steps are shown, until its first run is so old.
NEW_FOR = timedelta(days=7)
STEPS = (
    ("run", "Run a job by hand", "pages:jobs", ""),
    ("schedule", "Give a job a schedule", "pages:schedules", ""),
    ("call", "Start a job from outside, by its curl line", "pages:jobs", ""),
    ("retry", "Look at a run that failed, and retry it", "pages:runs", "?status=failed"),
)


@dataclass(frozen=True, slots=True)
class Vital:
    """One sign of life: its name, whether it is well, and in words."""

    name: str
    ok: bool
    words: str
    at: datetime | None = None


@permitted(VIEW_RUNS)
@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page, or for its poller the pieces of it that changed."""
    now, seen = timezone.now(), live.seen(request)
    pieces = {
        name: live.piece(request, f"runs/_{name}.html", {**context(now), "may": rights(request)})
        for name, context in PIECES.items()
    }
    # The mark of a refresh is no change.
    prints = {
        name: live.fingerprint(html.replace(' hx-swap-oob="true"', "")) for name, html in pieces.items()
    }
    poller = live.poller(reverse("pages:dashboard"), prints=prints, seconds=POLL_SECONDS)
    if live.is_refresh(request):
        changed = {name: html for name, html in pieces.items() if seen.get(name) != prints[name]}
        return live.answer(poller, changed) if changed else live.unchanged(seconds=POLL_SECONDS)
    return render(
        request,
        "runs/dashboard.html",
        {"live": True, "pieces": pieces, "poller": poller, "steps": _steps(now)},
    )


def _health(now: datetime) -> dict[str, Any]:
    beats = Heartbeat.objects.filter(name__startswith="beat:").order_by("-at")
    # Lanes are always there: one of them carries the answers to both questions.
    beat_at, is_any_open = Lane.objects.values_list(
        Subquery(beats.values("at")[:1]), Exists(Circuit.objects.filter(opened_at__isnull=False))
    )[0]
    workers = list(
        Worker.objects.filter(lease_until__gt=now, stopping_at__isnull=True, ready_at__isnull=False)
    )
    breakers = [Vital("Circuit breakers", False, "not all are closed: their jobs don't start")]
    return {
        "vitals": [
            _beat(beat_at, now),
            *(_lane(lane, workers) for lane in LANES),
            *(breakers if is_any_open else []),
        ]
    }


def _beat(at: datetime | None, now: datetime) -> Vital:
    if at is None:
        return Vital("Beat", False, "never started: no schedule fires")
    silent = now - at > BEAT_SILENT_AFTER
    return Vital("Beat", not silent, "silent since" if silent else "alive", at if silent else None)


def _lane(lane: str, workers: list[Worker]) -> Vital:
    serving = [worker for worker in workers if lane in worker.lanes]
    if not serving:
        return Vital(f"Lane {lane}", False, "no worker: its runs wait")
    taking = [worker for worker in serving if worker.draining_at is None]
    if not taking:
        return Vital(f"Lane {lane}", False, "all workers drain: its runs wait")
    slots = sum(worker.concurrency for worker in taking)
    return Vital(f"Lane {lane}", True, f"{_counted(len(taking), 'worker')}, {_counted(slots, 'slot')}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _numbers(now: datetime) -> dict[str, Any]:
    day = stats.last_day(now)
    change = None
    if day.total.success_rate is not None and day.before.success_rate is not None:
        change = round((day.total.success_rate - day.before.success_rate) * 100, 1)
    return {"day": day, "change": change, "chart": chart(day.hours), "order": ORDER}


def _failing(now: datetime) -> dict[str, Any]:
    found = stats.failing(limit=SHOWN)
    results = strips.of_jobs([one.job_id for one in found]) if found else {}
    return {"failing": [(one, results[one.job_id]) for one in found]}


def _running(now: datetime) -> dict[str, Any]:
    running = Run.objects.filter(status=Run.Status.RUNNING).select_related("job")
    return {"running": running.defer("parameters", "result", "context", "attempts").order_by("-pk")[:SHOWN]}


def _next(now: datetime) -> dict[str, Any]:
    """The next slots to come; those at which nothing will start are shown with the reason."""
    coming = Trigger.objects.schedules().enabled().filter(next_run_at__isnull=False, next_slot__isnull=False)
    triggers = coming.select_related("job").order_by("next_run_at", "id")[:SHOWN]
    return {"coming": [(trigger, described(trigger), _held(trigger, now)) for trigger in triggers]}


def _held(trigger: Trigger, now: datetime) -> str:
    """The word for what keeps the slot from starting anything: the job's status, or a pause of the schedule."""
    status = trigger.job.effective_status(now)
    if status != Job.Status.ACTIVE:
        return status
    return "" if trigger.runs_next_at else "paused"


PIECES: dict[str, Callable[[datetime], dict[str, Any]]] = {
    "health": _health,
    "numbers": _numbers,
    "failing": _failing,
    "running": _running,
    "next": _next,
}


def _steps(now: datetime) -> list[dict[str, Any]]:
    """The first steps on a new site with what is done of them; none once the site is in use or all are done."""
    asked = {
        "old": Exists(Run.objects.filter(created_at__lt=now - NEW_FOR)),
        "run": Exists(Run.objects.all()),
        "schedule": Exists(Trigger.objects.filter(kind=Kind.SCHEDULE)),
        "call": Exists(ApiKey.objects.filter(launches__gt=0)),
        "retry": Exists(Run.objects.filter(retry_of__isnull=False)),
    }
    rows: list[Any] = list(Job.objects.order_by().values(**asked)[:1])
    done = rows[0] if rows else {}
    steps = [
        {"words": words, "url": reverse(page) + query, "done": done.get(name, False)}
        for name, words, page, query in STEPS
    ]
    return [] if done.get("old") or all(step["done"] for step in steps) else steps

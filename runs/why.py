"""Words for "why is this run not running?", from the same row of `runs_gate` that the claim decides by."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils import timezone

from runs.models import Run, Worker
from runs.status import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run does not run: one word for programs, one sentence for people."""

    code: str
    sentence: str


_GATE = """
    SELECT gate.blocker, l.paused_at, l.paused_by, l.paused_reason, j.paused_by, j.paused_until, j.paused_reason,
           j.max_concurrent_runs,
           ARRAY(SELECT id FROM runs_run b WHERE b.job_id = gate.job_id AND b.status = 'running' LIMIT 3)
    FROM runs_gate gate JOIN jobs_job j ON j.id = gate.job_id JOIN runs_lane l ON l.name = %s
    WHERE gate.group_id = %s"""


def why(run: Run) -> Reason | None:
    """Why `run`, which is open and not running, does not run; None for every other run."""
    if run.status == Status.SCHEDULED:
        return _scheduled(run)
    if run.status == Status.WAITING:
        until = f" until {_clock(run.due_at)}" if run.due_at else " for somebody outside to report"
        step = f"; next step: {run.next_step}" if run.next_step else ""
        return Reason("waiting", f"It waits{until}{step}.")
    if run.status != Status.QUEUED:
        return None
    return _held_back(run) or _no_worker(run) or _slots_taken(run)


def _scheduled(run: Run) -> Reason:
    if run.attempt:
        return Reason(
            "retry_delay",
            f"Attempt {run.attempt} of {run.max_attempts} failed; the next is due {_clock(run.due_at)}.",
        )
    return Reason("not_due", f"It is due {_clock(run.due_at)}.")


def _held_back(run: Run) -> Reason | None:
    with connection.cursor() as cursor:
        cursor.execute(_GATE, [run.lane, run.group_id])
        row = cursor.fetchone()
    blocker, lane_at, lane_by, lane_why, job_by, job_until, job_why, limit, running = row
    if lane_at is not None:
        return Reason("lane_paused", f"The lane {run.lane} is paused{_details(lane_by, None, lane_why)}.")
    if blocker == "job_paused":
        return Reason(blocker, f"The job is paused{_details(job_by, job_until, job_why)}.")
    if blocker == "job_inactive":
        return Reason(blocker, "The job is inactive; the run will be skipped.")
    if blocker == "job_limit":
        by = ", ".join(f"#{number}" for number in running)
        return Reason(blocker, f"The job's limit of {limit} runs at a time is reached (by {by}).")
    return None


def _no_worker(run: Run) -> Reason | None:
    now = timezone.now()
    live = Worker.objects.filter(lease_until__gt=now, stopping_at__isnull=True, lanes__contains=[run.lane])
    if live.exists():
        return None
    return Reason("no_worker", f"No worker is alive on the lane {run.lane}.")


def _slots_taken(run: Run) -> Reason:
    ahead = Run.objects.filter(status=Status.QUEUED, lane=run.lane, priority__lte=run.priority, pk__lt=run.pk)
    count = len(ahead.values_list("pk", flat=True)[:1000])
    if not count:
        return Reason("next", f"It is next in the lane {run.lane} and starts as soon as a slot is free.")
    number = "1000 or more" if count == 1000 else str(count)
    return Reason("in_line", f"{number} runs are before it in the lane {run.lane}.")


def _details(by: str, until: datetime | None, reason: str) -> str:
    parts = [
        f" by {by}" if by else "",
        f" until {_clock(until)}" if until else "",
        f" ({reason})" if reason else "",
    ]
    return "".join(parts)


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "soon"

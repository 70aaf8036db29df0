"""Words for "why is this run not running?", from the same row of `runs_gate` that the claim decides by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from runs.models import Campaign, Run, Worker
from runs.status import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run does not run: one word for programs, one sentence for people."""

    code: str
    sentence: str


_GATE = """
    SELECT gate.group_id, l.name, gate.blocker, l.paused_at, l.paused_by, l.paused_reason,
           j.paused_by, j.paused_until, j.paused_reason, j.max_concurrent_runs,
           ARRAY(SELECT id FROM runs_run b WHERE b.job_id = gate.job_id AND b.status = 'running' LIMIT 3),
           g.campaign_id
    FROM runs_gate gate JOIN jobs_job j ON j.id = gate.job_id JOIN runs_claimgroup g ON g.id = gate.group_id
    CROSS JOIN runs_lane l
    WHERE gate.group_id = ANY(%s) AND l.name = ANY(%s)"""


def why(run: Run) -> Reason | None:
    """Why `run`, which is open and not running, does not run; None for every other run."""
    reason = of_runs([run]).get(run.pk)
    return _place(run) if reason is not None and reason.code == "in_line" else reason


def of_runs(runs: Sequence[Run]) -> dict[int, Reason]:
    """Why each of `runs` that is open and not running does not run, in two queries.

    How many are before a run in its lane would take a query for each, so here all those are "in line".
    """
    queued = [run for run in runs if run.status == Status.QUEUED]
    held = _held_back(queued) if queued else {}
    lanes = _live_lanes() if queued else set()
    found = {run.pk: _later(run) for run in runs if run.status in (Status.SCHEDULED, Status.WAITING)}
    for run in queued:
        found[run.pk] = held.get((run.group_id, run.lane)) or _in_line(run, lanes)
    return found


def _later(run: Run) -> Reason:
    if run.status == Status.WAITING:
        until = f" until {_clock(run.due_at)}" if run.due_at else " for somebody outside to report"
        step = f"; next step: {run.next_step}" if run.next_step else ""
        return Reason("waiting", f"It waits{until}{step}.")
    if run.attempt:
        return Reason(
            "retry_delay",
            f"Attempt {run.attempt} of {run.max_attempts} failed; the next is due {_clock(run.due_at)}.",
        )
    if run.due_at is not None and run.due_at <= timezone.now() and run.keeps_last:
        same = Run.objects.open().filter(job_id=run.job_id, dedup_key=run.dedup_key, keeps_last=True)
        started = same.filter(claim_token__isnull=False).values_list("pk", flat=True).first()
        if started is not None:
            return Reason("dedup_started", f"It waits for #{started}, which has the same dedup key, to end.")
    return Reason("not_due", f"It is due {_clock(run.due_at)}.")


def _held_back(runs: Sequence[Run]) -> dict[tuple[int, str], Reason]:
    """What holds runs back, by their group and lane."""
    with connection.cursor() as cursor:
        cursor.execute(_GATE, [[run.group_id for run in runs], [run.lane for run in runs]])
        reasons = {(row[0], row[1]): _blocked(row[1], row[2:]) for row in cursor.fetchall()}
    return {place: reason for place, reason in reasons.items() if reason is not None}


def _blocked(lane: str, row: Sequence[Any]) -> Reason | None:
    blocker, lane_at, lane_by, lane_why, job_by, job_until, job_why, limit, running, campaign_id = row
    if lane_at is not None:
        return Reason("lane_paused", f"The lane {lane} is paused{_details(lane_by, None, lane_why)}.")
    if blocker == "job_paused":
        return Reason(blocker, f"The job is paused{_details(job_by, job_until, job_why)}.")
    if blocker == "job_inactive":
        return Reason(blocker, "The job is inactive; the run will be skipped.")
    if blocker == "job_limit":
        by = ", ".join(f"#{number}" for number in running)
        return Reason(blocker, f"The job's limit of {limit} runs at a time is reached (by {by}).")
    return _held_by_campaign(blocker, Campaign.objects.get(pk=campaign_id)) if blocker else None


def _held_by_campaign(blocker: str, campaign: Campaign) -> Reason:
    which = f"campaign #{campaign.pk} {campaign.name}"
    if blocker == "campaign_paused":
        return Reason(
            blocker, f"The {which} is paused{_details(campaign.paused_by, None, campaign.paused_reason)}."
        )
    if blocker == "campaign_window":
        return Reason(blocker, f"The {which} starts runs only at {campaign.window}.")
    if blocker == "campaign_rate":
        return Reason(blocker, f"The {which} starts no more than {campaign.rate_per_second:g} runs a second.")
    return Reason(blocker, f"The {which} is being cancelled.")


def _live_lanes() -> set[str]:
    """The lanes that a live worker takes work of."""
    live = Worker.objects.filter(lease_until__gt=timezone.now(), stopping_at__isnull=True)
    return {lane for lanes in live.values_list("lanes", flat=True) for lane in lanes}


def _in_line(run: Run, lanes: set[str]) -> Reason:
    if run.lane not in lanes:
        return Reason("no_worker", f"No worker is alive on the lane {run.lane}.")
    return Reason("in_line", f"It is in line in the lane {run.lane}.")


def _place(run: Run) -> Reason:
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

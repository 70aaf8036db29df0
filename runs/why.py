"""Words for "why is this run not running?", from the same row of `runs_gate` that the claim decides by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.utils import timezone

from runs.models import Campaign, Run
from runs.statements import Rows, together
from runs.status import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run does not run: one word for programs, one sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Row:
    """What `runs_gate` says of a group, with what is needed to word it."""

    group_id: int
    lane: str
    blocker: str | None
    lane_paused_at: datetime | None
    lane_paused_by: str
    lane_paused_reason: str
    job_paused_by: str
    job_paused_until: datetime | None
    job_paused_reason: str
    target: str | None
    target_paused_by: str | None
    target_paused_until: datetime | None
    target_paused_reason: str | None
    limit: int | None
    running: Sequence[int]
    campaign_id: int | None
    max_starts: int | None
    starts_window_seconds: int
    next_start_at: datetime | None
    circuit: str | None
    opened_at: datetime | None
    open_until: datetime | None
    probe_run_id: int | None


# More runs than these are not counted.
MOST = 1000
_GATE = """
    SELECT gate.group_id, l.name AS lane, gate.blocker, l.paused_at AS lane_paused_at,
           l.paused_by AS lane_paused_by, l.paused_reason AS lane_paused_reason,
           j.paused_by AS job_paused_by, j.paused_until AS job_paused_until, j.paused_reason AS job_paused_reason,
           g.target, t.paused_by AS target_paused_by, t.paused_until AS target_paused_until,
           t.paused_reason AS target_paused_reason,
           j.max_concurrent_runs AS limit,
           ARRAY(SELECT id FROM runs_run b WHERE b.job_id = gate.job_id AND b.status = 'running' LIMIT 3)
               AS running,
           g.campaign_id, j.max_starts, j.starts_window_seconds, gate.next_start_at,
           k.target AS circuit, k.opened_at, k.open_until, k.probe_run_id
    FROM runs_gate gate JOIN jobs_job j ON j.id = gate.job_id JOIN runs_claimgroup g ON g.id = gate.group_id
    LEFT JOIN runs_circuit k ON k.target = j.circuit_target
    LEFT JOIN runs_pausedtarget t ON t.name = g.target
    CROSS JOIN runs_lane l
    WHERE gate.group_id = ANY(%s::bigint[]) AND l.name = ANY(%s::text[])"""
# The lanes that a live worker takes work of.
_LANES = """
    SELECT DISTINCT unnest(lanes) AS lane FROM runs_worker
    WHERE lease_until > clock_timestamp() AND stopping_at IS NULL AND draining_at IS NULL"""
# How many runs that may start come before a run, by the claim's own rule; of each level so many are looked at.
_AHEAD = """
    SELECT count(*) AS ahead FROM (
        SELECT 1 FROM runs_run own
        CROSS JOIN runs_levels(own.lane) level
        JOIN runs_gate gate ON gate.group_id = level.group_id
        CROSS JOIN LATERAL (
            SELECT r.id, r.queued_at FROM runs_run r
            WHERE r.status = 'queued' AND r.lane = own.lane AND r.group_id = level.group_id
              AND r.priority >= level.priority AND r.priority <= level.priority
            ORDER BY r.priority, r.id LIMIT %(most)s::bigint) r
        WHERE own.id = %(run)s::bigint AND gate.blocker IS NULL
          AND (runs_urgency(level.priority, r.queued_at, %(seconds)s::float8, %(limit)s::int), r.id)
            < (runs_urgency(own.priority, own.queued_at, %(seconds)s::float8, %(limit)s::int), own.id)
        LIMIT %(most)s::bigint) ahead"""
# The concurrency keys of which no more may run, from the view that the claim counts by.
_KEYS = """
    SELECT key.job_id, key.concurrency_key, key.running + key.free,
           ARRAY(SELECT b.id FROM runs_run b WHERE b.job_id = key.job_id AND b.status = 'running'
                 AND b.concurrency_key = key.concurrency_key LIMIT 3)
    FROM runs_key key
    WHERE key.job_id = ANY(%s) AND key.concurrency_key = ANY(%s) AND key.free <= 0"""


def why(run: Run) -> Reason | None:
    """Why `run`, which is open and not running, does not run; None for every other run."""
    if run.status != Status.QUEUED:
        return of_runs([run]).get(run.pk)
    place = {"run": run.pk, "most": MOST, "seconds": settings.AGING_SECONDS, "limit": settings.AGING_LIMIT}
    gates, lanes, (before,) = together((_GATE, [[run.group_id], [run.lane]]), (_LANES, []), (_AHEAD, place))
    reason = _queued([run], gates=gates, lanes=lanes)[run.pk]
    return _place(run, before["ahead"]) if reason.code == "in_line" else reason


def of_runs(runs: Sequence[Run]) -> dict[int, Reason]:
    """Why each of `runs` that is open and not running does not run, in at most three queries.

    How many are before a run in its lane would take a query for each, so here all those are "in line".
    """
    found = {run.pk: _later(run) for run in runs if run.status in (Status.SCHEDULED, Status.WAITING)}
    queued = [run for run in runs if run.status == Status.QUEUED]
    if queued:
        held = [[run.group_id for run in queued], [run.lane for run in queued]]
        gates, lanes = together((_GATE, held), (_LANES, []))
        found |= _queued(queued, gates=gates, lanes=lanes)
    return found


def _queued(runs: Sequence[Run], *, gates: Rows, lanes: Rows) -> dict[int, Reason]:
    reasons = {(row.group_id, row.lane): _blocked(row) for row in (_Row(**gate) for gate in gates)}
    held = {place: reason for place, reason in reasons.items() if reason is not None}
    keys = _taken_keys([run for run in runs if run.concurrency_key])
    live = {row["lane"] for row in lanes}
    return {
        run.pk: held.get((run.group_id, run.lane))
        or keys.get((run.job_id, run.concurrency_key))
        or _in_line(run, live)
        for run in runs
    }


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


def _taken_keys(runs: Sequence[Run]) -> dict[tuple[int, str | None], Reason]:
    """Which concurrency keys of `runs` are taken, by job and key."""
    if not runs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, [[run.job_id for run in runs], [run.concurrency_key for run in runs]])
        return {
            (job, key): Reason(
                "key_limit",
                f"The limit of {_runs(limit)} at a time with the concurrency key {key!r} is reached{_by(ids)}.",
            )
            for job, key, limit, ids in cursor.fetchall()
        }


def _blocked(row: _Row) -> Reason | None:
    """The blocker in words; None if there is none, and for a concurrency key, which each run has its own of."""
    blocker = row.blocker
    if row.lane_paused_at is not None:
        details = _details(row.lane_paused_by, None, row.lane_paused_reason)
        return Reason("lane_paused", f"The lane {row.lane} is paused{details}.")
    if blocker is None or blocker == "key_limit":
        return None
    if row.campaign_id is not None and blocker.startswith("campaign"):
        return _held_by_campaign(blocker, Campaign.objects.get(pk=row.campaign_id))
    if blocker.startswith("circuit"):
        return _held_by_circuit(blocker, row)
    if blocker == "target_paused":
        details = _details(
            row.target_paused_by or "", row.target_paused_until, row.target_paused_reason or ""
        )
        return Reason(blocker, f"The target {row.target!r} is paused{details}.")
    return _held_by_job(blocker, row)


def _held_by_job(blocker: str, row: _Row) -> Reason:
    if blocker == "job_paused":
        details = _details(row.job_paused_by, row.job_paused_until, row.job_paused_reason)
        return Reason(blocker, f"The job is paused{details}.")
    if blocker == "job_limit":
        return Reason(
            blocker, f"The job's limit of {_runs(row.limit)} at a time is reached{_by(row.running)}."
        )
    if blocker == "job_rate":
        return Reason(
            blocker,
            f"The job starts at most {_runs(row.max_starts)} in {row.starts_window_seconds} seconds; "
            f"the next start is possible {_clock(row.next_start_at)}.",
        )
    return Reason(blocker, "The job is inactive; the run will be skipped.")


def _held_by_circuit(blocker: str, row: _Row) -> Reason:
    which = f"The circuit breaker {row.circuit}"
    if blocker == "circuit_probing":
        return Reason(
            blocker, f"{which} is half open: its probe #{row.probe_run_id} decides whether more may start."
        )
    return Reason(
        blocker,
        f"{which} is open since {_clock(row.opened_at)}, because too much failed; "
        f"a probe may start at {_clock(row.open_until)}.",
    )


def _by(running: Sequence[int]) -> str:
    return f" (by {', '.join(f'#{number}' for number in running)})" if running else ""


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


def _in_line(run: Run, lanes: set[str]) -> Reason:
    if run.lane not in lanes:
        return Reason("no_worker", f"No worker is alive on the lane {run.lane}.")
    return Reason("in_line", f"It is in line in the lane {run.lane}.")


def _place(run: Run, ahead: int) -> Reason:
    if not ahead:
        return Reason("next", f"It is next in the lane {run.lane} and starts as soon as a slot is free.")
    number = (
        f"{MOST} or more runs are" if ahead >= MOST else f"{_runs(ahead)} {'is' if ahead == 1 else 'are'}"
    )
    return Reason("in_line", f"{number} before it in the lane {run.lane}.")


def _runs(number: int | None) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _details(by: str, until: datetime | None, reason: str) -> str:
    parts = [
        f" by {by}" if by else "",
        f" until {_clock(until)}" if until else "",
        f" ({reason})" if reason else "",
    ]
    return "".join(parts)


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "soon"

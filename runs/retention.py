"""Retention: deletes ended runs that were kept long enough, with all their rows, a portion at a time.

How long is said by the run (`persistent`, `retain_for_seconds`), else by its job, else by the site
(`HEADWAY_RETAIN_DAYS`). What was counted of a run stays counted, and runs that it caused keep its number.

The way leads through the runs that have a time of their own, and then through job after job, each by id; how
far it came is kept in a row, so that whoever sweeps next goes on from there. A portion is one transaction: who
dies in the middle leaves it undone. Only ended runs are locked, so no claim ever waits for it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q

from jobs.models import Job
from runs.durations import duration_words
from runs.models import Heartbeat, Run
from runs.status import FINAL, OPEN

log = structlog.get_logger(__name__)

NAME: Final = "prune"
LOOKED_AT: Final = 1_000  # runs in one portion
JOBS: Final = 50  # in one portion
STATISTICS: Final = 2_000  # hours of a trigger in one portion
# How long the way rests before it begins anew.
REST: Final = timedelta(minutes=5)
# Beyond it an interval would not be one any more.
LONGEST: Final = 100 * 365 * 86_400

_OPEN = ", ".join(f"'{status.value}'" for status in OPEN)
_FINAL = ", ".join(f"'{status.value}'" for status in FINAL)
_OF_ITS_OWN = "r.retain_for_seconds IS NOT NULL AND NOT r.persistent"
_OF_JOB = "r.job_id = %(job)s"

# Who still needs a run: an open one that it caused or that retries it, its dependents as long as they were not
# looked at or wait for another upstream, who is still to be told of it, its campaign while that goes on, and the
# program that may repeat its launch.
_NEEDED = f"""
    EXISTS (SELECT 1 FROM runs_run o WHERE o.parent_id = r.id AND o.status IN ({_OPEN}))
    OR EXISTS (SELECT 1 FROM runs_run o WHERE o.root_id = r.id AND o.status IN ({_OPEN}))
    OR EXISTS (SELECT 1 FROM runs_run o WHERE o.retry_of_id = r.id AND o.status IN ({_OPEN}))
    OR EXISTS (SELECT 1 FROM runs_ending e WHERE e.run_id = r.id)
    OR EXISTS (SELECT 1 FROM notifications_notice n WHERE n.run_id = r.id AND n.taken_at IS NULL)
    OR EXISTS (SELECT 1 FROM runs_following f WHERE f.upstream_id = r.id AND f.outcome = 'pending')
    OR EXISTS (SELECT 1 FROM runs_idempotency i WHERE i.run_id = r.id)
    OR EXISTS (SELECT 1 FROM runs_campaign c
               WHERE c.id = r.campaign_id AND c.status NOT IN ('done', 'cancelled'))"""

_LOOKED = f"""
    looked AS MATERIALIZED (
        SELECT r.id, r.created_at, (r.status IN ({_FINAL}) AND NOT r.persistent AND r.finished_at < %(now)s -
            least(coalesce(r.retain_for_seconds, j.retain_for_seconds, %(default)s), {LONGEST})
            * interval '1 second') IS TRUE AS is_over
        FROM runs_run r JOIN jobs_job j ON j.id = r.job_id
        WHERE {{place}} AND r.id > %(after)s ORDER BY r.id LIMIT %(limit)s),
    gone AS MATERIALIZED (
        SELECT r.id, r.job_id FROM looked JOIN runs_run r ON r.id = looked.id
        WHERE looked.is_over AND NOT ({_NEEDED}) {{lock}})"""

_ANSWER = """
    SELECT (SELECT count(*) FROM looked), (SELECT max(id) FROM looked),
        (SELECT count(*) FROM looked WHERE created_at < %(old)s), (SELECT count(*) FROM gone)"""

_PRUNED = """
    INSERT INTO runs_tally AS t (job_id, succeeded, failed, cancelled, skipped, duration_seconds, timed, pruned,
        pruned_at)
    SELECT job_id, 0, 0, 0, 0, 0, 0, count(*), %(now)s FROM gone GROUP BY job_id ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET pruned = t.pruned + excluded.pruned, pruned_at = excluded.pruned_at"""

# What was sent for campaigns and never became a run: lines that could be none, and who came behind a cancel.
_RECIPIENTS = """
    DELETE FROM runs_recipient WHERE run_id IN (
        SELECT p.run_id FROM runs_campaign c JOIN jobs_job j ON j.id = c.job_id
        JOIN runs_recipient p ON p.campaign_id = c.id AND (p.fault IS NOT NULL OR p.run_id > c.expanded_upto)
        WHERE c.status IN ('done', 'cancelled') AND c.finished_at < %(now)s -
            least(coalesce(j.retain_for_seconds, %(default)s), %(longest)s) * interval '1 second'
        LIMIT %(limit)s)"""

_STATISTICS = """
    DELETE FROM runs_hourlytally WHERE id IN (SELECT id FROM runs_hourlytally WHERE hour < %s LIMIT %s)"""

# Entries of the ledger of schedules, but for what is still to be run, and for a schedule that has not come so far. The
# oldest are looked at, so none that was looked at before is met again.
_SLOTS = """
    DELETE FROM triggers_occurrence WHERE id IN (
        SELECT o.id FROM (SELECT * FROM triggers_occurrence ORDER BY id LIMIT %(limit)s) o
        JOIN triggers_trigger t ON t.id = o.trigger_id
        WHERE o.created_at < %(before)s AND o.slot < %(before)s AND o.outcome <> 'due'
          AND (t.next_slot IS NULL OR o.slot < t.next_slot))"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the way stands: the job (0: runs with a time of their own) and the run behind which to look on."""

    job: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """What one portion did at a job: how many runs it looked at and deleted, and where the way goes on."""

    job: int
    looked_at: int
    pruned: int
    next: Place | None


def site_seconds() -> int | None:
    """How long the site keeps runs whose job says nothing, in seconds; None: for ever."""
    return settings.RETAIN_DAYS * 86_400 if settings.RETAIN_DAYS else None


def words(job: Job) -> str:
    """How long the job's runs are kept, for people."""
    if job.retain_for_seconds is not None:
        return f"{duration_words(job.retain_for_seconds)} after their end"
    days = settings.RETAIN_DAYS
    return f"{days} day{'' if days == 1 else 's'} after their end, as everywhere" if days else "for ever"


def prune(now: datetime) -> int:
    """Goes one portion of the way; returns how many runs were deleted. Nobody waits for another who does."""
    with transaction.atomic():
        Heartbeat.objects.bulk_create([Heartbeat(name=NAME, at=now)], ignore_conflicts=True)
        state = Heartbeat.objects.select_for_update(skip_locked=True).filter(name=NAME).first()
        if state is None or now < datetime.fromisoformat(state.detail.get("rests_until", now.isoformat())):
            return 0
        begin_at = Place(state.detail.get("job", 0), state.detail.get("after", 0))
        place: Place | None = None
        pruned = looked_at = 0
        for portion in portions(now, begin=begin_at, jobs=JOBS):
            pruned, looked_at, place = pruned + portion.pruned, looked_at + portion.looked_at, portion.next
            if looked_at >= LOOKED_AT:
                break
        state.at = now
        state.detail = asdict(place) if place else {**asdict(Place()), "rests_until": _rest(now)}
        state.save(update_fields=["at", "detail"])
    if pruned:
        log.info("runs_pruned", runs=pruned)
    return pruned


def _rest(now: datetime) -> str:
    """Does what is done once a round, and says until when to rest."""
    prune_statistics(now)
    prune_slots(now)
    with connection.cursor() as cursor:
        values = {"now": now, "default": site_seconds(), "longest": LONGEST, "limit": LOOKED_AT}
        cursor.execute(_RECIPIENTS, values)
    return (now + REST).isoformat()


def prune_statistics(now: datetime) -> int:
    """Deletes some hourly tallies older than `HEADWAY_STATISTICS_DAYS`; the totals stay. Returns how many."""
    if not settings.STATISTICS_DAYS:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_STATISTICS, [now - timedelta(days=settings.STATISTICS_DAYS), STATISTICS])
        return int(cursor.rowcount)


def prune_slots(now: datetime) -> int:
    """Deletes some entries of the ledger of schedules older than `HEADWAY_LEDGER_DAYS`; returns how many.

    No slot opens again by that: a schedule goes on from its next slot, and `triggers.ledger` refuses to run slots
    by hand that are older than the ledger.
    """
    if not settings.LEDGER_DAYS:
        return 0
    before = now - timedelta(days=settings.LEDGER_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS, {"before": before, "limit": STATISTICS})
        return int(cursor.rowcount)


def portions(
    now: datetime, *, begin: Place, jobs: int | None = None, is_dry: bool = False
) -> Iterator[Portion]:
    """The way from `begin` to its end, or through `jobs` jobs, each portion when asked for; one that is dry
    deletes nothing.
    """
    with_time = [] if site_seconds() is not None else [Q(retain_for_seconds__isnull=False)]
    kept = Job.objects.filter(*with_time, pk__gte=begin.job).order_by("pk")
    ahead: list[tuple[int, int | None]] = [(0, None)] if begin.job == 0 else []
    ahead += kept.values_list("pk", "retain_for_seconds")[:jobs]
    for number, (job, seconds) in enumerate(ahead):
        after: int | None = begin.after if job == begin.job else 0
        following = Place(ahead[number + 1][0]) if number + 1 < len(ahead) else _behind(job, ahead, jobs)
        while after is not None:
            portion = _portion(now, Place(job, after), seconds, following, is_dry=is_dry)
            after = portion.next.after if portion.next and portion.next.job == job else None
            yield portion


def _behind(job: int, ahead: list[Any], jobs: int | None) -> Place | None:
    """Where the way goes on behind the last job that was listed; None: nowhere."""
    return Place(job + 1) if jobs is not None and len(ahead) >= jobs else None


def _portion(
    now: datetime, place: Place, seconds: int | None, following: Place | None, *, is_dry: bool
) -> Portion:
    """One portion at `place`. Runs are numbered as they were made, so behind young ones there are no old ones."""
    default = site_seconds()
    kept_for = seconds if seconds is not None else default
    values = {
        "now": now,
        "old": now - timedelta(seconds=min(kept_for or 0, LONGEST)),
        "default": default,
        "limit": LOOKED_AT,
        **asdict(place),
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(place, is_dry=is_dry), values)
        looked_at, last, old, pruned = cursor.fetchone()
    ends = looked_at < LOOKED_AT or (place.job != 0 and not old)
    return Portion(place.job, looked_at, pruned, following if ends else Place(place.job, last))


def _statement(place: Place, *, is_dry: bool) -> str:
    looked = _LOOKED.format(
        place=_OF_JOB if place.job else _OF_ITS_OWN, lock="" if is_dry else "FOR UPDATE OF r SKIP LOCKED"
    )
    if is_dry:
        return f"WITH {looked} {_ANSWER}"
    deleted = [f"d{number} AS ({delete})" for number, delete in enumerate(_deletions())]
    return f"WITH {', '.join([looked, *deleted, f'pruned AS ({_PRUNED})'])} {_ANSWER}"


def _deletions() -> Iterator[str]:
    """Deletes the runs that are `gone`, and whatever belongs to them: all that would be deleted with one of them."""
    relations = [each for each in Run._meta.related_objects if each.on_delete is models.CASCADE]
    belonging = [(each.related_model._meta.db_table, str(each.field.column)) for each in relations]
    # What is kept by the run's number, because it comes before the run or has no constraint.
    belonging += [("runs_following", "upstream_id"), ("runs_recipient", "run_id"), ("runs_run", "id")]
    for table, column in belonging:
        yield f'DELETE FROM {table} WHERE "{column}" IN (SELECT id FROM gone)'

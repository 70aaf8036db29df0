"""The sweep: puts back at its stop what stood between two stops too long. Each repair is safe at any time, twice.

Beat and every worker's heartbeat process run it; a row that only one of them gets makes it one sweep at a
time. After the database or the sweep itself was away, everything looks dead at once: so rescue waits for one
lease, in which the living renew theirs.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs import changes
from notifications import senders, sending
from runs import (
    bulk,
    deadlines,
    deliveries,
    dispatch,
    firing,
    followers,
    holding,
    lifecycle,
    progress,
    queues,
    reactions,
    retention,
    tallies,
    targets,
    telling,
    tending,
    throughput,
)
from runs.models import Heartbeat, Idempotency, Lane, Worker, WorkerProcess
from triggers import key_use

log = structlog.get_logger(__name__)

NAME = "sweep"
IDEMPOTENCY_HOURS = 24
FOLLOWING = (followers.follow_left_over, followers.expire, firing.release_overdue)
EVENTS = (reactions.fire_batches, deliveries.forget)
NOTIFICATIONS = (telling.take, senders.wake, sending.forget)


def run_for_ever() -> None:
    """Sweeps every `SWEEP_SECONDS`, whatever happens to the database meanwhile."""
    while True:
        try:
            run(database_now())
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            log.warning("sweep_failed", error=str(error).strip())
        time.sleep(settings.SWEEP_SECONDS)


def database_now() -> datetime:
    """The time by the database's clock, the only one that leases and due times are compared with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def run(now: datetime) -> bool:
    """Does one sweep unless another was only just begun; says whether it did.

    A repair that fails is logged and does not keep the others from being done. Two sweeps at once would
    do no harm: each repair takes only rows that no other holds.
    """
    grace_until = _begin(now)
    if grace_until is None:
        return False
    if now >= grace_until:
        _repair(lifecycle.rescue)
    for repair in (
        lifecycle.enqueue,
        lifecycle.skip,
        targets.tend,
        holding.release_left_over,
        deadlines.judge,
        tallies.fold,
        progress.fold_sums,
        partial(throughput.count, now),
        tending.tend,
        bulk.carry_on,
        partial(_forget, now),
        partial(retention.prune, now),
        partial(key_use.prune, now),
        partial(_prune_changes, now),
        refill,
        *FOLLOWING,
        *EVENTS,
        *NOTIFICATIONS,
    ):
        _repair(repair)
    return True


def _repair(repair: Callable[[], object]) -> None:
    """Does one repair. Raises the database's error only if the database is away, and none of the others can be done."""
    try:
        repair()
    except Exception as error:
        # One that fails at each sweep, for what it meets, would end each of them before the others are done.
        if isinstance(error, DatabaseError | InterfaceError) and not connection.is_usable():
            raise
        log.error("repair_failed", repair=str(repair), exc_info=error)


def _begin(now: datetime) -> datetime | None:
    """Takes this sweep for us; returns until when nothing is to be rescued, or None if it is another's.

    After a silence of the sweep (or of the database) of more than half a lease, that is one lease from now.
    """
    lease = timedelta(seconds=settings.LEASE_SECONDS)
    with transaction.atomic():
        first = Heartbeat(name=NAME, at=now - lease)
        Heartbeat.objects.bulk_create([first], ignore_conflicts=True)
        state = Heartbeat.objects.select_for_update(skip_locked=True).filter(name=NAME).first()
        if state is None or timedelta() <= now - state.at < timedelta(seconds=settings.SWEEP_SECONDS / 2):
            return None
        grace_until = datetime.fromisoformat(state.detail.get("grace_until", now.isoformat()))
        if now - state.at > lease / 2:
            grace_until = now + lease
        state.at, state.detail = now, {"grace_until": grace_until.isoformat()}
        state.save(update_fields=["at", "detail"])
    return grace_until


def refill() -> None:
    """Sends hints for every lane that has queued runs: what was not published, or was lost, is found so."""
    for lane in Lane.objects.filter(paused_at__isnull=True).values_list("name", flat=True):
        if count := queues.waiting(lane, most=dispatch.most_hints(lane)):
            dispatch.top_up(lane, count)


def _prune_changes(now: datetime) -> None:
    """Drops what is older in the trail of changes than the site keeps it."""
    if settings.AUDIT_DAYS:
        changes.prune(before=now - timedelta(days=settings.AUDIT_DAYS))


def _forget(now: datetime) -> None:
    """Drops what only the last day needed: idempotency keys, and workers that are long gone."""
    day = now - timedelta(hours=IDEMPOTENCY_HOURS)
    old = Idempotency.objects.filter(created_at__lt=day).values_list("pk", flat=True)[:500]
    Idempotency.objects.filter(pk__in=list(old)).delete()
    gone = Worker.objects.filter(lease_until__lt=day).values_list("pk", flat=True)[:50]
    if gone:
        WorkerProcess.objects.filter(worker_id__in=list(gone)).delete()
        Worker.objects.filter(pk__in=list(gone)).delete()

"""Workers and their slots as the database knows them: registering, renewing the lease, noting deaths.

A *worker* is a Celery worker's main process; a *slot* is a child of it that carries one run at a time. The
worker's lease is renewed by its heartbeat process and vouches for all its slots.
"""

import mmap
import os
import socket
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from runs.models import Worker, WorkerProcess
from runs.statements import planned

# Made in the worker's main process before anything is forked, so that slots find their worker's row by it.
node = uuid.uuid4()
# The lanes that the worker of this node takes hints of; set before anything is forked.
lanes: tuple[str, ...] = ()
# A byte that the worker's main process shares with its slots.
_stopping = mmap.mmap(-1, 1)


def tell_stopping() -> None:
    """The worker was asked to stop: slots that wait for work need not wait any longer."""
    _stopping[0] = 1


def is_stopping() -> bool:
    """Whether this slot's worker was asked to stop."""
    return _stopping[0] != 0


@dataclass(slots=True)
class Slot:
    """This process as a slot: its row, and the name people see on a run."""

    process_id: int
    name: str


_slot: Slot | None = None


def register(*, name: str, pid: int, lanes: Sequence[str], concurrency: int) -> int:
    """Makes a row, with a fresh lease, for the worker of this node; returns its id.

    One that took hints, or drained, before its lease was lost still does.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO runs_worker (node, name, hostname, pid, lanes, concurrency, commit, lease_until,
                   ready_at, draining_at, drained_by)
               SELECT x.node, %s, %s, %s, %s, %s, %s, clock_timestamp() + %s * interval '1 second',
                   before.ready_at, before.draining_at, coalesce(before.drained_by, '')
               FROM (SELECT %s::uuid AS node) x
               LEFT JOIN LATERAL (
                   SELECT w.ready_at, w.draining_at, w.drained_by FROM runs_worker w WHERE w.node = x.node
                   ORDER BY w.id DESC LIMIT 1) before ON true
               RETURNING id""",
            [
                name,
                socket.gethostname(),
                pid,
                list(lanes),
                concurrency,
                settings.COMMIT,
                settings.LEASE_SECONDS,
                node,
            ],
        )
        return int(cursor.fetchone()[0])


def take_over() -> int | None:
    """Prolongs the lease of the worker of this node for a heartbeat process that knows nothing of it; returns its id.

    None if there is none or it has passed. What the worker's slots carry is in the care of the same row then.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE runs_worker SET heartbeat_at = clock_timestamp(),
                   lease_until = clock_timestamp() + %s * interval '1 second'
               WHERE id = (SELECT max(w.id) FROM runs_worker w WHERE w.node = %s)
                 AND lease_until > clock_timestamp()
               RETURNING id""",
            [settings.LEASE_SECONDS, node],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def renew(worker_id: int, *, memory_bytes: int | None = None) -> bool:
    """Prolongs the lease; False if it had passed already, and then nothing may be carried on under it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE runs_worker SET heartbeat_at = clock_timestamp(),
                   lease_until = clock_timestamp() + %s * interval '1 second',
                   memory_bytes = coalesce(%s, memory_bytes)
               WHERE id = %s AND lease_until > clock_timestamp()""",
            [settings.LEASE_SECONDS, memory_bytes, worker_id],
        )
        return bool(cursor.rowcount == 1)


def retire(worker_id: int) -> None:
    """Ends the lease now: the worker is gone, and nothing of it works any more."""
    Worker.objects.filter(pk=worker_id).update(lease_until=Now(), stopping_at=Now())


def stop(worker_id: int) -> None:
    """Lets the worker claim nothing more, while what it carries may go on."""
    Worker.objects.filter(pk=worker_id, stopping_at__isnull=True).update(stopping_at=Now())


def gives_way(lane: str) -> bool:
    """Whether this slot's worker drains while another takes work of `lane`, for whom its hints are then."""
    if _slot is None:
        return False
    live = Worker.objects.filter(lease_until__gt=Now(), stopping_at__isnull=True)
    if not live.filter(processes=_slot.process_id, draining_at__isnull=False).exists():
        return False
    return live.filter(lanes__contains=[lane], draining_at__isnull=True, ready_at__isnull=False).exists()


def set_ready(worker_id: int) -> None:
    """Notes that the worker takes hints now."""
    Worker.objects.filter(pk=worker_id).update(ready_at=Now())


def slot_pids(worker_id: int) -> set[int]:
    """The pids of the worker's slots that are not known to be dead."""
    rows = WorkerProcess.objects.filter(worker_id=worker_id, ended_at__isnull=True)
    return set(rows.values_list("pid", flat=True))


def end_processes(worker_id: int, *, pids: Collection[int] | None = None) -> int:
    """Notes that the worker's slots with these pids are dead, or by default all; returns how many."""
    gone = WorkerProcess.objects.filter(worker_id=worker_id, ended_at__isnull=True)
    if pids is not None:
        gone = gone.filter(pid__in=pids)
    return gone.update(ended_at=Now())


def this_slot() -> Slot | None:
    """This process as a slot of its node's newest live worker, registered when first asked for.

    None while the worker has no live lease: then nothing can be claimed either.
    """
    global _slot  # noqa: PLW0603 - a process is one slot
    if _slot is None:
        live = Worker.objects.filter(node=node, lease_until__gt=Now(), stopping_at__isnull=True)
        worker = live.order_by("-id").first()
        if worker is None:
            return None
        process = WorkerProcess.objects.create(worker=worker, pid=os.getpid())
        _slot = Slot(process_id=process.pk, name=f"{worker.name}:{process.pid}")
    return _slot


def end_slot() -> None:
    """Ends this slot's row: what it holds, perhaps without knowing, goes back. Raises the database's errors."""
    global _slot  # noqa: PLW0603 - a process is one slot
    if _slot is not None:
        WorkerProcess.objects.filter(pk=_slot.process_id).update(ended_at=Now())
        _slot = None


def announce(slot: Slot, *, token: int, run_ids: Sequence[int]) -> set[int] | None:
    """Says that the slot begins its claimed runs up to `token`; returns which of them are to be cancelled.

    None if it may not begin them, because its worker lost the lease meanwhile.
    """
    statement = """
        WITH announced AS (
            UPDATE runs_workerprocess p SET announced = %s FROM runs_worker w
            WHERE p.id = %s AND p.ended_at IS NULL AND w.id = p.worker_id AND w.lease_until > clock_timestamp()
            RETURNING p.id)
        SELECT (SELECT count(*) FROM announced) = 1 AS live, ARRAY(
            SELECT r.id FROM runs_run r WHERE r.id = ANY(%s) AND r.cancel_requested_at IS NOT NULL) AS cancelled"""
    (row,) = planned(statement, [token, slot.process_id, list(run_ids)])
    return set(row["cancelled"]) if row["live"] else None


def look_again() -> None:
    """Forgets this slot's row if it is no longer live, so that the next look registers a new one.

    A claim answers "nothing" both when there is no work and when the worker lost its lease; so a slot that
    was given nothing asks.
    """
    global _slot  # noqa: PLW0603 - a process is one slot
    if _slot is None:
        return
    live = WorkerProcess.objects.filter(
        pk=_slot.process_id,
        ended_at__isnull=True,
        worker__lease_until__gt=Now(),
        worker__stopping_at__isnull=True,
    )
    if not live.exists():
        _slot = None

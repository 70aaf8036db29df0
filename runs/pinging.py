"""Pings a worker: asks whether it is there, and how long the way to it and back takes.

The question and the answer are times in the worker's row, by the database's clock. The worker's heartbeat process
looks for a question at each of its beats, so an answer takes up to half a second from a worker that is well; it says
that the worker lives, reaches the database, and would notice a cancel or a drain.
"""

import time
from typing import Final

from django.db import connection

from runs.models import Worker

# How long an answer is waited for, in seconds, and how often it is looked for.
PATIENCE: Final = 3.0
LOOK_SECONDS: Final = 0.05
_ASK: Final = """
    UPDATE runs_worker SET pinged_at = clock_timestamp(), answered_at = NULL
    WHERE id = %s AND lease_until > clock_timestamp()"""
_ANSWER: Final = """
    UPDATE runs_worker SET answered_at = clock_timestamp()
    WHERE id = %s AND pinged_at IS NOT NULL AND answered_at IS NULL"""


def ping(worker: Worker, *, patience: float = PATIENCE) -> float | None:
    """How many seconds the worker took to answer; None if it did not within `patience` seconds, or is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_ASK, [worker.pk])
        if not cursor.rowcount:
            return None
    until = time.monotonic() + patience
    while time.monotonic() < until:
        worker.refresh_from_db(fields=["pinged_at", "answered_at"])
        if worker.ping_seconds is not None:
            return worker.ping_seconds
        time.sleep(LOOK_SECONDS)
    return None


def words(worker: Worker, seconds: float | None) -> str:
    """What came of a ping, for people."""
    if seconds is None:
        return f"The worker {worker} did not answer within {PATIENCE:g} s, or is gone."
    return f"The worker {worker} answered after {seconds * 1000:.0f} ms."


def answer(worker_id: int) -> None:
    """Answers the question that the worker was asked, if there is one; for its heartbeat process."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWER, [worker_id])

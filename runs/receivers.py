"""What Celery tells us of its processes: a worker gets a heartbeat process, its children become slots."""

import os
import signal
import threading
from typing import Any

import structlog
from celery import signals

from runs import attempts, heartbeat, slices, workers
from runs.leash import die_with_parent

log = structlog.get_logger(__name__)

_heartbeat_pid: int | None = None


@signals.worker_init.connect
def start_heartbeat(sender: Any, **kwargs: Any) -> None:
    """Forks the heartbeat process before the pool has a single child, and keeps it alive."""
    lanes = sorted(sender.app.amqp.queues.consume_from)
    workers.lanes = tuple(lanes)
    if lanes == ["bulk"]:
        slices.forget()
    else:
        slices.shorten()

    def fork() -> None:
        global _heartbeat_pid  # noqa: PLW0603 - one worker, one heartbeat process
        _heartbeat_pid = heartbeat.fork(name=sender.hostname, lanes=lanes, concurrency=sender.concurrency)

    def watch() -> None:
        while True:
            _, status = os.waitpid(_heartbeat_pid or 0, 0)
            log.error("heartbeat_process_ended", status=status)
            fork()
            _tell(signal.SIGUSR1)

    fork()
    threading.Thread(target=watch, name="heartbeat-watch", daemon=True).start()


@signals.worker_ready.connect
def tell_ready(**kwargs: Any) -> None:
    """The worker takes hints: its heartbeat process says so to the site."""
    _tell(signal.SIGUSR1)


@signals.worker_shutting_down.connect
def tell_stopping(**kwargs: Any) -> None:
    """The worker stops: its heartbeat process lets it claim nothing more and ends the grace."""
    workers.tell_stopping()
    _tell(signal.SIGTERM)


@signals.worker_process_init.connect
def become_slot(**kwargs: Any) -> None:
    """A pool child hears cancels from now on, and dies with the worker whatever it is doing."""
    die_with_parent(signal.SIGKILL)
    attempts.become_slot()


def _tell(number: int) -> None:
    if _heartbeat_pid is not None:
        os.kill(_heartbeat_pid, number)

"""The process that polls: hands each source that is due to a thread, and notes that it lives.

It is a process of its own, because looking at a source may take long or for ever (a folder of a server that is
gone, a bucket that doesn't answer) and must not delay the clock, the sweep or a slot. Such a source costs one
thread, which is waited for no more. Any number of pollers may run: a claim is a row (`runs.polling`).
"""

import os
import queue
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models.functions import Now

from runs import polling
from runs.models import Heartbeat
from triggers.models import Source

log = structlog.get_logger(__name__)

NAME: Final = "poller"
LOOK_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 5.0
STOP_SECONDS: Final = 3.0
FORGET_AFTER: Final = timedelta(hours=1)


class Poller:
    """Polls with some threads until it is told to stop."""

    def __init__(self, *, threads: int) -> None:
        self.name = f"{NAME}:{uuid.uuid4().hex[:12]}"
        self.threads = threads
        self.busy: set[int] = set()
        self.stopping = threading.Event()
        self._wake = threading.Event()
        self._claimed: queue.SimpleQueue[Source | None] = queue.SimpleQueue()
        self._said_at = float("-inf")

    def run(self) -> None:
        """Polls until `stop` is called, whatever happens to the database meanwhile; then lets looks end, not long."""
        threads = [
            threading.Thread(target=self._work, name=f"poller-{number}", daemon=True)
            for number in range(self.threads)
        ]
        for thread in threads:
            thread.start()
        while not self.stopping.is_set():
            self._wake.clear()
            try:
                self._tick()
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                log.warning("sources_not_looked_for", error=str(error).strip())
            self._wake.wait(LOOK_SECONDS)
        until = time.monotonic() + STOP_SECONDS
        for _ in threads:
            self._claimed.put(None)
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        connection.close()

    def stop(self) -> None:
        """Claims nothing more. May be called from a signal handler."""
        self.stopping.set()
        self._wake.set()

    def _tick(self) -> None:
        if time.monotonic() - self._said_at >= BEAT_SECONDS:
            self._say()
            self._said_at = time.monotonic()
        while len(self.busy) < self.threads and not self.stopping.is_set():
            source = polling.claim(busy=tuple(self.busy))
            if source is None:
                return
            self.busy.add(source.pk)
            self._claimed.put(source)

    def _say(self) -> None:
        """Notes that this poller lives, and forgets those that have not for long."""
        detail = {"hostname": socket.gethostname(), "pid": os.getpid()}
        Heartbeat.objects.update_or_create(name=self.name, defaults={"at": Now(), "detail": detail})
        Heartbeat.objects.filter(name__startswith=f"{NAME}:", at__lt=Now() - FORGET_AFTER).delete()

    def _work(self) -> None:
        while (source := self._claimed.get()) is not None:
            try:
                close_old_connections()
                polling.poll(source)
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                log.warning("source_not_polled", source=source.name, error=str(error).strip())
                with suppress(DatabaseError, InterfaceError):
                    polling.give_back(source)
            finally:
                self.busy.discard(source.pk)
                self._wake.set()
        connection.close()

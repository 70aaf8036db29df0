"""Beat, the clock: fires due schedules and sweeps, in the database, beside django-celery-beat's own entries.

Firing and sweeping have a thread and a connection each: an ordinary entry may hang on the broker, and a repair of
the sweep may take longer than a schedule can wait. Any number of beats may run: what they do is guarded by rows
(`runs.firing`, `runs.sweep`).
"""

import os
import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django_celery_beat.schedulers import DatabaseScheduler

from runs import firing, restored, sending, sweep
from runs.ahead import Ahead
from runs.models import Heartbeat

log = structlog.get_logger(__name__)

NAME = "beat"
TICK = timedelta(seconds=1)
FORGET_AFTER = timedelta(hours=1)
STANDBY_SECONDS = 1.0


def _identity() -> dict[str, Any]:
    return {"hostname": socket.gethostname(), "pid": os.getpid()}


class Clock(threading.Thread):
    """Ticks at every due slot and at least once a second, whatever happens to the database meanwhile."""

    def __init__(self, beat_name: str) -> None:
        super().__init__(name="clock", daemon=True)
        self.beat_name = beat_name
        self.forget_at = datetime.min.replace(tzinfo=UTC)
        self.knows_database = False
        self.ahead = Ahead()

    def run(self) -> None:
        """Ticks for ever."""
        while True:
            try:
                now = sweep.database_now()
                wake_at = self.tick(now)
                wait = (wake_at - sweep.database_now()).total_seconds()
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                log.warning("tick_failed", error=str(error).strip())
                wait = 1.0
                self.knows_database = False  # it may be another when it is back
            except Exception:  # whatever it is, the next tick comes
                log.exception("tick_failed")
                wait = 1.0
            time.sleep(max(wait, 0.01))

    def tick(self, now: datetime) -> datetime:
        """Fires and says that this beat lives; returns when to tick again."""
        if not self.knows_database:
            self.ahead = Ahead()
            restored.look()
            self.knows_database = True
        self.ahead.fire(now)
        Heartbeat.objects.update_or_create(name=self.beat_name, defaults={"at": now, "detail": _identity()})
        while firing.fire_due(now) >= firing.PORTION:
            now = sweep.database_now()
        if now > self.forget_at:
            self.forget_at = now + FORGET_AFTER
            Heartbeat.objects.filter(name__startswith=f"{NAME}:", at__lt=now - FORGET_AFTER).delete()
        wake_at = firing.next_due(now, within=TICK)
        while sweep.database_now() < wake_at and self.ahead.prepare(now):
            pass
        return wake_at


class Scheduler(DatabaseScheduler):
    """django-celery-beat's scheduler for housekeeping entries, with our clock and a sweep beside it.

    Of several beats one sends the entries (`runs.sending`); the others stand by.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.beat_name = f"{NAME}:{uuid.uuid4().hex[:12]}"
        self.is_sender = False
        super().__init__(*args, **kwargs)
        if not kwargs.get("lazy"):
            Clock(self.beat_name).start()
            threading.Thread(target=sweep.run_for_ever, name="sweep", daemon=True).start()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One round of the ordinary entries; a database that is away ends neither them nor beat."""
        try:
            held = sending.hold(self.beat_name, detail=_identity())
            if held and not self.is_sender:
                self._read_anew()
            self.is_sender = held
            return float(super().tick(*args, **kwargs)) if held else STANDBY_SECONDS
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            log.warning("entries_not_looked_at", error=str(error).strip())
            return 1.0

    def _read_anew(self) -> None:
        """Forgets what it knows of the entries: another beat sent them meanwhile."""
        self._dirty.clear()
        self._initial_read, self._heap = True, None

    def reserve(self, entry: Any) -> Any:
        """Notes that the entry is sent before it is: if we are killed in between, nobody sends it again."""
        reserved = super().reserve(entry)
        self.sync()
        return reserved

    def close(self) -> None:
        """Ends; another beat need not wait until our lease is over."""
        super().close()
        try:
            sending.release(self.beat_name)
        except (DatabaseError, InterfaceError) as error:
            log.warning("lease_not_released", error=str(error).strip())

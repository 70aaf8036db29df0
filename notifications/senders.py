"""Senders: threads that send what is due, in the processes that sweep, for as long as there is something.

Why threads beside the sweep and no task in a lane: a message must go out when the broker is away, and when all slots
are busy, which may be the very thing it tells. Why threads and not the sweep itself: a mail server that hangs is to
hold up nobody but the thread that waits for it. They begin when the sweep finds something due and end, with their
connection to the database, when there is nothing left: a site that tells nothing pays nothing.
"""

import threading
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q
from django.db.models.functions import Now

from notifications import sending
from notifications.models import Message

log = structlog.get_logger(__name__)

MOST: Final = 4  # in each process
_room = threading.BoundedSemaphore(MOST)


def wake() -> int:
    """Sees that somebody sends what is due; returns how many senders were started. The sweep's part."""
    free = Q(claimed_until=None) | Q(claimed_until__lte=Now())
    due = Message.objects.filter(free, status=Message.Status.DUE, due_at__lte=Now())
    channels = due.order_by("channel").values_list("channel", flat=True).distinct()[:MOST]
    started = 0
    for _ in channels:
        if not _room.acquire(blocking=False):
            break
        threading.Thread(target=_send, name="sender", daemon=True).start()
        started += 1
    return started


def _send() -> None:
    try:
        while sending.send_next():
            pass
    except (DatabaseError, InterfaceError) as error:
        log.warning("sender_failed", error=str(error).strip())  # what it held is due again after its lease
    finally:
        connection.close()
        _room.release()

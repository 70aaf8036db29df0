"""Long polling: waits for a run to end without holding a database connection, in at most half of the threads."""

import time
from threading import BoundedSemaphore
from typing import Final

from django.conf import settings
from django.db import connection

from runs.models import Run
from runs.status import OPEN

LONGEST_SECONDS: Final = 60
FIRST_LOOK_SECONDS: Final = 0.05
LONGEST_LOOK_SECONDS: Final = 0.5

# The other half of the threads goes on answering, whatever is waited for.
_seats = BoundedSemaphore(max(settings.WEB_THREADS // 2, 1))


def until_final(run: Run, *, seconds: float) -> bool:
    """Waits until `run` has ended, at most `seconds`; says whether there was room to wait.

    Between two looks the connection goes back to the pool.
    """
    if not seconds or run.is_final:
        return True
    if not _seats.acquire(blocking=False):
        return False
    try:
        _look_until_final(run.pk, deadline=time.monotonic() + seconds)
    finally:
        _seats.release()
    return True


def _look_until_final(number: int, *, deadline: float) -> None:
    pause = FIRST_LOOK_SECONDS
    connection.close()
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
        is_open = Run.objects.filter(pk=number, status__in=OPEN).exists()
        connection.close()
        if not is_open:
            return

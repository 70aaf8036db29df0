"""How often each key is used, by job and hour: counted in memory, written every few seconds.

A call costs no write for it. A web process that is killed forgets what it has not written yet, at most the
last `FLUSH_SECONDS`; `ApiKey.launches`, which is exact, does not come from here.
"""

import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from jobs.models import Job
from triggers.models import ApiKey, KeyUse, RateLimit

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 3.0
KEEP: Final = timedelta(days=90)
MOST_ROWS: Final = 1000

# Key, slug of the job (empty: none in particular), hour, and what was counted.
_uses: Counter[tuple[int, str, datetime, str]] = Counter()
# Key and its rotation: calls with the secret from before it.
_former: Counter[tuple[int, datetime | None]] = Counter()
_guard = threading.Lock()

_ADD = """
    INSERT INTO triggers_keyuse (key_id, job_id, hour, calls, launches)
    SELECT key.id, job.id, used.hour, sum(used.calls), sum(used.launches)
    FROM unnest(%(keys)s::bigint[], %(slugs)s::text[], %(hours)s::timestamptz[], %(calls)s::bigint[],
        %(launches)s::bigint[]) AS used (key_id, slug, hour, calls, launches)
    JOIN triggers_apikey key ON key.id = used.key_id
    LEFT JOIN jobs_job job ON job.slug = used.slug
    GROUP BY key.id, job.id, used.hour
    ON CONFLICT (key_id, hour, job_id) DO UPDATE SET
        calls = triggers_keyuse.calls + excluded.calls, launches = triggers_keyuse.launches + excluded.launches"""
_ADD_FORMER = """
    UPDATE triggers_apikey SET former_calls = former_calls + %s, former_used_at = clock_timestamp()
    WHERE id = %s AND rotated_at = %s"""


def called(key: ApiKey, *, slug: str, now: datetime) -> None:
    """Notes one call with `key` to an address of the job `slug`, or of none in particular (empty)."""
    _note(key, slug=slug, now=now, what="calls")
    if key.on_former_secret:
        with _guard:
            _former[key.pk, key.rotated_at] += 1


def launched(key: ApiKey, *, job: Job) -> None:
    """Notes one run of `job` that was launched with `key`."""
    _note(key, slug=job.slug, now=timezone.now(), what="launches")


def flush() -> None:
    """Writes what was counted since the last time; keeps it if the database can't be reached."""
    with _guard:
        uses, former = _uses.copy(), _former.copy()
        _uses.clear()
        _former.clear()
    if not uses:
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ADD, _columns(uses))
            for (key_id, rotated_at), count in former.items():
                cursor.execute(_ADD_FORMER, [count, key_id, rotated_at])
    except (DatabaseError, InterfaceError) as error:
        log.warning("key_use_not_written", error=str(error).strip())
        with _guard:
            _uses.update(uses)
            _former.update(former)


def flush_for_ever() -> None:
    """Flushes every `FLUSH_SECONDS`; for a thread of each web process."""
    while True:
        time.sleep(FLUSH_SECONDS)
        flush()
        connection.close()


def prune(now: datetime) -> None:
    """Drops some of what is too old to be of use."""
    old = KeyUse.objects.filter(hour__lt=now - KEEP).values_list("pk", flat=True)[:MOST_ROWS]
    KeyUse.objects.filter(pk__in=list(old)).delete()
    RateLimit.objects.filter(free_at__lt=now - timedelta(days=1)).delete()


def _note(key: ApiKey, *, slug: str, now: datetime, what: str) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    with _guard:
        # Slugs that are none would fill the memory.
        place = slug if len(_uses) < MOST_ROWS else ""
        _uses[key.pk, place, hour, what] += 1


def _columns(uses: Counter[tuple[int, str, datetime, str]]) -> dict[str, list[object]]:
    places = sorted({(key, slug, hour) for key, slug, hour, _ in uses})
    return {
        "keys": [key for key, _, _ in places],
        "slugs": [slug for _, slug, _ in places],
        "hours": [hour for _, _, hour in places],
        "calls": [uses[(*place, "calls")] for place in places],
        "launches": [uses[(*place, "launches")] for place in places],
    }

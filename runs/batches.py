"""Gathers deliveries for one run: a due row for each trigger and key, never a delay in the broker."""

from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from triggers.models import Batch, Trigger

BATCH: Final = 100
# A stream that never pauses is given a run after so many times the pause, too.
LONGEST: Final = 10

_ADD: Final = """
    INSERT INTO triggers_batch AS b (trigger_id, key, count, size, opened_at, due_at)
    VALUES (%(trigger)s, %(key)s, 1, %(size)s, clock_timestamp(), clock_timestamp() + %(pause)s * interval '1 s')
    ON CONFLICT (trigger_id, key) DO UPDATE SET count = b.count + 1, size = b.size + EXCLUDED.size,
        due_at = least(EXCLUDED.due_at, b.opened_at + %(pause)s * %(longest)s * interval '1 s')
    RETURNING id"""


def add(trigger: Trigger, *, key: str, size: int) -> Batch:
    """The open batch of the trigger and key, with one delivery more, and due later for it."""
    values: dict[str, str | int] = {
        "trigger": trigger.pk,
        "key": key,
        "size": size,
        "pause": trigger.debounce_seconds,
        "longest": LONGEST,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ADD, values)
        number = cursor.fetchone()[0]
    return Batch.objects.select_related("trigger").get(pk=number)


def is_full(batch: Batch) -> bool:
    """Whether it need not wait any longer: by number, or by as many bytes as one delivery may have."""
    return batch.count >= batch.trigger.debounce_limit or batch.size >= settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def due() -> list[Batch]:
    """The batches whose time has come, those first that waited longest."""
    return list(Batch.objects.filter(due_at__lte=Now()).order_by("due_at", "pk")[:BATCH])


def hold(batch: Batch) -> bool:
    """Locks the batch until the end of the transaction; False if another has it, or it is gone."""
    mine = Batch.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=batch.pk)
    return bool(list(mine))

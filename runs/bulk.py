"""Bulk operations: one act on all the runs that somebody chose, in the background, a portion at a time.

The runs are chosen once, when it is ordered, so that what comes later is not touched; the sweep does the rest. A
portion is one transaction: whoever dies in the middle leaves it undone, and the next goes on there.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs.parameters import InvalidParameters
from runs import causes, launch, lifecycle, urgency
from runs.launch import LaunchRefused
from runs.models import BulkOperation, Run
from runs.plain import plain
from runs.status import FINAL, OPEN
from triggers.models import ApiKey

log = structlog.get_logger(__name__)

# So many runs can be chosen at a time: all that waits in a lane behind the largest campaign, too.
MOST: Final = 1_000_000
# So many runs are named one by one.
NAMED: Final = 10
# How long one sweep may spend on operations, in seconds.
SWEEP_SECONDS: Final = 1.0

Act = BulkOperation.Act
# So many are done in one transaction: a retry is a launch of its own, the others are one statement for all.
PORTIONS: Final[dict[str, int]] = {Act.CANCEL: 2_000, Act.PRIORITY: 2_000, Act.RETRY: 100}


class BulkRefused(LaunchRefused):
    """Nothing was chosen that the act could change, or too much."""


def order(
    runs: QuerySet[Run],
    *,
    act: str,
    words: str,
    priority: int | None = None,
    user: User | None = None,
    api_key: ApiKey | None = None,
) -> BulkOperation:
    """Has `act` done to those of `runs` that it makes sense for; `words` say what was chosen. Raises BulkRefused."""
    by = causes.actor(user=user, api_key=api_key)
    with transaction.atomic():
        made = BulkOperation.objects.create(
            act=act,
            priority=priority,
            filter=plain(words)[:500],
            by=by[:200],
            created_by=user,
            api_key=api_key,
        )
        chosen = _suited(runs, act).order_by().values("id")[: MOST + 1]
        select, values = chosen.query.sql_with_params()
        insert = "INSERT INTO runs_bulktarget (operation_id, run_id) SELECT %s, chosen.id FROM"
        with connection.cursor() as cursor:
            cursor.execute(f"{insert} ({select}) chosen", [made.pk, *values])
            made.total = cursor.rowcount
        if not made.total:
            raise BulkRefused(f"There is no run to {made.words} among them: nothing was done.")
        if made.total > MOST:
            raise BulkRefused(f"These are more runs than {MOST:,}: choose fewer. Nothing was done.")
        made.save(update_fields=["total"])
    made.refresh_from_db()
    log.info("bulk_ordered", operation=made.pk, act=act, total=made.total, by=by)
    return made


def words_of(ids: Sequence[int]) -> str:
    """Runs that were chosen one by one, in words."""
    first = ", ".join(f"#{number}" for number in ids[:NAMED])
    return f"{first} and {len(ids) - NAMED} more" if len(ids) > NAMED else first


def _suited(runs: QuerySet[Run], act: str) -> QuerySet[Run]:
    if act == Act.RETRY:
        return runs.filter(status__in=FINAL)
    if act == Act.PRIORITY:
        return runs.filter(status__in=urgency.CHANGEABLE, campaign__isnull=True)
    return runs.filter(status__in=OPEN, cancel_requested_at__isnull=True)


def stop(operation: BulkOperation, *, by: str) -> bool:
    """Leaves the rest undone; False if it had ended."""
    with transaction.atomic():
        running = BulkOperation.objects.filter(pk=operation.pk, finished_at__isnull=True)
        if not running.update(finished_at=Now(), stopped_by=by[:200]):
            return False
        operation.targets.all().delete()
    log.info("bulk_stopped", operation=operation.pk, by=by)
    return True


def carry_on() -> int:
    """Does portions of what was ordered for a second; returns how many runs were looked at. For the sweep."""
    until, looked_at = time.monotonic() + SWEEP_SECONDS, 0
    while time.monotonic() < until and (portion := _portion()):
        looked_at += portion
    return looked_at


def _portion() -> int:
    with transaction.atomic():
        waiting = BulkOperation.objects.filter(finished_at__isnull=True).order_by("pk")
        operation = waiting.select_for_update(skip_locked=True).first()
        if operation is None:
            return 0
        left = operation.targets.order_by("pk").values_list("pk", "run_id")
        targets = dict(left[: PORTIONS[operation.act]])
        operation.done += _ACTS[operation.act](operation, Run.objects.filter(pk__in=targets.values()))
        operation.targets.filter(pk__in=targets).delete()
        operation.looked_at += len(targets)
        operation.save(update_fields=["looked_at", "done", "refusal"])
        if operation.looked_at >= operation.total or not targets:
            BulkOperation.objects.filter(pk=operation.pk).update(finished_at=Now())
    return len(targets)


def _cancel(operation: BulkOperation, runs: QuerySet[Run]) -> int:
    return len(lifecycle.cancel(runs, by=operation.by))


def _prioritise(operation: BulkOperation, runs: QuerySet[Run]) -> int:
    assert operation.priority is not None
    return len(urgency.change(runs, priority=operation.priority, by=operation.by))


def _retry(operation: BulkOperation, runs: QuerySet[Run]) -> int:
    """A refusal doesn't keep the others from being retried."""
    done = 0
    for run in runs.select_related("job").order_by("pk"):
        cause = causes.retry(run, user=operation.created_by, api_key=operation.api_key)
        try:
            with transaction.atomic():
                done += launch.retry(run, cause=cause).created
        except (LaunchRefused, InvalidParameters) as refusal:
            operation.refusal = f"#{run.pk}: {refusal}"[:300]
    return done


_ACTS: Final[dict[str, Callable[[BulkOperation, QuerySet[Run]], int]]] = {
    Act.CANCEL: _cancel,
    Act.RETRY: _retry,
    Act.PRIORITY: _prioritise,
}

"""Finds the failed runs that nobody has retried yet, a portion behind the other."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from runs.models import Run

# So many runs are read at a time, each time behind the last: no cursor is held open while a slow reader reads, and the
# first one doesn't wait until a million are laid aside for it.
PORTION: Final = 1_000


def left(failed: QuerySet[Run, tuple[Any, ...]], *, newest_first: bool = True) -> Iterator[tuple[Any, ...]]:
    """Those of `failed`, rows that begin with a run's id, that were not retried, by id.

    Which were is asked apart for each portion: of a join the planner may read all for each of them.
    """
    order, behind = ("-pk", "pk__lt") if newest_first else ("pk", "pk__gt")
    rows = failed.order_by(order)
    portion = list(rows[:PORTION])
    while portion:
        again = Run.objects.filter(retry_of__in=[row[0] for row in portion])
        retried = set(again.values_list("retry_of_id", flat=True))
        yield from (row for row in portion if row[0] not in retried)
        portion = list(rows.filter(**{behind: portion[-1][0]})[:PORTION])

"""Writes what people take home of a campaign: its invalid recipients, and those whose runs failed, as CSVs."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jobs import wire
from runs.models import Campaign, Recipient, Run

# So many runs are read at a time, each time behind the last: no cursor is held open while a slow reader reads, and the
# first line doesn't wait until a million are laid aside for it.
PORTION: Final = 1_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def invalid(campaign: Campaign) -> Iterator[str]:
    """The lines of a CSV: each fault of each invalid recipient, with line, key, field and reason."""
    yield written(("line", "key", "field", "reason"))
    rows = Recipient.objects.filter(campaign=campaign, fault__isnull=False).order_by("run_id")
    for line, key, faults in rows.values_list("line", "key", "fault").iterator(chunk_size=1000):
        for fault in faults or ():
            yield written((str(line), key, fault["pointer"].removeprefix("/"), fault["detail"]))


def failures(campaign: Campaign) -> Iterator[str]:
    """The lines of a CSV: each failed run that was not retried, with its recipient and its last error."""
    yield written(("key", "run", "reason", "error", "message", "attempts", "finished_at"))
    for key, number, reason, kind, message, attempts, at in _failed(campaign):
        ended = wire.instant_text(at) if at else ""
        yield written((key or "", str(number), reason or "", kind or "", message or "", str(attempts), ended))


def _failed(campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """The failed runs that were not retried, a portion behind the other."""
    failed = Run.objects.filter(campaign=campaign, status=Run.Status.FAILED, retries__isnull=True)
    rows = failed.order_by("pk").values_list(
        "target", "pk", "failure_reason", "error__type", "error__message", "attempt", "finished_at"
    )
    last = 0
    while portion := list(rows.filter(pk__gt=last)[:PORTION]):
        yield from portion
        last = portion[-1][1]


def written(cells: Iterable[str]) -> str:
    """One line; a cell that a spreadsheet would take for a formula is quoted as text."""
    line = io.StringIO()
    csv.writer(line).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return line.getvalue()

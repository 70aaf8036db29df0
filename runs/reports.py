"""Writes what people take home of a campaign: its invalid recipients, and those whose runs failed, as CSVs."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

from jobs import wire
from runs.failures import left
from runs.models import Campaign, Recipient, Run

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
    rows = Run.objects.filter(campaign=campaign, status=Run.Status.FAILED).values_list(
        "pk", "target", "failure_reason", "error__type", "error__message", "attempt", "finished_at"
    )
    for number, key, reason, kind, message, attempts, at in left(rows, newest_first=False):
        ended = wire.instant_text(at) if at else ""
        yield written((key or "", str(number), reason or "", kind or "", message or "", str(attempts), ended))


def written(cells: Iterable[str]) -> str:
    """One line; a cell that a spreadsheet would take for a formula is quoted as text."""
    line = io.StringIO()
    csv.writer(line).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return line.getvalue()

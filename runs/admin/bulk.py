"""The admin of operations on many runs: what was done, by whom, and a button that stops one."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from jobs.buttons import button
from jobs.panel import ReadOnlyPanel
from runs import bulk
from runs.models import BulkOperation


@admin.register(BulkOperation)
class BulkOperationAdmin(ReadOnlyPanel):
    """Operations on many runs."""

    # Added: never, they are ordered from the list of runs.
    # Changed: never, what was done is history.
    # Deleted: never, the same.

    list_display = ["id", "words", "filter", "state", "looked_at", "total", "done", "by", "created_at"]
    fields: ClassVar[Any] = [*list_display[1:], "refusal", "finished_at", "stopped_by"]
    row_buttons: ClassVar = ["stop"]
    page_buttons: ClassVar = ["stop"]
    sortable_by = ()

    @button(
        "Stop",
        permission="runs.cancel_run",
        offered=lambda operation: operation.finished_at is None,
        danger=True,
    )
    def stop(self, request: HttpRequest, operation: BulkOperation) -> str:
        """Leaves the rest undone."""
        if not bulk.stop(operation, by=request.user.get_username()):
            return f"Operation {operation.pk} had ended already."
        return f"Stopped operation {operation.pk}. What it has done stays done."

"""The admin of workers: which there are and were, and when each was last heard of."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.panel import Panel
from runs.models import Worker
from runs.templatetags.headway import icon, moment


@admin.register(Worker)
class WorkerAdmin(Panel):
    """Workers."""

    list_display = [
        "name",
        "state",
        "serves",
        "concurrency",
        "hostname",
        "pid",
        "heard",
        "since",
        "commit",
    ]
    ordering = ["-lease_until"]
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: a worker registers itself."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a worker's row is its own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a run names the worker that carried it."""
        return False

    @admin.display(description="State")
    def state(self, worker: Worker) -> SafeString:
        """Whether it is believed alive, and takes work."""
        if worker.lease_until <= timezone.now():
            colour, picture, word = "grey", "lost", "gone"
        elif worker.stopping_at is not None:
            colour, picture, word = "amber", "cancelled", "stopping"
        elif worker.ready_at is None:
            colour, picture, word = "grey", "queued", "starting"
        else:
            colour, picture, word = "green", "succeeded", "alive"
        return format_html('<span class="badge {}">{}{}</span>', colour, icon(picture), word)

    @admin.display(description="Lanes")
    def serves(self, worker: Worker) -> str:
        """The lanes it takes work of."""
        return ", ".join(worker.lanes)

    @admin.display(description="Last heard")
    def heard(self, worker: Worker) -> SafeString:
        """Its last heartbeat."""
        return moment(worker.heartbeat_at)

    @admin.display(description="Started")
    def since(self, worker: Worker) -> SafeString:
        """When it started."""
        return moment(worker.started_at)

"""The admin of workers: which there are and were, and when each was last heard of."""

from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import ReadOnlyPanel
from runs import draining, pinging
from runs.models import Worker
from runs.templatetags.headway import icon, moment


def _lives(worker: Worker) -> bool:
    return worker.lease_until > timezone.now() and worker.stopping_at is None


@admin.register(Worker)
class WorkerAdmin(ReadOnlyPanel):
    """Workers."""

    # Added: never, a worker registers itself.
    # Changed: never, a worker's row is its own.
    # Deleted: never, a run names the worker that carried it.

    list_display = [
        "name",
        "state",
        "serves",
        "concurrency",
        "hostname",
        "pid",
        "heard",
        "since",
        "memory",
        "commit",
    ]
    ordering = ["-lease_until"]
    sortable_by = ()
    row_buttons: ClassVar = ["ping", "drain", "take_back"]
    page_buttons: ClassVar = ["ping", "drain", "take_back"]

    @button("Ping", permission="runs.change_worker", offered=_lives)
    def ping(self, request: HttpRequest, worker: Worker) -> str:
        """Asks whether it is there, and waits some seconds for the answer."""
        return pinging.words(worker, pinging.ping(worker))

    @button("Drain", permission="runs.change_worker", offered=lambda worker: _is_up(worker, drains=False))
    def drain(self, request: HttpRequest, worker: Worker) -> str:
        """Has it claim nothing more."""
        if not draining.drain(worker, by=request.user.get_username()):
            return f"The worker {worker} drains already, or is gone."
        return f"The worker {worker} takes no more work. What it carries goes on."

    @button(
        "Take work again", permission="runs.change_worker", offered=lambda worker: _is_up(worker, drains=True)
    )
    def take_back(self, request: HttpRequest, worker: Worker) -> str:
        """Lets it claim again."""
        if not draining.take_back(worker, by=request.user.get_username()):
            return f"The worker {worker} doesn't drain, or is gone."
        return f"The worker {worker} takes work again."

    @admin.display(description="State")
    def state(self, worker: Worker) -> SafeString:
        """Whether it is believed alive, and takes work."""
        if worker.lease_until <= timezone.now():
            colour, picture, word = "grey", "lost", "gone"
        elif worker.stopping_at is not None:
            colour, picture, word = "amber", "cancelled", "stopping"
        elif worker.draining_at is not None:
            colour, picture, word = "violet", "waiting", "draining"
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

    @admin.display(description="Memory")
    def memory(self, worker: Worker) -> str:
        """What its processes held when it was last heard of."""
        return filesizeformat(worker.memory_bytes) if worker.memory_bytes else "–"

    @admin.display(description="Started")
    def since(self, worker: Worker) -> SafeString:
        """When it started."""
        return moment(worker.started_at)


def _is_up(worker: Worker, *, drains: bool) -> bool:
    return _lives(worker) and (worker.draining_at is not None) == drains

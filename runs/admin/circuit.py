"""The admin of circuit breakers: which are open, since when and why, and the button that closes one."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import ReadOnlyPanel, run_link
from runs import circuits
from runs.models import Circuit
from runs.templatetags.headway import circuit_state, moment

EVENTS = 50


@admin.register(Circuit)
class CircuitAdmin(ReadOnlyPanel):
    """Circuit breakers."""

    # Added: never, a job that has a breaker makes it.
    # Changed: never, its state is what its runs and the button say.
    # Deleted: never, what was opened and closed is history.

    list_display = ["target", "badge", "failed", "opened", "until"]
    row_buttons: ClassVar = ["reset"]
    page_buttons: ClassVar = ["reset"]
    fields: ClassVar[Any] = ["target", "badge", "failed", "opened", "until", "probe", "history"]
    readonly_fields = fields
    search_fields = ["target"]
    sortable_by = ()

    @button("Reset", permission="jobs.pause_job", offered=lambda circuit: circuit.opened_at is not None)
    def reset(self, request: HttpRequest, circuit: Circuit) -> str:
        """Closes it, and forgets what it counted."""
        if not circuits.reset(circuit, by=request.user.get_username()):
            return f"The circuit breaker {circuit} was closed already."
        return f"The circuit breaker {circuit} is closed: runs may start again."

    @admin.display(description="State")
    def badge(self, circuit: Circuit) -> SafeString:
        """What it lets through."""
        return circuit_state(circuit.state(timezone.now()))

    @admin.display(description="Failed lately")
    def failed(self, circuit: Circuit) -> str:
        """What it counted in this window, or what opened it."""
        return f"{circuit.failures} of {circuit.calls} attempts"

    @admin.display(description="Open since")
    def opened(self, circuit: Circuit) -> SafeString:
        """When it opened."""
        return moment(circuit.opened_at)

    @admin.display(description="A probe may start")
    def until(self, circuit: Circuit) -> SafeString:
        """When one run may be let through."""
        return moment(circuit.open_until)

    @admin.display(description="Last probe")
    def probe(self, circuit: Circuit) -> SafeString:
        """The run that was let through."""
        return run_link(circuit.probe_run_id) if circuit.probe_run_id else SafeString("–")

    @admin.display(description="Openings and closings")
    def history(self, circuit: Circuit) -> SafeString:
        """The newest, each with its reason or who did it."""
        events = circuit.events.all()[:EVENTS]
        return format_html_join(
            SafeString("<br>"),
            "{} {}{} {}",
            (
                (
                    moment(one.at),
                    one.get_kind_display(),
                    f" by {one.actor}." if one.actor else ":",
                    one.detail,
                )
                for one in events
            ),
        ) or SafeString("–")

"""The admin of the ledger: what became of each slot, and what people decide about those that did not run."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.keyset import KeysetList
from jobs.panel import ReadOnlyPanel, run_link
from triggers import ledger
from triggers.ledger import LedgerRefused
from triggers.models import Occurrence, Trigger

FIRE = "triggers.fire_trigger"


@admin.register(Occurrence)
class OccurrenceAdmin(ReadOnlyPanel):
    """Slots and what became of them, the newest entries first."""

    # Added: never, what fires schedules enters them.
    # Changed: never, but for what is run after all or dismissed.
    # Deleted: never, they go when they are old, or with their schedule.

    refusals = (LedgerRefused,)
    list_display = ["local", "schedule", "job", "outcome", "reason", "run", "by", "created_at"]
    list_filter = ["outcome"]
    list_select_related: ClassVar = ["trigger__job"]
    search_fields = ["trigger__job__slug"]
    search_help_text = "A job’s slug, exactly."
    sortable_by = ()
    actions = ["run_selected", "dismiss_selected"]
    row_buttons: ClassVar = ["run_after_all", "dismiss"]
    page_buttons: ClassVar = ["run_after_all", "dismiss"]
    fields: ClassVar[Any] = [
        "schedule", "job", "local", "slot", "outcome", "reason", "run", "by", "until", "fired_at", "created_at",
    ]  # fmt: skip

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetList]:
        """The list that counts nothing."""
        return KeysetList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Occurrence], search_term: str
    ) -> tuple[QuerySet[Occurrence], bool]:
        """The slots of the schedules of the job of this slug."""
        slug = search_term.strip()
        if not slug:
            return queryset, False
        known = Trigger.objects.schedules().filter(job__slug=slug).values_list("pk", flat=True)
        return queryset.filter(trigger__in=list(known)), False

    @button("Run", permission=FIRE, offered=lambda entry: entry.outcome in ledger.RUNNABLE)
    def run_after_all(self, request: HttpRequest, entry: Occurrence) -> str:
        """Puts the slot in line; beat runs it in its turn."""
        by, now = request.user.get_username(), timezone.now()
        if not ledger.ask(entry.trigger, slots=[entry.slot], by=by, now=now):
            return f"The slot {entry} is in line already."
        return f"The slot {self.local(entry)} of {entry.trigger.label} is in line to be run."

    @button("Dismiss", permission=FIRE, offered=lambda entry: entry.outcome == Occurrence.Outcome.MISSED)
    def dismiss(self, request: HttpRequest, entry: Occurrence) -> str:
        """Notes that the missed slot is not to be run."""
        if not ledger.dismiss(entry.trigger, slots=[entry.slot], by=request.user.get_username()):
            raise LedgerRefused(f"It is {entry.outcome}: only a missed slot can be dismissed.")
        return f"The slot {self.local(entry)} of {entry.trigger.label} is dismissed."

    @admin.action(description="Run selected slots", permissions=["fire"])
    def run_selected(self, request: HttpRequest, chosen: QuerySet[Occurrence]) -> None:
        """Puts each in line."""
        self.each(request, self._loaded(chosen), lambda entry: self.run_after_all(request, entry))

    @admin.action(description="Dismiss selected slots", permissions=["fire"])
    def dismiss_selected(self, request: HttpRequest, chosen: QuerySet[Occurrence]) -> None:
        """Dismisses each."""
        self.each(request, self._loaded(chosen), lambda entry: self.dismiss(request, entry))

    def has_fire_permission(self, request: HttpRequest) -> bool:
        """By `fire_trigger`."""
        return request.user.has_perm(FIRE)

    @staticmethod
    def _loaded(chosen: QuerySet[Occurrence]) -> QuerySet[Occurrence]:
        return chosen.select_related("trigger__job").order_by("slot")

    @admin.display(description="Slot")
    def local(self, entry: Occurrence) -> str:
        """The slot by the schedule's clock."""
        return f"{entry.slot.astimezone(entry.trigger.timezone):%Y-%m-%d %H:%M %Z}"

    @admin.display(description="Schedule")
    def schedule(self, entry: Occurrence) -> SafeString:
        """Its page, where the slots around it are."""
        address = reverse("pages:schedule", args=[entry.trigger_id])
        return format_html('<a href="{}">{}</a>', address, entry.trigger.label)

    @admin.display(description="Job")
    def job(self, entry: Occurrence) -> str:
        """The job that it starts."""
        return str(entry.trigger.job)

    @admin.display(description="Run")
    def run(self, entry: Occurrence) -> SafeString | str:
        """The run that it led to."""
        return run_link(entry.run_id) if entry.run_id else "–"

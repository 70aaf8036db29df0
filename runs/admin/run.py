"""The admin of runs: history to look at, with Cancel and Retry, and nothing to edit."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import parameters, priority
from jobs.buttons import button
from jobs.keyset import KeysetList
from jobs.models import Job
from jobs.panel import ReadOnlyPanel, run_link
from runs import causes, launch, lifecycle, urgency
from runs.admin.across import ALL_MATCHING, ActsOnAll
from runs.admin.columns import RunColumns
from runs.models import BulkOperation, Run

# What a row of the list has no use for, and may be large.
_LARGE = ("parameters", "result", "error", "attempts", "context", "state", "metadata", "progress")
_SHOWN = (
    (None, {"fields": ("page", "badge", "why_not", "kind_mark", "cause")}),
    (
        "What",
        {
            "fields": (
                "job_link",
                "shown_parameters",
                "target",
                "tags",
                "priority",
                "lane",
                "dedup_key",
                "concurrency_key",
            )
        },
    ),
    (
        "How it went",
        {"fields": ("attempt", "max_attempts", "worker", "wait_words", "duration_words", "error_text")},
    ),
    ("Result", {"fields": ("shown_result", "skip_reason", "cancelled_by")}),
    ("When", {"fields": ("created_at", "run_at", "due_at", "queued_at", "started_at", "finished_at")}),
)


class PriorityForm(forms.Form):
    """Which priority."""

    priority = forms.IntegerField(
        min_value=priority.FIRST,
        max_value=priority.LAST,
        help_text="1 (first) to 100 (last); 1–9 is the lane high, 10–99 default, 100 bulk.",
    )


@admin.register(Run)
class RunAdmin(ActsOnAll, ReadOnlyPanel, RunColumns):
    """Runs: the list, and what one does with them."""

    # Added: never, runs are launched.
    # Changed: never, final is final, and what is open is moved by its own verbs.
    # Deleted: never, retention deletes, nobody else.

    list_display = [
        "number", "badge", "job_link", "kind_mark", "story", "tries", "wait_words", "duration_words",
        "lane", "launched",
    ]  # fmt: skip
    list_filter = ["status", "trigger_kind"]
    list_select_related = ["job"]
    search_fields = ["id"]
    search_help_text = "A run’s id or name, or a job’s slug, exactly."
    sortable_by = ()
    actions = ["cancel_selected", "prioritise_selected", "retry_selected"]
    row_buttons: ClassVar = ["cancel", "retry"]
    page_buttons: ClassVar = ["cancel", "prioritise", "retry"]
    refusals: ClassVar = (launch.LaunchRefused, parameters.InvalidParameters)
    acts_on_all: ClassVar = {
        "cancel_selected": BulkOperation.Act.CANCEL,
        "prioritise_selected": BulkOperation.Act.PRIORITY,
        "retry_selected": BulkOperation.Act.RETRY,
    }
    fieldsets: ClassVar[Any] = _SHOWN

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetList]:
        """The list that counts nothing."""
        return KeysetList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Runs; for the list, without what may be large, and with the first of the error's message."""
        found: QuerySet[Run] = super().get_queryset(request)
        if request.resolver_match is None or request.resolver_match.url_name != "runs_run_changelist":
            return found.select_related("job", "trigger", "api_key")
        return found.defer(*_LARGE).annotate(error_start=Left(KeyTextTransform("message", "error"), 200))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        """The run of this id or name, or the runs of the job of this slug."""
        term = search_term.strip()
        if not term:
            return queryset, False
        job = Job.objects.filter(slug=term).first()
        if job is not None:
            return queryset.filter(job=job), False
        return queryset.filter(pk__in=[run.pk for run in Run.objects.named(term)]), False

    @button("Cancel", permission="runs.cancel_run", offered=lambda run: not run.is_final, danger=True)
    def cancel(self, request: HttpRequest, run: Run) -> str:
        """Cancels what is open, or asks what is running to stop."""
        moved = lifecycle.cancel(Run.objects.filter(pk=run.pk), by=request.user.get_username())
        if not moved:
            return f"Run #{run.pk} had ended already, or was asked to stop before."
        if moved[0].status == Run.Status.RUNNING:
            return f"Run #{run.pk} was asked to stop."
        return f"Cancelled run #{run.pk}."

    @button(
        "Change priority",
        permission="runs.prioritise_run",
        offered=lambda run: urgency.refusal(run) is None,
        asks=True,
    )
    def prioritise(self, request: HttpRequest, run: Run) -> str | HttpResponse:
        """Asks for the priority and gives it to the run."""
        asked = self._ask_priority(request, [run])
        if isinstance(asked, HttpResponse):
            return asked
        urgency.change(Run.objects.filter(pk=run.pk), priority=asked, by=request.user.get_username())
        return f"Run #{run.pk} has priority {asked}, lane {priority.lane(asked)}."

    @button("Retry", permission="runs.retry_run", offered=lambda run: run.is_final)
    def retry(self, request: HttpRequest, run: Run) -> SafeString:
        """Launches the run's job once more with the same parameters."""
        assert isinstance(request.user, User)
        found = launch.retry(run, cause=causes.retry(run, user=request.user)).run
        return format_html("Retried run #{} as {}.", run.pk, run_link(found.pk))

    @admin.action(description="Cancel selected runs", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        """Cancels what is open of the chosen runs, in one statement."""
        moved = lifecycle.cancel(runs, by=request.user.get_username())
        touched = {run.id for run in moved}
        self.note(request, Run.objects.select_related("job").filter(pk__in=touched), "Cancel asked.")
        asked = sum(run.status == Run.Status.RUNNING for run in moved)
        sentence = f"{len(moved) - asked} cancelled, {asked} asked to stop; the others had ended already."
        messages.success(request, sentence)

    @admin.action(description="Change the priority of selected runs", permissions=["prioritise"])
    def prioritise_selected(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        """Asks once, and changes the priority of those that have not started, in one statement."""
        asked = self._ask_priority(request, runs)
        if isinstance(asked, HttpResponse):
            return asked
        changed = urgency.change(runs, priority=asked, by=request.user.get_username())
        touched = Run.objects.select_related("job").filter(pk__in=[run.run_id for run in changed])
        self.note(request, touched, f"Priority {asked}.")
        sentence = (
            f"{len(changed)} runs have priority {asked} now, lane {priority.lane(asked)}; the others had it "
            "before, have started, or belong to a campaign."
        )
        messages.success(request, sentence)
        return None

    @admin.action(description="Retry selected runs", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        """Retries each."""
        whole = Run.objects.select_related("job").filter(pk__in=[run.pk for run in runs])
        self.each(request, whole.order_by("pk"), lambda run: self.retry(request, run))

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether the person may cancel runs."""
        return request.user.has_perm("runs.cancel_run")

    def has_prioritise_permission(self, request: HttpRequest) -> bool:
        """Whether the person may change the priority of runs."""
        return request.user.has_perm("runs.prioritise_run")

    def ask_for_all(self, request: HttpRequest, act: BulkOperation.Act) -> int | HttpResponse | None:
        """The priority that all are to have, or the page that asks for it."""
        return self._ask_priority(request, []) if act == BulkOperation.Act.PRIORITY else None

    def _ask_priority(self, request: HttpRequest, runs: Iterable[Run]) -> int | HttpResponse:
        """The priority that the form says, or the page that asks."""
        form = PriorityForm(request.POST if "_confirmed" in request.POST else None)
        if form.is_valid():
            return int(form.cleaned_data["priority"])
        template, title = "admin/runs/run/priority.html", "Change the priority"
        across = bool(request.POST.get(ALL_MATCHING))
        return self.ask(request, runs, template=template, title=title, form=form, all_matching=across)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the person may retry runs."""
        return request.user.has_perm("runs.retry_run")

"""The admin of jobs: a list with a Run button, and a form for each executor. What one does is in `acts`."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from jobs import executors, parameters, sync
from jobs.admin import columns, configuration
from jobs.admin.acts import JobActs
from jobs.admin.form import JobForm, for_executor
from jobs.admin.notifying import RuleInline
from jobs.models import Job
from triggers.models import Trigger

_LIMITS = (
    "priority",
    "max_concurrent_runs",
    ("concurrency_key_template", "max_concurrent_per_key"),
    ("max_starts", "starts_window_seconds"),
    ("dedup_key_template", "dedup_mode"),
    "retain_for_seconds",
)
_CIRCUIT = (
    ("circuit_failure_rate", "circuit_min_calls"),
    ("circuit_window_seconds", "circuit_cooldown_seconds"),
)
_CIRCUIT_SENTENCE = (
    "When too large a share of attempts fails, nothing more starts for a while; then one run is let through, "
    "and its outcome decides."
)


@admin.register(Job)
class JobAdmin(JobActs):
    """Jobs: what is shown and edited."""

    list_display = [
        columns.name,
        columns.state,
        "executor",
        columns.latest,
        columns.ended,
        columns.next_run,
        columns.triggers,
    ]
    list_filter = [columns.StateFilter, "executor"]
    search_fields = ["name", "slug"]
    search_help_text = "By name or slug."
    change_form_template = "admin/jobs/job/change_form.html"
    form = JobForm
    inlines = [RuleInline]

    # What the list and the pages show

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[columns.JobList]:
        """The list that reads what its columns need."""
        return columns.JobList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Ours; jobs are deleted one by one, on a page that says what would go with them."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def page_context(self, request: HttpRequest, obj: Job) -> dict[str, Any]:
        """What stands above the form: state, differences to the code, triggers, how to call it."""
        # `obj` is what the form made of the job, which may have been refused.
        job = Job.objects.get(pk=obj.pk)
        return {
            "job": job,
            "state": columns.state(job),
            "differences": sync.differences(job) if self.has_change_permission(request, job) else [],
            "triggers": list(Trigger.objects.filter(job=job).order_by("kind", "id")),
        }

    # The form

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form of a new job, once its executor is chosen."""
        if request.GET.get("executor") in executors.slugs() or not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        choices = [(slug, configuration.SENTENCES.get(slug, "")) for slug in executors.slugs()]
        context = {"opts": self.opts, "title": "Add job", "choices": choices}
        return TemplateResponse(
            request, "admin/jobs/job/choose.html", {**self.admin_site.each_context(request), **context}
        )

    def get_form(
        self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any
    ) -> type[Any]:
        """The form with the fields of the job's executor."""
        kwargs["form"] = for_executor(*self._configured(request, obj))
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """What it is, what it does, how it recovers, what holds it back, and what may break it."""
        slug = () if obj else ("slug",)
        changing = self.has_change_permission(request, obj) if obj else True
        configured = list(self._configured(request, obj)[1]) if changing else ["shown_configuration"]
        defaults = "defaults" if changing else "shown_defaults"
        per_host = ("circuit_per_host",) if self._configured(request, obj)[0] == "http" else ()
        danger = {
            "fields": ("slug", "status") if obj else ("status",),
            "description": "Nothing can start an inactive job, and what is queued is skipped. "
            "A new slug changes the addresses by which programs call the job.",
        }
        retries = (
            ("retry_first_delay_seconds", "retry_longest_delay_seconds"),
            ("retry_factor", "retry_jitter"),
        )
        deadlines = ("start_within_seconds", "finish_within_seconds")
        return (
            ("Identity", {"fields": ("name", *slug, "description", "tags", "owner")}),
            ("What it does", {"fields": ("executor_name", *configured, "schema", defaults)}),
            ("Reliability", {"fields": ("timeout_seconds", "max_attempts", *retries, "on_lost", deadlines)}),
            ("Limits", {"fields": _LIMITS}),
            ("Circuit breaker", {"fields": (*_CIRCUIT, *per_host), "description": _CIRCUIT_SENTENCE}),
            (
                "Danger zone",
                {"fields": danger["fields"], "description": danger["description"], "classes": ("danger",)},
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[str]:
        """The executor is chosen when a job is made."""
        return ["executor_name"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who makes a job owns it, unless the form says otherwise."""
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    @admin.display(description="Executor")
    def executor_name(self, job: Job) -> str:
        """The executor and what it is."""
        return f"{job.executor} – {configuration.SENTENCES.get(job.executor, '')}" if job.executor else "–"

    @admin.display(description="Configuration")
    def shown_configuration(self, job: Job) -> SafeString:
        """The configuration for people who may only look."""
        return columns.as_json(configuration.shown(job.configuration))

    @admin.display(description="Default parameters")
    def shown_defaults(self, job: Job) -> SafeString:
        """The defaults without their secrets."""
        return columns.as_json(parameters.mask(job.schema, job.defaults))

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Saves what was changed, and whether the job can be carried out now."""
        super().save_model(request, obj, form, change)
        reason = sync.breakage(obj)
        if reason != obj.broken_reason:
            obj.broken_reason = reason
            obj.save(update_fields=["broken_reason"])

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Deletes a job that never ran; the history of one that did is not to be lost."""
        job = self.get_object(request, object_id)
        if job is not None and job.runs.exists():
            sentence = f"{job.name} has runs, so it can't be deleted: make it inactive instead (Danger zone)."
            messages.error(request, sentence)
            return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[quote(job.pk)]))
        return super().delete_view(request, object_id, extra_context)

    def _configured(self, request: HttpRequest, job: Job | None) -> tuple[str, configuration.Fields]:
        """The executor, and the form fields of its configuration."""
        executor = job.executor if job else request.GET.get("executor", "")
        return executor, configuration.fields(executor, job.configuration if job else {})

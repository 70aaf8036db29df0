"""The admin of beat's own entries: housekeeping, which may name Headway's own tasks only.

Whatever does work is a job, so that it leaves a run. django-celery-beat's admin would send any task of any
name, at once by its action or later by an entry; here an entry can't name another task than ours.
"""

import json
from typing import Any, Final

from celery import current_app
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

# First, because its module registers an admin of its own for the same model.
from django_celery_beat import admin as package
from django_celery_beat.models import PeriodicTask

from jobs.panel import MOMENTS
from runs import entries

# Tasks of these names make or carry out runs, or tidy up after themselves.
PREFIX: Final = "runs."
HOUSEKEEPING: Final = frozenset({"celery.backend_cleanup"})


class EntryForm(package.PeriodicTaskForm):
    """An entry of the scheduler, for one of the tasks that may stand in one."""

    regtask = None
    task = forms.ChoiceField(label="Task")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current_app.loader.import_default_modules()
        known = sorted(name for name in current_app.tasks if is_allowed(name))
        self.fields["task"].choices = [(name, name) for name in known]

    def clean(self) -> dict[str, Any]:
        """The package's checks, which take it for granted that a task was named."""
        if "task" in self.errors:
            return dict(self.cleaned_data)
        cleaned = dict(super().clean())
        # A slot of high takes whatever lies in its queue for a hint (dispatch.hints).
        for name in ("queue", "exchange", "routing_key"):
            if cleaned.get(name) not in (None, "", "default"):
                self.add_error(name, "Expected none: the slots of the other lanes wait for hints only.")
        if cleaned.get("task") == entries.TASK and "kwargs" not in self.errors:
            self._check_launch(cleaned)
        return cleaned

    def _check_launch(self, cleaned: dict[str, Any]) -> None:
        """Says now what would keep the entry from launching its job at night."""
        if json.loads(cleaned.get("args") or "[]"):
            self.add_error("args", "Expected none: the job and its parameters are keyword arguments.")
        try:
            entries.check(json.loads(cleaned.get("kwargs") or "{}"))
        except entries.InvalidEntry as error:
            self.add_error("kwargs", str(error))

    def _clean_json(self, field: str) -> str:
        try:
            return str(super()._clean_json(field))
        except RecursionError:
            raise ValidationError("This JSON is nested too deep.") from None

    def clean_task(self) -> str:
        """Says why another task can't be, also of an entry that was written past this form."""
        name = str(self.cleaned_data["task"])
        if not is_allowed(name):
            raise ValidationError(
                f"{name!r} is not one of Headway's tasks: make a job of it, so that it leaves runs."
            )
        return name


def is_allowed(task: str) -> bool:
    """Whether an entry may name `task`."""
    return task.startswith(PREFIX) or task in HOUSEKEEPING


admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class EntryAdmin(package.PeriodicTaskAdmin):
    """Entries of the scheduler: as the package has them, without running anything past the runs."""

    form = EntryForm
    actions = ["enable_tasks", "disable_tasks", "toggle_tasks"]
    # The package's own has an inline script, which the site's policy forbids.
    change_form_template = None
    date_hierarchy = None
    formfield_overrides = MOMENTS
    list_filter = ["enabled", "one_off"]
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        (
            "Schedule",
            {"fields": ("interval", "crontab", "solar", "clocked", "start_time", "last_run_at", "one_off")},
        ),
        ("Arguments", {"fields": ("args", "kwargs"), "classes": ("collapse",)}),
        (
            "Execution options",
            {
                "fields": (
                    "expires",
                    "expire_seconds",
                    "queue",
                    "exchange",
                    "routing_key",
                    "priority",
                    "headers",
                ),
                "classes": ("collapse",),
            },
        ),
    )
    readonly_fields = ["last_run_at"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's list: the package's looks for a setting that this site has elsewhere, and warns of it."""
        response: HttpResponse = admin.ModelAdmin.changelist_view(self, request, extra_context)
        return response

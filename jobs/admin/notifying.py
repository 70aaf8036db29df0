"""The part of a job's form that says who is told of its runs."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.models import Job
from jobs.panel import without_links
from notifications.models import Rule
from notifications.rule_form import RuleForm

if TYPE_CHECKING:
    _StackedInline = admin.StackedInline[Rule, Job]
else:
    _StackedInline = admin.StackedInline


class RuleInline(_StackedInline):
    """The rules about this job; those about all jobs, or about a tag, stand in the list of rules."""

    model = Rule
    form = RuleForm
    verbose_name = "rule"
    verbose_name_plural = "Notifications"
    fields = ("channel", "occasions", "quiet_minutes", "is_enabled")
    extra = 1

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's field, without links that open windows by script."""
        return without_links(super().formfield_for_dbfield(db_field, request, **kwargs))

"""The admin of remote triggers: made with their jobs, so there is nothing to add or delete."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from triggers.admin.form import RemoteTriggerForm
from triggers.admin.triggering import TriggerPanel
from triggers.models import Kind, RemoteTrigger


@admin.register(RemoteTrigger)
class RemoteTriggerAdmin(TriggerPanel):
    """Remote triggers."""

    kind = Kind.REMOTE
    form = RemoteTriggerForm
    list_display = ["__str__", "job_link", "state", "priority"]
    list_filter = ["enabled"]
    search_fields = ["name", "job__name", "job__slug"]
    search_help_text = "By name, or by the name or slug of the job."
    row_buttons: ClassVar = ["enable", "disable"]
    page_buttons: ClassVar = ["enable", "disable"]
    fields = ["job_link", "name", "enabled", "priority", "rate_limit", "parameters"]
    readonly_fields = ["job_link"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: each job has one already."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: it is disabled instead."""
        return False

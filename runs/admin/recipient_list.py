"""The admin of saved recipient lists: which there are, and a way to delete one."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from jobs.panel import Panel
from runs.models import RecipientList


@admin.register(RecipientList)
class RecipientListAdmin(Panel):
    """Saved recipient lists."""

    list_display = ["name", "size", "saved_by", "created_at"]
    search_fields = ["name"]
    fields: ClassVar[Any] = ["name", "size", "saved_by", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: lists are saved through the API (`/api/recipient-lists`)."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: RecipientList | None = None) -> bool:
        """Never: another list has another name."""
        return False

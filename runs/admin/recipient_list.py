"""The admin of saved recipient lists: which there are, their names, and a way to delete one."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs.panel import Panel
from runs.models import RecipientList


@admin.register(RecipientList)
class RecipientListAdmin(Panel):
    """Saved recipient lists."""

    list_display = ["name", "size", "saved_by", "created_at"]
    search_fields = ["name"]
    fields: ClassVar[Any] = ["name", "size", "saved_by", "created_at"]
    readonly_fields: ClassVar[Any] = ["size", "saved_by", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """For people who may order campaigns."""
        return request.user.has_perm("jobs.run_job")

    def has_change_permission(self, request: HttpRequest, obj: RecipientList | None = None) -> bool:
        """The same: a list can be renamed."""
        return request.user.has_perm("jobs.run_job")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page that reads files; Django's form would only know the name."""
        return HttpResponseRedirect(reverse("pages:recipient-lists"))

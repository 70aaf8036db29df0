"""The admin of what was sent: to be read, and to have a message sent again."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import ReadOnlyPanel
from notifications import sending
from notifications.models import Message


@admin.register(Message)
class MessageAdmin(ReadOnlyPanel):
    """Messages, with each attempt to send them."""

    # Added: never, rules make them.
    # Changed: never, they are history.
    # Deleted: never, they are dropped when they are old.

    refusals = (sending.NotResendable,)
    list_display = ["subject", "channel", "occasion", "status", "attempts", "created_at", "page"]
    list_filter = ["status", "occasion", "channel"]
    list_select_related: ClassVar = ["channel"]
    search_fields = ["subject"]
    row_buttons: ClassVar = ["resend"]
    page_buttons: ClassVar = ["resend"]
    fields: ClassVar[Any] = [
        "subject", "text", "channel", "occasion", "job", "run_id", "others", "status", "due_at", "by",
        "created_at", "ended_at", "log",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Without the payload, which no list shows."""
        found: QuerySet[Message] = super().get_queryset(request)
        return found.defer("payload")

    @button(
        "Send again",
        permission="notifications.change_message",
        offered=lambda message: message.status != Message.Status.DUE,
    )
    def resend(self, request: HttpRequest, message: Message) -> str:
        """Has it sent once more, under the same id."""
        sending.resend(message, by=request.user.get_username())
        return f"“{message.subject}” is sent again."

    @admin.display(description="Attempts")
    def log(self, message: Message) -> SafeString:
        """Each attempt: when, how it ended, how long it took."""
        lines = (
            (each.at.strftime("%Y-%m-%d %H:%M:%S UTC"), each.outcome, each.status_code or "", each.error)
            for each in message.sendings.all()
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} {} {} {}</li>", lines))

    @admin.display(description="Page")
    def page(self, message: Message) -> SafeString:
        """Its page."""
        return format_html('<a href="{}">open</a>', reverse("pages:notification", args=[message.pk]))

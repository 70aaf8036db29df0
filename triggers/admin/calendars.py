"""The admin of calendars: when schedules that keep one do not run."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.panel import Panel
from triggers.admin.form import ZoneField
from triggers.models import Calendar

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Calendar]
else:
    _ModelForm = forms.ModelForm

FORMS = (
    "A period a line, and behind it a note if you like: “Sat”, “12-25 Christmas” (each year), “2026-05-01”, "
    "“2026-08-03 to 2026-08-14 Inventory”, “2026-11-30 22:00 to 2026-12-01 06:00”, “22:00 to 06:00” (each day)."
)


class CalendarForm(_ModelForm):
    """A calendar: its periods as text, a line each."""

    timezone = ZoneField(label="Time zone", initial=settings.TIME_ZONE)
    closed = forms.CharField(
        label="Closed",
        help_text=FORMS,
        widget=forms.Textarea(attrs={"rows": 14, "cols": 60, "spellcheck": "false"}),
    )

    class Meta:
        model = Calendar
        fields = ("name", "timezone", "closed")


@admin.register(Calendar)
class CalendarAdmin(Panel):
    """Calendars."""

    form = CalendarForm
    list_display = ["name", "timezone", "now", "schedule_count"]
    search_fields = ["name", "closed"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Calendar]:
        """The calendars, and how many schedules keep each."""
        found: QuerySet[Calendar] = super().get_queryset(request)
        return found.annotate(kept_by=Count("schedules"))

    @admin.display(description="Now")
    def now(self, calendar: Calendar) -> str:
        """Whether schedules that keep it run right now."""
        return calendar.closing(timezone.now()) or "open"

    @admin.display(description="Schedules", ordering="kept_by")
    def schedule_count(self, calendar: Any) -> SafeString:
        """How many schedules keep it, with a link to them."""
        address = reverse("admin:triggers_schedule_changelist")
        return format_html(
            '<a href="{}?calendars__id__exact={}">{}</a>', address, calendar.pk, calendar.kept_by
        )

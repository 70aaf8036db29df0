"""The admin of lanes: which are paused, by whom and why, and two buttons."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import Panel
from runs import lanes, queues
from runs.launch import LaunchRefused
from runs.models import Lane
from runs.templatetags.headway import icon, moment


class ReasonForm(forms.Form):
    """Why a lane is paused."""

    reason = forms.CharField(required=False, max_length=lanes.REASON_LENGTH)


class PurgeForm(forms.Form):
    """The lane's name once more."""

    confirm = forms.CharField(max_length=20, label="The lane’s name")


def _may_be_purged(lane: Lane) -> bool:
    """Whether anything waits in it."""
    return queues.waiting(lane.name, most=1) > 0


@admin.register(Lane)
class LaneAdmin(Panel):
    """Lanes."""

    list_display = ["name", "state", "since", "paused_by", "paused_reason"]
    row_buttons: ClassVar = ["pause", "resume", "purge"]
    page_buttons: ClassVar = ["pause", "resume", "purge"]
    refusals: ClassVar = (LaunchRefused,)
    fields: ClassVar[Any] = ["name", "state", "since", "paused_by", "paused_reason"]
    readonly_fields = fields
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: the lanes are those of the priorities."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a run's priority names its lane."""
        return False

    @button("Pause", permission="runs.change_lane", offered=lambda lane: lane.paused_at is None, asks=True)
    def pause(self, request: HttpRequest, lane: Lane) -> str | HttpResponse:
        """Asks why, and lets nothing of the lane start."""
        form = ReasonForm(request.POST if "_confirmed" in request.POST else None)
        if not form.is_valid():
            title = f"Pause the lane {lane}"
            return self.ask(request, [lane], template="admin/runs/lane/pause.html", title=title, form=form)
        lanes.pause(lane, by=request.user.get_username(), reason=form.cleaned_data["reason"])
        return f"Paused the lane {lane}."

    @button("Resume", permission="runs.change_lane", offered=lambda lane: lane.paused_at is not None)
    def resume(self, request: HttpRequest, lane: Lane) -> str:
        """Lets the lane's runs start again."""
        lanes.resume(lane, by=request.user.get_username())
        return f"Resumed the lane {lane}."

    @button("Purge", permission="runs.cancel_run", offered=_may_be_purged, asks=True, danger=True)
    def purge(self, request: HttpRequest, lane: Lane) -> str | HttpResponse:
        """Asks for the lane's name, and has all that waits in it cancelled in the background."""
        if not self.has_change_permission(request, lane):
            raise PermissionDenied(f"{request.user.get_username()} may not change lanes.")
        form = PurgeForm(request.POST if "_confirmed" in request.POST else None)
        if not form.is_valid():
            title = f"Purge the lane {lane}"
            return self.ask(request, [lane], template="admin/runs/lane/purge.html", title=title, form=form)
        assert isinstance(request.user, User)
        made = lanes.purge(lane, confirmed=form.cleaned_data["confirm"], user=request.user)
        return f"{made.total} runs of the lane {lane} are being cancelled: see operation {made.pk}."

    @admin.display(description="State")
    def state(self, lane: Lane) -> SafeString:
        """Whether its runs may start."""
        if lane.paused_at is not None:
            return format_html('<span class="badge violet">{}paused</span>', icon("waiting"))
        return format_html('<span class="badge green">{}open</span>', icon("succeeded"))

    @admin.display(description="Since")
    def since(self, lane: Lane) -> SafeString:
        """When it was paused."""
        return moment(lane.paused_at)

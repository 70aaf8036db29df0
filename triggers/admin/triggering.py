"""What the admin pages of all kinds of triggers have in common: whose permissions count, enabling, firing."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import parameters
from jobs.buttons import button
from jobs.panel import Panel, run_link
from runs import causes, launch
from runs.templatetags.headway import icon
from triggers.models import Kind, Trigger


class TriggerPanel(Panel):
    """Triggers of one kind, under a proxy's name and with the permissions of `Trigger`."""

    kind: ClassVar[Kind]
    actions = ["enable_selected", "disable_selected"]
    refusals: ClassVar[tuple[type[Exception], ...]] = (launch.LaunchRefused, parameters.InvalidParameters)
    list_select_related = ["job"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The triggers of this kind."""
        return super().get_queryset(request).filter(kind=self.kind)

    # Django would ask for permissions of the proxy, which has none.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `view_trigger` or `change_trigger`."""
        return self._may(request, "view") or self._may(request, "change")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """By `add_trigger`."""
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `change_trigger`."""
        return self._may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `delete_trigger`."""
        return self._may(request, "delete")

    def _may(self, request: HttpRequest, act: str) -> bool:
        return request.user.has_perm(f"triggers.{get_permission_codename(act, Trigger._meta)}")

    def get_fieldsets(self, request: HttpRequest, obj: Trigger | None = None) -> Any:
        """The fields; for people who may only look, without the secrets among the parameters."""
        found: Any = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        shown = {"parameters": "shown_parameters"}
        return [
            (title, {**options, "fields": [shown.get(name, name) for name in options["fields"]]})
            for title, options in found
        ]

    @admin.display(description="Parameters")
    def shown_parameters(self, trigger: Trigger) -> SafeString:
        """The parameters without their secrets."""
        masked = parameters.mask(trigger.job.schema, trigger.parameters)
        return format_html("<pre>{}</pre>", json.dumps(masked, ensure_ascii=False, indent=2))

    @admin.display(description="Job", ordering="job__name")
    def job_link(self, trigger: Trigger) -> SafeString:
        """The job it starts."""
        address = reverse("admin:jobs_job_change", args=[trigger.job_id])
        return format_html('<a href="{}">{}</a>', address, trigger.job.name)

    @admin.display(description="State", ordering="enabled")
    def state(self, trigger: Trigger) -> SafeString:
        """Whether it may start its job."""
        if not trigger.enabled:
            return format_html('<span class="badge grey">{}disabled</span>', icon("skipped"))
        if trigger.is_paused(timezone.now()):
            until = (
                f" until {timezone.localtime(trigger.paused_until):%Y-%m-%d %H:%M}"
                if trigger.paused_until
                else ""
            )
            told = (
                f"{trigger.paused_by}: {trigger.paused_reason}"
                if trigger.paused_reason
                else trigger.paused_by
            )
            return format_html(
                '<span class="badge violet" title="{}">{}paused{}</span>', told, icon("waiting"), until
            )
        if trigger.exhausted:
            return format_html('<span class="badge grey">{}never fires again</span>', icon("skipped"))
        return format_html('<span class="badge green">{}enabled</span>', icon("succeeded"))

    @button("Enable", permission="triggers.change_trigger", offered=lambda trigger: not trigger.enabled)
    def enable(self, request: HttpRequest, trigger: Trigger) -> str:
        """Lets it start its job from now on; nothing is caught up."""
        self._set(trigger, enabled=True)
        return f"Enabled {trigger.label}: {self.outlook(trigger)}"

    def outlook(self, trigger: Trigger) -> str:
        """What will happen now that it is on again, as the end of a sentence."""
        return "what it would have started meanwhile is not caught up."

    @button("Disable", permission="triggers.change_trigger", offered=lambda trigger: trigger.enabled)
    def disable(self, request: HttpRequest, trigger: Trigger) -> str:
        """Keeps it from starting its job."""
        self._set(trigger, enabled=False)
        return f"Disabled {trigger.label}."

    @button("Fire now", permission="triggers.fire_trigger", offered=lambda trigger: trigger.enabled)
    def fire(self, request: HttpRequest, trigger: Trigger) -> SafeString:
        """Starts the job once with the trigger's parameters, by hand: no slot is moved or used up."""
        assert isinstance(request.user, User)
        cause = causes.manual(user=request.user, parameters_of=trigger)
        run = launch.launch(
            trigger.job, cause=cause, request=launch.Request(parameters=trigger.parameters)
        ).run
        return format_html("Started {} as {}.", trigger.job.name, run_link(run.pk))

    @admin.action(description="Enable selected", permissions=["change"])
    def enable_selected(self, request: HttpRequest, triggers: QuerySet[Trigger]) -> None:
        """Enables each."""
        self.each(request, triggers, lambda trigger: self.enable(request, trigger))

    @admin.action(description="Disable selected", permissions=["change"])
    def disable_selected(self, request: HttpRequest, triggers: QuerySet[Trigger]) -> None:
        """Disables each."""
        self.each(request, triggers, lambda trigger: self.disable(request, trigger))

    @staticmethod
    def _set(trigger: Trigger, *, enabled: bool) -> None:
        Trigger.objects.filter(pk=trigger.pk).update(enabled=enabled, updated_at=timezone.now())
        trigger.enabled = enabled

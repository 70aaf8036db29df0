"""The admin of paused targets: to pause one is to add it, to let it go on is a button."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from jobs import pausing
from jobs.buttons import button
from jobs.panel import Panel, PauseForm
from jobs.pausing import PauseRefused
from runs import targets
from runs.models import PausedTarget
from runs.templatetags.headway import moment

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[PausedTarget]
else:
    _ModelForm = forms.ModelForm


class PausedTargetForm(_ModelForm):
    """What is paused, why and until when."""

    class Meta:
        model = PausedTarget
        fields: ClassVar = ["name", "paused_reason", "paused_until"]

    def clean(self) -> dict[str, Any]:
        """Refuses an end that is over."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            until = cleaned.get("paused_until")
            pausing.check(reason=cleaned.get("paused_reason", ""), until=until, now=timezone.now())
        except PauseRefused as error:
            raise forms.ValidationError(str(error)) from error
        return cleaned


@admin.register(PausedTarget)
class PausedTargetAdmin(Panel):
    """Paused targets."""

    form = PausedTargetForm
    list_display = ["name", "since", "paused_by", "until", "paused_reason"]
    search_fields = ["name"]
    row_buttons: ClassVar = ["pause", "resume"]
    page_buttons: ClassVar = ["pause", "resume"]
    refusals: ClassVar = (PauseRefused,)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        """Those that are paused now: an end that has passed needs nobody to clear it away."""
        return targets.current()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A pause is given another end or reason by the button, which says who did so."""
        return () if obj is None else ("name", "since", "paused_by", "until", "paused_reason")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The form of a new one, or what is known of a pause."""
        return PausedTargetForm.Meta.fields if obj is None else self.get_readonly_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """For whoever may pause and resume targets."""
        return request.user.has_perm("runs.change_pausedtarget")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: the button Resume ends a pause, and wakes the workers."""
        return False

    def render_change_form(self, request: HttpRequest, context: Any, *rest: Any, **named: Any) -> Any:
        """Without buttons that save where there is nothing to be changed."""
        if named.get("change"):
            context |= dict.fromkeys(
                ("show_save", "show_save_and_continue", "show_save_and_add_another"), False
            )
        return super().render_change_form(request, context, *rest, **named)

    def save_model(self, request: HttpRequest, obj: PausedTarget, form: Any, change: bool) -> None:
        """Pauses the target; of one that is paused already there is nothing to be saved."""
        if change:
            return
        by, reason = request.user.get_username(), obj.paused_reason
        obj.pk = targets.pause(obj.name, by=by, reason=reason, until=obj.paused_until).pk

    @button("Change", permission="runs.change_pausedtarget", asks=True)
    def pause(self, request: HttpRequest, paused: PausedTarget) -> str | HttpResponse:
        """Asks why and until when, and pauses it anew."""
        form = PauseForm(request.POST if "_confirmed" in request.POST else None)
        if not form.is_valid():
            title, template = f"Pause the target {paused}", "admin/runs/pausedtarget/pause.html"
            return self.ask(request, [paused], template=template, title=title, form=form)
        cleaned = form.cleaned_data
        by = request.user.get_username()
        targets.pause(paused.name, by=by, reason=cleaned["reason"], until=cleaned["until"])
        return f"Paused the target {paused}."

    @button("Resume", permission="runs.change_pausedtarget")
    def resume(self, request: HttpRequest, paused: PausedTarget) -> str:
        """Lets the target's runs start again."""
        targets.resume(paused.name, by=request.user.get_username())
        return f"Resumed the target {paused}."

    @admin.display(description="Since")
    def since(self, paused: PausedTarget) -> SafeString:
        """When it was paused."""
        return moment(paused.paused_at)

    @admin.display(description="Until")
    def until(self, paused: PausedTarget) -> SafeString | str:
        """When the pause ends by itself."""
        return moment(paused.paused_until) if paused.paused_until else "somebody resumes it"

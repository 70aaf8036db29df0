"""The admin of API keys: issued with scopes the issuer has, shown once, revoked instead of deleted."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import Panel
from runs.templatetags.headway import icon, moment
from triggers import keys
from triggers.admin.key_form import ApiKeyForm
from triggers.models import ApiKey


class StateFilter(admin.SimpleListFilter):
    """By whether a key may act."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states people see."""
        return [(word, word.capitalize()) for word in ("valid", "disabled", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """The keys in the chosen state."""
        expired = Q(expires_at__lte=timezone.now())
        match self.value():
            case "valid":
                return queryset.filter(~expired, enabled=True, revoked_at=None, owner__is_active=True)
            case "disabled":
                return queryset.filter(enabled=False, revoked_at=None)
            case "expired":
                return queryset.filter(expired, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(Panel):
    """API keys: one's own, and all of them for superusers."""

    form = ApiKeyForm
    list_display = ["name", "prefix", "owner", "may", "state", "expiry", "used", "launches"]
    list_filter = [StateFilter]
    list_select_related = ["owner"]
    search_fields = ["name", "public_id"]
    search_help_text = "By name or the key’s public part (hw_<public part>_…)."
    actions = ["revoke_selected"]
    row_buttons: ClassVar = ["revoke"]
    page_buttons: ClassVar = ["revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """One's own keys; a superuser sees all."""
        found: QuerySet[ApiKey] = super().get_queryset(request)
        return found if request.user.is_superuser else found.filter(owner=request.user.pk)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without deletion: a deleted key's runs would not say any more who started them."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        """What is chosen when a key is made, and what its page shows later."""
        chosen = ["name", "owner", "scopes", "jobs", "networks", "expires_at"]
        if not request.user.is_superuser and obj is None:
            chosen.remove("owner")
        return (
            ["prefix", *chosen, "enabled", "used", "launches", "created_at", "revoked_at"] if obj else chosen
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Whose key it is and what it may do is settled when it is issued."""
        return ["prefix", "owner", "scopes", "used", "launches", "created_at", "revoked_at"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Whoever makes a key owns it, unless the form says otherwise."""
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> type[Any]:
        """The form, which knows who fills it in."""
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"person": request.user})

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A revoked key is history."""
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Issues a new key, whose text goes into the answer and nowhere else."""
        if change:
            super().save_model(request, obj, form, change)
            return
        assert isinstance(request.user, User)
        said = form.cleaned_data
        issued, text = keys.issue(
            name=said["name"],
            owner=said.get("owner") or request.user,
            scopes=said["scopes"],
            networks=said["networks"],
            expires_at=said["expires_at"],
        )
        obj.__dict__.update(issued.__dict__)
        request.issued_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        """Shows the key, this once: it is in no session and no message, and not kept by the browser."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Copy the new key now",
            "key": obj,
            "text": request.issued_key,  # type: ignore[attr-defined]
            "api_url": request.build_absolute_uri("/api/jobs"),
        }
        response = TemplateResponse(request, "admin/triggers/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Without a deletion that there is not, and for a new key without buttons that would hide it."""
        context["show_delete"] = False
        if kwargs.get("add"):
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sends people to the Revoke button."""
        messages.error(request, "A key is revoked, not deleted: its runs go on saying who started them.")
        return HttpResponseRedirect(reverse("admin:triggers_apikey_change", args=[object_id]))

    @button(
        "Revoke",
        permission="triggers.change_apikey",
        offered=lambda key: key.revoked_at is None,
        danger=True,
    )
    def revoke(self, request: HttpRequest, key: ApiKey) -> str:
        """Ends the key at once and for good."""
        keys.revoke(key)
        return f"Revoked {key}."

    @admin.action(description="Revoke selected", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        """Revokes each."""
        self.each(request, chosen, lambda key: self.revoke(request, key))

    @admin.display(description="Key")
    def prefix(self, key: ApiKey) -> SafeString:
        """The part of the key that is no secret."""
        return format_html("<code>hw_{}_…</code>", key.public_id)

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        """What it may do."""
        return ", ".join(key.scopes)

    @admin.display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        """Whether it may act now, and if not, why."""
        for holds, word in (
            (key.revoked_at is not None, "revoked"),
            (not key.enabled, "disabled"),
            (key.expires_at is not None and key.expires_at <= timezone.now(), "expired"),
            (not key.owner.is_active, "owner inactive"),
        ):
            if holds:
                return format_html('<span class="badge grey">{}{}</span>', icon("skipped"), word)
        return format_html('<span class="badge green">{}valid</span>', icon("succeeded"))

    @admin.display(description="Expires", ordering="expires_at")
    def expiry(self, key: ApiKey) -> SafeString:
        """Until when it is valid."""
        return moment(key.expires_at) if key.expires_at else SafeString("never")

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString:
        """When and from where it was last used."""
        if key.last_used_at is None:
            return SafeString("never")
        return format_html("{} from {}", moment(key.last_used_at), key.last_used_from or "–")

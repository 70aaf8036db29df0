"""The admin of API keys: issued with scopes the issuer has, shown once, rotated, revoked instead of deleted."""

from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import Panel
from runs.templatetags.headway import icon, moment, spark
from triggers import keys
from triggers.admin.key_form import ApiKeyForm, RotationForm
from triggers.authentication import scopes_of
from triggers.key_report import hours, report
from triggers.models import ApiKey
from triggers.models.api_key import ApiKeyQuerySet

LAST_RUNS: Final = 5


class StateFilter(admin.SimpleListFilter):
    """By whether a key may act, and whether somebody should look at it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states people see."""
        words = ("valid", "expiring", "unused", "disabled", "expired", "revoked")
        return [(word, word.capitalize()) for word in words]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """The keys in the chosen state."""
        now = timezone.now()
        assert isinstance(queryset, ApiKeyQuerySet)
        match self.value():
            case "valid" | "expiring" | "unused" as word:
                return getattr(queryset, word)(now)  # type: ignore[no-any-return]
            case "disabled":
                return queryset.filter(enabled=False, revoked_at=None)
            case "expired":
                return queryset.expired(now).filter(revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


class KeyList(ChangeList):
    """A page of keys with their calls in each of the last 24 hours: one query."""

    def get_results(self, request: HttpRequest) -> None:
        """Django's page of results, and the calls."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        calls = hours(self.result_list, now=timezone.now())
        for key in self.result_list:
            key.hours = calls[key.pk]


@admin.register(ApiKey)
class ApiKeyAdmin(Panel):
    """API keys: one's own, and all of them for superusers."""

    form = ApiKeyForm
    list_display = ["name", "prefix", "owner", "may", "state", "expiry", "used", "calls", "launches"]
    list_filter = [StateFilter]
    list_select_related = ["owner"]
    search_fields = ["name", "public_id"]
    search_help_text = "By name or the key’s public part (hw_<public part>_…)."
    actions = ["revoke_selected"]
    row_buttons: ClassVar = ["rotate", "revoke"]
    page_buttons: ClassVar = ["rotate", "revoke"]
    refusals: ClassVar = (keys.NotRotated,)
    change_form_template = "admin/triggers/apikey/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """One's own keys; a superuser sees all."""
        found: QuerySet[ApiKey] = super().get_queryset(request)
        return found if request.user.is_superuser else found.filter(owner=request.user.pk)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that reads what its columns need."""
        return KeyList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without deletion: a deleted key's runs would not say any more who started them."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        """What is chosen when a key is made, and what its page shows later."""
        chosen = ["name", "owner", "scopes", "jobs", "networks", "rate_limit", "expires_at", "idle_days"]
        if not request.user.is_superuser and obj is None:
            chosen.remove("owner")
        return (
            ["prefix", *chosen, "enabled", "used", "launches", "rotation", "created_at", "revoked_at"]
            if obj
            else chosen
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Whose key it is and what it may do is settled when it is issued."""
        return (
            ["prefix", "owner", "scopes", "used", "launches", "rotation", "created_at", "revoked_at"]
            if obj
            else []
        )

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
            idle_days=said["idle_days"],
            rate_limit=said["rate_limit"],
        )
        obj.__dict__.update(issued.__dict__)
        request.issued_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        """Shows the key, this once."""
        return self._shown(request, obj, request.issued_key, title="Copy the new key now")  # type: ignore[attr-defined]

    def _shown(self, request: HttpRequest, key: ApiKey, text: str, *, title: str) -> HttpResponse:
        """A page with the key's text: it is in no session and no message, and not kept by the browser."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "key": key,
            "text": text,
            "curl": f"curl -H 'Authorization: Token {text}' {request.build_absolute_uri('/api/jobs')}",
        }
        response = TemplateResponse(request, "admin/triggers/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def page_context(self, request: HttpRequest, obj: ApiKey) -> dict[str, Any]:
        """How the key is used, and what would stop without it."""
        now = timezone.now()
        counted = scopes_of(obj)
        return {
            "report": report(obj, now=now),
            "flags": obj.flags(now),
            "last_runs": obj.runs.select_related("job").order_by("-pk")[:LAST_RUNS],
            "lost": [scope for scope in obj.scopes if scope not in counted],
        }

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
        "Rotate",
        permission="triggers.change_apikey",
        offered=lambda key: key.revoked_at is None,
        asks=True,
    )
    def rotate(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        """Asks for the overlap, and shows the new text once."""
        form = RotationForm(request.POST if "_confirmed" in request.POST else None)
        if not form.is_valid():
            template = "admin/triggers/apikey/rotate.html"
            return self.ask(request, [key], template=template, title="Rotate", form=form)
        overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
        text = keys.rotate(key, overlap=overlap, now=timezone.now())
        self.note(request, [key], f"Rotated with an overlap of {form.cleaned_data['overlap_hours']} hours.")
        return self._shown(request, key, text, title="Copy the key’s new text now")

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
            (key.ends_at is not None and key.ends_at <= timezone.now(), "expired"),
            (not key.owner.is_active, "owner inactive"),
        ):
            if holds:
                return format_html('<span class="badge grey">{}{}</span>', icon("skipped"), word)
        good = format_html('<span class="badge green">{}valid</span>', icon("succeeded"))
        flags = format_html_join(
            "", '<div class="help">{}</div>', ((flag,) for flag in key.flags(timezone.now()))
        )
        return format_html("{}{}", good, flags)

    @admin.display(description="Expires", ordering="expires_at")
    def expiry(self, key: ApiKey) -> SafeString:
        """Until when it is valid if nobody uses it."""
        return moment(key.ends_at) if key.ends_at else SafeString("never")

    @admin.display(description="Rotation")
    def rotation(self, key: ApiKey) -> SafeString:
        """When it got its secret, and whether anybody still calls with the one before."""
        if key.rotated_at is None:
            return SafeString("never rotated")
        if not key.rotating(timezone.now()):
            return format_html("{}; the former secret is over", moment(key.rotated_at))
        last = format_html(", last {}", moment(key.former_used_at)) if key.former_used_at else ""
        return format_html(
            "{}; the former secret is valid until {}: {} calls with it since{}",
            moment(key.rotated_at), moment(key.former_until), key.former_calls, last,
        )  # fmt: skip

    @admin.display(description="Calls, 24 h")
    def calls(self, key: Any) -> SafeString:
        """Its calls in each of the last 24 hours."""
        return spark(key.hours, "Calls in each of the last 24 hours")

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString:
        """When and from where it was last used."""
        if key.last_used_at is None:
            return SafeString("never")
        return format_html("{} from {}", moment(key.last_used_at), key.last_used_from or "–")

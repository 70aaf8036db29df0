"""The admin of channels: addresses, secrets that are typed once, tests."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import Panel
from notifications import addresses, channels, sending
from notifications.models import Channel, ChannelKind
from triggers import vault

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Channel]
else:
    _ModelForm = forms.ModelForm

_ADDRESS = (
    "E-mail: one or more addresses, with commas between them. Webhook: the URL that is called. Slack: the URL that "
    "Slack gave out, which is stored encrypted and not shown again; left as it is, it is kept."
)


class ChannelForm(_ModelForm):
    """A channel. What is typed as its secret, or as the URL of a Slack channel, is sealed and never shown again."""

    address = forms.CharField(
        max_length=addresses.LONGEST,
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off"}),
        help_text=_ADDRESS,
    )
    secret = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Webhook only: what it is signed with, whsec_ and base64. Left empty, a new webhook gets one, "
        "which is shown once; an old one keeps its own.",
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "address", "secret", "is_enabled", "owner")

    def clean(self) -> dict[str, Any]:
        """Checks address and secret by the kind, as `notifications.channels` will."""
        cleaned = super().clean() or self.cleaned_data
        kind = cleaned.get("kind") or self.instance.kind
        if cleaned.get("secret"):
            self._check_secret(kind, cleaned["secret"])
        if kind == ChannelKind.SLACK and self.instance.pk and "address" in self.changed_data:
            self._check_url(cleaned.get("address", ""))
        if not vault.known_keys() and kind != ChannelKind.EMAIL:
            raise ValidationError("HEADWAY_VAULT_KEYS is not set: no secret can be stored.")
        return cleaned

    def _check_url(self, url: str) -> None:
        """The model can't: what it shows of a URL that is kept is no URL."""
        try:
            addresses.check(ChannelKind.SLACK, url)
        except addresses.InvalidAddress as error:
            self.add_error("address", str(error))

    def _check_secret(self, kind: str, secret: str) -> None:
        try:
            channels.check_secret(kind, secret)
        except channels.InvalidChannel as error:
            self.add_error("secret", str(error))


@admin.register(Channel)
class ChannelAdmin(Panel):
    """Channels."""

    form = ChannelForm
    refusals = (channels.InvalidChannel, vault.VaultLocked)
    list_display = ["name", "kind", "address", "is_enabled", "owner", "rules_link"]
    list_filter = ["kind", "is_enabled"]
    search_fields = ["name", "address"]
    row_buttons: ClassVar = ["send_test"]
    page_buttons: ClassVar = ["send_test", "new_secret"]

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> list[str]:
        """A channel keeps its kind."""
        return ["kind", "secret_changed_at"] if obj else []

    def get_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """Only a webhook that is not new shows when its secret was changed."""
        fields = ["name", "kind", "address", "secret", "is_enabled", "owner"]
        if not self.has_change_permission(request, obj):
            fields.remove("secret")
        if obj is None:
            return fields
        if obj.kind == ChannelKind.EMAIL and "secret" in fields:
            fields.remove("secret")
        return fields if obj.kind == ChannelKind.EMAIL else [*fields, "secret_changed_at"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who makes a channel owns it, unless the form says otherwise."""
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Saves by the one way that channels are saved, which seals what is secret."""
        address = obj.address if not change or "address" in form.changed_data else None
        secret = form.cleaned_data.get("secret") or None
        request.made_secret = channels.save(obj, address=address, secret=secret)  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: Any = None) -> HttpResponse:
        """Shows a secret that was made, this once: it is in no session, and not kept by the browser."""
        made = getattr(request, "made_secret", None)
        return (
            self._issued(request, obj, made)
            if made
            else super().response_add(request, obj, post_url_continue)
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """For a new channel without buttons that would hide its secret."""
        if kwargs.get("add"):
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    @button("Send a test", permission="notifications.change_channel")
    def send_test(self, request: HttpRequest, channel: Channel) -> SafeString:
        """Has a test sent; what came of it stands on its page."""
        message = sending.send_test(channel, by=request.user.get_username())
        page = reverse("pages:notification", args=[message.pk])
        return format_html('A test is on its way to {}: <a href="{}">see what came of it</a>.', channel, page)

    @button(
        "New secret",
        permission="notifications.change_channel",
        offered=lambda channel: channel.kind == ChannelKind.WEBHOOK,
    )
    def new_secret(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        """Makes another secret, which signs from now on, and shows it once."""
        text = channels.replace_secret(channel)
        self.note(request, [channel], "Made a new secret.")
        return self._issued(request, channel, text)

    def _issued(self, request: HttpRequest, channel: Channel, text: str) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts}
        context |= {"title": "Copy the new secret now", "channel": channel, "text": text}
        response = TemplateResponse(request, "admin/notifications/channel/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="Rules")
    def rules_link(self, channel: Channel) -> SafeString:
        """Which rules tell it something."""
        address = reverse("admin:notifications_rule_changelist")
        return format_html('<a href="{}?channel__id__exact={}">rules</a>', address, channel.pk)

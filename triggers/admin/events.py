"""The admin of event triggers: where their deliveries come from, which of them they want, and their secrets."""

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.inputs import JSONObjectField, LinesField
from jobs.keyset import KeysetList
from jobs.panel import ReadOnlyPanel, run_link
from runs import deliveries
from runs.templatetags.headway import moment
from triggers import vault
from triggers.admin.form import TriggerForm
from triggers.admin.triggering import TriggerPanel
from triggers.events import secrets
from triggers.events.addresses import address_of
from triggers.events.base import Rejected, Unreadable
from triggers.events.schemes import SCHEMES
from triggers.models import Delivery, EventTrigger, Kind, Reaction, Secret, Source, Trigger

HISTORY = 20


class EventTriggerForm(TriggerForm):
    """An event trigger. What is typed as its secret is sealed, and never shown again."""

    secret = forms.CharField(
        required=False,
        strip=True,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="What the sender signs with, if it gave you one. Left empty, one is made and shown once.",
    )
    scheme_options = JSONObjectField(
        help_text="For HMAC and shared token, such as "
        '{"header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "prefix": "sha256="}.'
    )
    events = LinesField(help_text="The names of the events that it wants, one a line; none: all.")
    filter = JSONObjectField(
        help_text='Conditions, such as {"at": "/$/branch", "equals": "main"}; an empty object: everything.'
    )
    mapping = JSONObjectField(
        help_text="Parameters taken from the payload, each by a JSON Pointer, such as "
        '{"order": "/order/id", "paths": "/$/paths"}. Over the parameters above.'
    )

    class Meta:
        model = EventTrigger
        exclude = ()
        labels: ClassVar = {
            "source": "Or the address of",
            "parent_pointer": "Run that caused it",
            "debounce_seconds": "Seconds without a delivery",
            "debounce_limit": "Or so many",
            "debounce_pointer": "Gathered by",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = Kind.EVENT
        if "source" in self.fields:
            field: Any = self.fields["source"]
            field.queryset = Trigger.objects.filter(kind=Kind.EVENT, source=None).exclude(pk=self.instance.pk)

    def clean(self) -> dict[str, Any]:
        """Checks the secret by the scheme."""
        cleaned = super().clean()
        cleaned["scheme"] = cleaned.get("scheme") or ""
        given, scheme = cleaned.get("secret"), SCHEMES.get(cleaned["scheme"])
        if given and scheme is None:
            self.add_error("secret", "Only a trigger with an address of its own has a secret.")
        elif given and scheme is not None:
            try:
                scheme.check_secret(given)
            except ValueError as error:
                self.add_error("secret", str(error))
        if scheme is not None and not vault.known_keys():
            raise ValidationError("HEADWAY_VAULT_KEYS is not set: no secret can be stored.")
        return cleaned

    def _counts(self, code: str) -> bool:
        return code != "required"


@admin.register(EventTrigger)
class EventTriggerAdmin(TriggerPanel):
    """Event triggers."""

    kind = Kind.EVENT
    form = EventTriggerForm
    refusals = (*TriggerPanel.refusals, Rejected, Unreadable, vault.VaultLocked, secrets.InvalidSecret)
    list_display = ["__str__", "job_link", "origin", "wanted", "state", "latest"]
    list_filter = ["enabled", "scheme"]
    search_fields = ["name", "job__name", "job__slug", "public_id"]
    search_help_text = "By name, by the job, or by the id in its address."
    list_select_related = ["job", "source"]
    row_buttons: ClassVar = ["enable", "disable"]
    page_buttons: ClassVar = ["send_test", "rotate", "fire", "enable", "disable"]
    change_form_template = "admin/triggers/event/change_form.html"
    fieldsets = (
        (None, {"fields": ("job", "name", "enabled")}),
        ("Where its deliveries come from", {"fields": ("scheme", "scheme_options", "secret", "source")}),
        ("Which of them it wants", {"fields": ("events", "filter")}),
        ("Its runs", {"fields": ("priority", "rate_limit", "parameters", "mapping", "parent_pointer")}),
        (
            "Several deliveries for one run",
            {"fields": ("debounce_seconds", "debounce_limit", "debounce_pointer")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: EventTrigger | None = None) -> list[str]:
        """A trigger keeps its job."""
        return ["job"] if obj else []

    def save_model(self, request: HttpRequest, obj: EventTrigger, form: Any, change: bool) -> None:
        """Stores the rule, and the secret that was typed or is missing."""
        super().save_model(request, obj, form, change)
        if obj.scheme not in SCHEMES:
            Secret.objects.filter(trigger=obj).delete()
            return
        given = form.cleaned_data.get("secret") or None
        if given or not Secret.objects.filter(trigger=obj).exists():
            text = secrets.replace(obj, secret=given)
            request.made_secret = "" if given else text  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: EventTrigger, post_url_continue: Any = None
    ) -> HttpResponse:
        """Shows a secret that was made, this once: it is in no session, and not kept by the browser."""
        made = getattr(request, "made_secret", "")
        return (
            self._issued(request, obj, made)
            if made
            else super().response_add(request, obj, post_url_continue)
        )

    def response_change(self, request: HttpRequest, obj: EventTrigger) -> HttpResponse:
        """As well when a trigger was given an address of its own."""
        made = getattr(request, "made_secret", "")
        return self._issued(request, obj, made) if made else super().response_change(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """For a new trigger without buttons that would hide its secret."""
        if kwargs.get("add"):
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def page_context(self, request: HttpRequest, obj: EventTrigger) -> dict[str, Any]:
        """The address, what is known of its secrets, and what came of the last deliveries."""
        reactions = Reaction.objects.filter(trigger=obj).select_related("delivery").order_by("-pk")
        refused = (
            Delivery.objects.filter(trigger=obj).exclude(verdict=Delivery.Verdict.ACCEPTED).order_by("-pk")
        )
        return {
            "address": address_of(obj.source or obj, request),
            "polled": Source.objects.filter(trigger=obj.source_id or obj.pk),
            "secrets": Secret.objects.valid(timezone.now()).filter(trigger=obj),
            "history": reactions[:HISTORY],
            "refused": refused[:5],
            "inbox_url": reverse("pages:deliveries"),
        }

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """The triggers, and how many deliveries go with them; one whose address others hear of stays."""
        found = list(objs)
        ids = [trigger.pk for trigger in found]
        count = EventTrigger.objects.filter(pk__in=ids).aggregate(count=Count("deliveries"))["count"]
        lacking = set() if self.has_delete_permission(request) else {"event trigger"}
        heard = Trigger.objects.filter(source__in=ids).exclude(pk__in=ids).select_related("job")
        kept = [f"{trigger.job}: {trigger} hears of its address" for trigger in heard]
        listed = [f"{trigger.job}: {trigger}" for trigger in found]
        gone = {"event triggers": len(found), "deliveries": count}
        gone |= {"sources": sources} if (sources := Source.objects.filter(trigger__in=ids).count()) else {}
        return listed, gone, lacking, kept

    @button("Send a test", permission="triggers.fire_trigger", offered=lambda trigger: trigger.enabled)
    def send_test(self, request: HttpRequest, trigger: EventTrigger) -> SafeString:
        """Sends a sample to the address, signed as its sender would; what it starts is real."""
        taken = deliveries.send_test(trigger)
        for entry in taken.delivery.reactions.filter(trigger=trigger):
            what = run_link(entry.run_id) if entry.outcome == "fired" and entry.run_id else entry.reason
            return format_html("Sent delivery {}: {}.", taken.delivery.pk, what)
        return format_html("Sent delivery {}.", taken.delivery.pk)

    @button(
        "New secret", permission="triggers.change_trigger", offered=lambda trigger: trigger.scheme in SCHEMES
    )
    def rotate(self, request: HttpRequest, trigger: EventTrigger) -> HttpResponse:
        """Makes a new secret and shows it once; the one before stays valid for a day."""
        text = secrets.replace(trigger)
        self.note(request, [trigger], "Made a new secret; the one before stays valid for a day.")
        return self._issued(request, trigger, text)

    def _issued(self, request: HttpRequest, trigger: EventTrigger, text: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Copy the new secret now",
            "trigger": trigger,
            "scheme": SCHEMES[trigger.scheme].label,
            "text": text,
            "address": address_of(trigger, request),
            "grace": Secret.objects.filter(trigger=trigger).count() > 1,
        }
        response = TemplateResponse(request, "admin/triggers/event/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="Scheme", ordering="scheme")
    def origin(self, trigger: EventTrigger) -> str:
        """How its deliveries are signed, or whose address it hears of."""
        return f"as {trigger.source}" if trigger.source else str(trigger.get_scheme_display())

    @admin.display(description="Events")
    def wanted(self, trigger: EventTrigger) -> str:
        """Which events it wants."""
        names = ", ".join(trigger.events) or "all"
        return f"{names}, filtered" if trigger.filter else names

    @admin.display(description="Last fired")
    def latest(self, trigger: EventTrigger) -> SafeString:
        """When it last led to a run."""
        fired = (
            Reaction.objects.filter(trigger=trigger, outcome=Reaction.Outcome.FIRED).order_by("-pk").first()
        )
        return moment(fired.created_at) if fired else SafeString("never")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyPanel):
    """Deliveries, to be read; the inbox among the pages shows and replays them."""

    # Added: never, deliveries come.
    # Changed: never, they are history.
    # Deleted: never, they are dropped when they are old.

    list_display = ["id", "received_at", "trigger", "event", "verdict", "reason", "page"]
    list_filter = ["verdict"]
    list_select_related = ["trigger__job"]
    fields = [
        "trigger",
        "received_at",
        "event",
        "key",
        "verdict",
        "reason",
        "address",
        "shown_headers",
        "size",
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetList]:
        """The list that counts nothing."""
        return KeysetList

    @admin.display(description="Headers")
    def shown_headers(self, delivery: Delivery) -> SafeString:
        """The headers, in which secrets are dots."""
        return format_html("<pre>{}</pre>", json.dumps(delivery.headers, ensure_ascii=False, indent=2))

    @admin.display(description="Inbox")
    def page(self, delivery: Delivery) -> SafeString:
        """Its page."""
        return format_html('<a href="{}">open</a>', reverse("pages:delivery", args=[delivery.pk]))

"""The admin of sources: what is polled, a form for each kind, and what a look would find."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.inputs import LinesField
from jobs.panel import Panel
from runs import polling
from runs.templatetags.headway import icon, moment
from triggers import sources, vault, watching
from triggers.events import masking, schemes
from triggers.models import Kind, Source, Trigger
from triggers.sources.base import Unreachable

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Source]
else:
    _ModelForm = forms.ModelForm

SHOWN = 20
PREFIX = "option_"


class SourceForm(_ModelForm):
    """A source of one kind, `kind_slug`; `options_of` adds the fields of that kind."""

    kind_slug: ClassVar[str] = ""
    secret = forms.CharField(
        required=False,
        strip=True,
        max_length=2000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = Source
        fields = ("name", "trigger", "interval_seconds", "begin", "enabled")
        widgets: ClassVar = {"begin": forms.RadioSelect(choices=sources.BEGINNINGS)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.instance.kind = self.kind_slug
        for name, value in sources.complete(self.kind_slug, self.instance.options).items():
            if PREFIX + name in self.fields:
                self.initial[PREFIX + name] = value
        if "trigger" in self.fields:
            trigger: Any = self.fields["trigger"]
            trigger.queryset = Trigger.objects.filter(kind=Kind.EVENT, scheme=schemes.POLL).select_related(
                "job"
            )
            trigger.label_from_instance = lambda each: f"{each.job.name}: {each.label}"
            trigger.help_text = (
                "The event trigger that hears of what is found; its scheme is “Polled sources”."
            )
        self._say_secret()

    def _say_secret(self) -> None:
        kind = sources.KINDS[self.kind_slug]
        if not kind.credential:
            self.fields.pop("secret", None)
        elif "secret" in self.fields:
            kept = " One is stored; left empty, it is kept." if self.instance.sealed else ""
            self.fields[
                "secret"
            ].help_text = f"Here: {kind.credential}. It is sealed, and never shown again.{kept}"

    def clean(self) -> dict[str, Any]:
        """Checks the options and the secret by the kind, each at its field."""
        cleaned = super().clean() or self.cleaned_data
        known = sources.KINDS[self.kind_slug].options
        given = {name: cleaned[PREFIX + name] for name in known if PREFIX + name in cleaned}
        options = {name: value for name, value in given.items() if value not in (None, "")}
        for fault in sources.faults(self.kind_slug, options):
            name = PREFIX + fault.pointer.split("/")[1] if fault.pointer else ""
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, fault.detail)
        self.instance.options = options
        if wrong := watching.check_secret(self.instance, cleaned.get("secret") or None):
            self.add_error("secret", wrong)
        return cleaned

    def _update_errors(self, errors: Any) -> None:
        """Without what the model says of the options: that stands at their fields."""
        errors.error_dict.pop("options", None)
        if errors.error_dict:
            super()._update_errors(errors)  # type: ignore[misc]


def form_of(slug: str) -> type[SourceForm]:
    """The form of sources of one kind."""
    known = sources.KINDS[slug].options
    fields: dict[str, Any] = {f"{PREFIX}{name}": _field(name, place) for name, place in known.items()}
    return type("SourceForm", (SourceForm,), {**fields, "kind_slug": slug})


def _field(name: str, place: Mapping[str, Any]) -> forms.Field:
    shared: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "help_text": place.get("description", ""),
        "required": "default" not in place,
    }
    if "enum" in place:
        return forms.ChoiceField(choices=[(word, word) for word in place["enum"]], **shared)
    match place["type"]:
        case "integer":
            return forms.IntegerField(**shared)
        case "boolean":
            return forms.BooleanField(**{**shared, "required": False})
        case "array":
            return LinesField(rows=3, **{**shared, "help_text": f"{shared['help_text']} One a line."})
    return forms.CharField(strip=True, widget=forms.TextInput(attrs={"class": "vTextField"}), **shared)


@admin.register(Source)
class SourceAdmin(Panel):
    """Sources."""

    refusals: ClassVar = (Unreachable, vault.VaultLocked)
    list_display = ["name", "kind_label", "job", "condition", "last_poll", "complete", "found_count"]
    list_filter = ["kind", "enabled"]
    list_select_related = ["trigger__job"]
    search_fields = ["name", "trigger__name", "trigger__job__name"]
    row_buttons: ClassVar = ["poll"]
    page_buttons: ClassVar = ["try_out", "poll"]
    readonly_fields = ["condition", "last_poll", "complete", "found_count"]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First which kind, then the form of that kind."""
        if self.has_add_permission(request) and request.GET.get("kind") not in sources.KINDS:
            return self._choose(request)
        return super().add_view(request, form_url, extra_context)

    def _choose(self, request: HttpRequest) -> HttpResponse:
        query = request.GET.copy()
        query.pop("kind", None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "What shall be polled?",
            "kinds": sources.CHOICES,
            "query": query.urlencode(),
        }
        return TemplateResponse(request, "admin/triggers/source/kinds.html", context)

    def get_form(
        self, request: HttpRequest, obj: Source | None = None, change: bool = False, **kwargs: Any
    ) -> type[Any]:
        """The form of the source's kind."""
        kwargs["form"] = form_of(obj.kind if obj else request.GET.get("kind", "folder"))
        kwargs["fields"] = kwargs["form"].Meta.fields
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        """What it watches by its kind, and what was found."""
        kind = sources.KINDS[obj.kind if obj else request.GET.get("kind", "folder")]
        secret = ["secret"] if kind.credential else []
        shown: Any = [
            (None, {"fields": ["name", "trigger", "enabled"]}),
            (kind.label, {"fields": [*(PREFIX + name for name in kind.options), *secret]}),
            ("When", {"fields": ["interval_seconds", "begin"]}),
        ]
        if obj is not None:
            shown.append(("What came of it", {"fields": list(self.readonly_fields)}))
        return shown if self.has_change_permission(request, obj) else self._to_look_at(obj)

    def _to_look_at(self, obj: Source | None) -> Any:
        fields = ["name", "trigger", "enabled", "kind_label", "shown_options", "interval_seconds", "begin"]
        return [(None, {"fields": [*fields, *self.readonly_fields]})]

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        """Stores it, and its secret if one was typed; it is looked at at once."""
        watching.save(obj, secret=form.cleaned_data.get("secret") or None)

    @button("Try it now", permission="triggers.change_source")
    def try_out(self, request: HttpRequest, source: Source) -> HttpResponse:
        """Shows what a look would find; nothing is taken."""
        look = polling.try_out(source)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"What {source.name} would find now",
            "source": source,
            "found": [
                {"event": each.event, "fault": each.fault, "payload": masking.shown_body(each.payload)}
                for each in look.found[:SHOWN]
            ],
            "count": len(look.found),
            "more": look.more,
        }
        return TemplateResponse(request, "admin/triggers/source/tried.html", context)

    @button("Look now", permission="triggers.change_source", offered=lambda source: source.enabled)
    def poll(self, request: HttpRequest, source: Source) -> str:
        """Has a poller look at it at once."""
        polling.hurry(source)
        return f"{source.name} is looked at now."

    @admin.display(description="Options")
    def shown_options(self, source: Source) -> SafeString:
        """What it watches."""
        return format_html("<pre>{}</pre>", masking.shown_body(source.whole_options))

    @admin.display(description="Kind", ordering="kind")
    def kind_label(self, source: Source) -> str:
        """Its kind in words."""
        return source.kind_label

    @admin.display(description="Starts", ordering="trigger__job__name")
    def job(self, source: Source) -> str:
        """The job and trigger that hear of it."""
        return f"{source.trigger.job.name}: {source.trigger.label}"

    @admin.display(description="State", ordering="failing_since")
    def condition(self, source: Source) -> SafeString:
        """Whether it can be looked at."""
        if not source.enabled:
            return format_html('<span class="badge grey">{}off</span>', icon("skipped"))
        if source.failing_since:
            text = '<span class="badge red">{}failing</span> since {}: {}'
            return format_html(text, icon("failed"), moment(source.failing_since), source.last_error)
        if source.backlog:
            return format_html('<span class="badge amber">{}backlog</span>', icon("waiting"))
        if source.last_poll_at is None:
            return format_html('<span class="badge grey">{}not looked at yet</span>', icon("waiting"))
        return format_html('<span class="badge green">{}polled</span>', icon("succeeded"))

    @admin.display(description="Last look", ordering="last_poll_at")
    def last_poll(self, source: Source) -> SafeString:
        """When it was looked at."""
        return moment(source.last_poll_at)

    @admin.display(description="Complete until", ordering="caught_up_at")
    def complete(self, source: Source) -> SafeString:
        """Until when everything that had come is in the inbox."""
        return moment(source.caught_up_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        """The sources with their jobs."""
        found: QuerySet[Source] = super().get_queryset(request)
        return found.select_related("trigger__job")

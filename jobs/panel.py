"""Panel: what every admin page of ours has in common: buttons, bounded actions, saves of what was changed."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join, strip_tags
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString

from jobs import changes, pausing
from jobs.buttons import Button

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelAdmin = admin.ModelAdmin
    _ModelForm = forms.ModelForm

# One labelled field that browsers know, where Django has two without labels and a calendar by script.
MOMENTS: Mapping[type[Any], Mapping[str, Any]] = {
    DateTimeField: {
        "form_class": forms.DateTimeField,
        "widget": forms.DateTimeInput(
            attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"
        ),
    }
}
# An action on a list works through at most so many objects within the request.
MOST_AT_ONCE = 50


def run_link(number: int) -> SafeString:
    """A link to the run's page."""
    return format_html('<a href="{}">run #{}</a>', reverse("pages:run", args=[number]), number)


def without_links(field: Any) -> Any:
    """A form field without links beside it that open windows by script."""
    if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget = field.widget.widget
    return field


class PauseForm(forms.Form):
    """Why and until when."""

    reason = forms.CharField(required=False, max_length=pausing.REASON_LENGTH)
    until = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class Panel(_ModelAdmin):
    """A ModelAdmin with buttons, bounded actions, and saves that write only what the form changed."""

    # Names of methods that are buttons: in the rows of the list, and on the object's page.
    row_buttons: ClassVar[Sequence[str]] = ()
    page_buttons: ClassVar[Sequence[str]] = ()
    # Exceptions whose message is a sentence for whoever pressed the button.
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_form_template = "admin/panel/change_form.html"
    change_list_template = "admin/panel/change_list.html"
    formfield_overrides = MOMENTS

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses before Django's own, which would take them for object ids."""
        names = [name for name in dir(type(self)) if hasattr(getattr(type(self), name), "button")]
        mine = [
            path(
                f"<path:object_id>/{found.address}/",
                self.admin_site.admin_view(partial(self._press, button=found)),
                name=self._url_name(found),
            )
            for found in map(self._button, names)
        ]
        return [*mine, *super().get_urls()]

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        """The columns, and the buttons as the last one."""
        columns = tuple(super().get_list_display(request))
        if not self.row_buttons:
            return columns

        @admin.display(description="Do")
        def buttons(obj: Model) -> SafeString:
            return format_html(
                '<span class="row-buttons">{}</span>',
                format_html_join(
                    " ",
                    '<button type="submit" class="{}" formmethod="post" formaction="{}" formnovalidate'
                    ' aria-label="{} {}">{}</button>',
                    (
                        (found.classes, self._address(found, obj), found.label, obj, found.label)
                        for found in self._offered(request, obj, self.row_buttons)
                    ),
                ),
            )

        return (*columns, buttons)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's field, without links that open windows by script to add and change what it refers to."""
        return without_links(super().formfield_for_dbfield(db_field, request, **kwargs))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The object of this id; None for an id that no object can have."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; a filter that PostgreSQL can't even compare with is dropped like any unknown one."""
        if any("\0" in value for _, values in request.GET.lists() for value in values):
            messages.error(request, "A filter holds U+0000, which no text has: all filters were dropped.")
            return HttpResponseRedirect(request.path)
        return super().changelist_view(request, extra_context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override]
        """Django's, for ids that are ids and for at most `MOST_AT_ONCE` of them."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        try:
            keys = [self.opts.pk.to_python(key) for key in selected]
        except ValidationError as error:
            messages.error(request, f"Nothing was done: {' '.join(error.messages)}")
            return None
        if len(keys) > MOST_AT_ONCE or request.POST.get("select_across", "0") != "0":
            messages.error(request, f"Nothing was done: at most {MOST_AT_ONCE} can be chosen at a time.")
            return None
        return super().response_action(request, queryset)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form, under the buttons that make sense for its object and this person."""
        obj = kwargs.get("obj")
        if obj is not None:
            context["buttons"] = [
                {"address": self._address(found, obj), "label": found.label, "classes": found.classes}
                for found in self._offered(request, obj, self.page_buttons)
            ]
            if changes.label_of(obj) in changes.NOUNS and request.user.has_perm("jobs.view_change"):
                address = reverse("pages:audit")
                context["changes_url"] = f"{address}?object={changes.label_of(obj)}:{obj.pk}"
            context |= self.page_context(request, obj)
        return super().render_change_form(request, context, *args, **kwargs)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the object's page shows beside its form."""
        return {}

    def save_model(self, request: HttpRequest, obj: Any, form: _ModelForm, change: bool) -> None:
        """Writes what the form changed and nothing else, for others write the same rows: beat, keys, runs."""
        if not change:
            obj.save()
            return
        changed = set(getattr(form, "changed_fields", form.changed_data))
        names = {field.name for field in self.opts.concrete_fields}
        obj.save(update_fields=sorted((changed | {"updated_at"}) & names))

    def back(self, request: HttpRequest) -> str:
        """Where the person came from, if that is a page of this site; else the list."""
        before = request.headers.get("Referer", "")
        is_ours = url_has_allowed_host_and_scheme(before, {request.get_host()}, request.is_secure())
        if is_ours and urlsplit(before).path != request.path:
            return before
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def ask(
        self, request: HttpRequest, objects: Iterable[Model], *, template: str, title: str, **context: Any
    ) -> HttpResponse:
        """A page that asks before something is done: an action's second step, or a button's first.

        Its form sends the action and the objects once more.
        """
        listed = list(objects)
        action = request.POST.get("action", "")
        known = {"opts": self.opts, "title": title, "objects": listed, "action": action}
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), **known, **context}
        )

    def each(self, request: HttpRequest, objects: Iterable[Any], act: Callable[[Any], str]) -> None:
        """Does `act` with each object, says what came of it, and lets one refusal not stop the others."""
        done: list[str] = []
        refused: list[str] = []
        for obj in objects:
            try:
                with transaction.atomic():
                    sentence = act(obj)
                    self.note(request, [obj], sentence)
                done.append(sentence)
            except self.refusals as refusal:
                refused.append(f"{obj}: {refusal}")
        for level, sentences in ((messages.SUCCESS, done), (messages.ERROR, refused)):
            if sentences:
                text = format_html_join(SafeString("<br>"), "{}", ((one,) for one in sentences))
                messages.add_message(request, level, text)

    def _press(self, request: HttpRequest, object_id: str, *, button: Button) -> HttpResponse:
        if request.method != "POST" and not (button.asks and request.method in ("GET", "HEAD")):
            return HttpResponseNotAllowed(["POST"])
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]
        if not (self.has_view_permission(request, obj) and request.user.has_perm(button.permission)):
            raise PermissionDenied
        try:
            with transaction.atomic():
                answer = getattr(self, button.name)(request, obj)
                if isinstance(answer, HttpResponse):
                    return answer
                self.note(request, [obj], answer)
        except self.refusals as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, answer)
        return HttpResponseRedirect(self.back(request))

    def note(self, request: HttpRequest, objects: Iterable[Model], sentence: str) -> None:
        """Writes `sentence` into the history of each object, in the name of whoever asked."""
        plain = html.unescape(strip_tags(sentence)) if isinstance(sentence, SafeString) else sentence
        for obj in objects:
            self.log_change(request, obj, plain)

    def _button(self, name: str) -> Button:
        found: Button = getattr(self, name).button
        return found

    def _offered(self, request: HttpRequest, obj: Model, names: Sequence[str]) -> list[Button]:
        found = map(self._button, names)
        return [one for one in found if request.user.has_perm(one.permission) and one.offered(obj)]

    def _address(self, found: Button, obj: Model) -> str:
        return reverse(f"{self.admin_site.name}:{self._url_name(found)}", args=[quote(obj.pk)])

    def _url_name(self, found: Button) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{found.name}"


class ReadOnlyPanel(Panel):
    """A panel of what people only look at: nothing is added, changed or deleted there, whatever buttons it has."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

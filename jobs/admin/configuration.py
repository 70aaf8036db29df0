"""Gives each executor's configuration form fields of its own, and makes a configuration of them again.

A configuration that the fields can't hold (an argument with a line break, a key without a field) is edited
as one JSON text instead, so that nothing is lost by opening and saving a job.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import executors, registry
from jobs.expectations import MASK
from jobs.faults import Fault
from jobs.inputs import JSONObjectField, LinesField, NumbersField, PairsField

PREFIX: Final = "configuration_"
WHOLE: Final = "configuration_as_json"

SENTENCES: Final[Mapping[str, str]] = {
    "python": "A function that an installed app declares with @job.",
    "command": "A program that the settings allow, started with a list of arguments, never through a shell.",
    "http": "One HTTP call; the status of the answer decides.",
}
# What configurations keep in places that often hold secrets: shown to people who may not change them as dots.
_HIDDEN: Final = ("headers", "env")

Fields = dict[str, forms.Field]


class BodyField(forms.CharField):
    """A body template: JSON where the text is an object or a list, else text."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The text to edit."""
        if isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False, indent=2)
        return value

    def to_python(self, value: Any) -> Any:
        """What the text means."""
        text = super().to_python(value) or ""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return found if isinstance(found, dict | list) else text


def fields(executor: str, configuration: Mapping[str, Any]) -> Fields:
    """The form fields for a configuration of this executor, by form name, filled with it."""
    make = _FIELDS.get(executor)
    made = make(configuration) if make else {}
    if not make or not _fits(made, configuration):
        return {WHOLE: JSONObjectField(label="Configuration", initial=dict(configuration))}
    for key, field in made.items():
        field.initial = configuration.get(key)
        field.label = field.label or key.replace("_", " ").capitalize()
    return {PREFIX + key: field for key, field in made.items()}


def read(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a form's cleaned data says; an empty field is a key left out."""
    if WHOLE in cleaned:
        return dict(cleaned[WHOLE])
    return {
        name.removeprefix(PREFIX): value
        for name, value in cleaned.items()
        if name.startswith(PREFIX) and value not in (None, "", [], {}, False)
    }


def faults(executor: str, configuration: Mapping[str, Any], names: Fields) -> dict[str, list[str]]:
    """What the executor refuses in `configuration`, by the form field it belongs beside."""
    try:
        executors.get(executor).check(configuration)
    except executors.InvalidConfiguration as error:
        found: dict[str, list[str]] = {}
        for fault in error.errors:
            found.setdefault(_field_of(fault, names), []).append(f"{fault.pointer or '/'}: {fault.detail}")
        return found
    return {}


def shown(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """`configuration` for people who may only look."""
    return {
        key: dict.fromkeys(value, MASK) if key in _HIDDEN and isinstance(value, Mapping) else value
        for key, value in configuration.items()
    }


def _field_of(fault: Fault, names: Fields) -> str:
    name = PREFIX + fault.pointer.split("/")[1] if fault.pointer else ""
    return name if name in names else WHOLE if WHOLE in names else "__all__"


def _fits(made: Fields, configuration: Mapping[str, Any]) -> bool:
    """Whether the fields would give back exactly this configuration."""
    try:
        return all(
            key in made and made[key].clean(made[key].prepare_value(value)) == value
            for key, value in configuration.items()
        )
    except ValidationError:
        return False


def _python(configuration: Mapping[str, Any]) -> Fields:
    places = {slug: found.place for slug, found in registry.definitions().items()}
    if (configured := configuration.get("function")) and isinstance(configured, str):
        places.setdefault(configured, "missing")
    choices = [(slug, f"{slug} – {place}") for slug, place in sorted(places.items())]
    return {
        "function": forms.ChoiceField(
            required=False,
            choices=[("", "The one declared with this job’s slug"), *choices],
            help_text=_functions(),
        )
    }


def _functions() -> SafeString:
    """What each function says of itself, folded."""
    return format_html(
        "<details><summary>What the functions do</summary><dl>{}</dl></details>",
        format_html_join(
            "",
            "<dt><code>{}</code></dt><dd>{}</dd>",
            ((slug, found.description or "–") for slug, found in sorted(registry.definitions().items())),
        ),
    )


def _command(_: Mapping[str, Any]) -> Fields:
    return {
        "argv": LinesField(
            label="Arguments",
            rows=6,
            help_text="One a line, the program first. {parameter} stands for a parameter’s value.",
        ),
        "cwd": forms.CharField(
            label="Folder", required=False, help_text="Where it starts. Empty: the site’s own folder."
        ),
        "env": PairsField(
            label="Environment", help_text="NAME=value, one a line; nothing else is passed on."
        ),
        "stdin": forms.ChoiceField(
            label="Standard input",
            required=False,
            choices=[
                ("", "Nothing"),
                ("none", "Nothing, explicitly"),
                ("parameters", "The parameters as JSON"),
            ],
        ),
        "success_codes": NumbersField(
            label="Exit codes of success", required=False, help_text="Separated by commas. Empty: 0."
        ),
        "result": forms.ChoiceField(
            required=False,
            choices=[
                ("", "None"),
                ("none", "None, explicitly"),
                ("last_json_line", "The last line of its output, which is JSON"),
            ],
        ),
    }


def _http(_: Mapping[str, Any]) -> Fields:
    from jobs.executors import requests

    return {
        "method": forms.ChoiceField(
            required=False, choices=[("", "GET"), *((m, m) for m in requests.METHODS)]
        ),
        "url": forms.CharField(
            label="URL",
            required=False,
            help_text="{parameter} may stand in the path and the query.",
            widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
        ),
        "headers": PairsField(separator=":", help_text="Name: value, one a line."),
        "body": BodyField(
            required=False,
            help_text="JSON or text with {parameter}; a JSON text that is one placeholder becomes its value.",
        ),
        "expected_status": NumbersField(
            required=False, help_text="Separated by commas. Empty: any status from 200 to 299."
        ),
        "timeout_seconds": forms.FloatField(
            label="Time-out of the call (seconds)",
            required=False,
            help_text=f"Empty: {requests.DEFAULT_TIMEOUT_SECONDS}.",
        ),
        "follow_redirects": forms.BooleanField(required=False),
    }


_FIELDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Fields]]] = {
    "python": _python,
    "command": _command,
    "http": _http,
}

"""The form of one job: model fields, the executor's configuration, and checks that go across both."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from jobs import parameters, registry
from jobs.admin import configuration
from jobs.inputs import JSONObjectField, unmasked
from jobs.models import Job

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Job]
else:
    _ModelForm = forms.ModelForm


class JobForm(_ModelForm):
    """Edits a job of one executor, which `for_executor` chose together with the fields."""

    executor: str = ""
    schema = JSONObjectField(
        label="Parameter schema", help_text="A JSON Schema of the parameters. Empty: the job takes none."
    )
    defaults = JSONObjectField(
        label="Default parameters", help_text="Secrets are shown as dots, which keep the stored value."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.executor = self.executor
        self._stored_defaults = self.instance.defaults
        self.initial["defaults"] = parameters.mask(self.instance.schema, self.instance.defaults)
        if status := self.fields.get("status"):
            was_paused = self.instance.status == Job.Status.PAUSED
            status.choices = [  # type: ignore[attr-defined]
                choice for choice in Job.Status.choices if was_paused or choice[0] != Job.Status.PAUSED
            ]

    @property
    def changed_fields(self) -> list[str]:
        """The model's fields that this form changes."""
        changed = set(self.changed_data)
        if any(name in self._configured for name in changed):
            changed.add("configuration")
        if "status" in changed:
            changed |= {"paused_at", "paused_by", "paused_reason", "paused_until"}
        return sorted(changed)

    def clean(self) -> dict[str, Any]:
        """Checks configuration, defaults and schema with each other."""
        cleaned = super().clean() or self.cleaned_data
        if not self._configured & self.errors.keys():
            self.instance.configuration = configuration.read(cleaned)
            found = configuration.faults(self.executor, self.instance.configuration, self._configured_fields)
            for name, sentences in found.items():
                self.add_error(None if name == NON_FIELD_ERRORS else name, sentences)
        if self.executor == "python" and self.instance.pk is None and not cleaned.get("schema"):
            self._take_from_function(cleaned)
        if "schema" in cleaned and "defaults" in cleaned:
            self._check_defaults(cleaned)
        if cleaned.get("status") != Job.Status.PAUSED:
            self.instance.paused_at = self.instance.paused_until = None
            self.instance.paused_by = self.instance.paused_reason = ""
        return cleaned

    def _take_from_function(self, cleaned: dict[str, Any]) -> None:
        """A new job of a function takes its parameters, unless the form says others."""
        function = self.instance.configuration.get("function") or cleaned.get("slug", "")
        definition = registry.get(function)
        if definition is not None:
            cleaned["schema"] = dict(definition.schema)
            cleaned["defaults"] = {**definition.defaults, **cleaned.get("defaults", {})}

    def _check_defaults(self, cleaned: dict[str, Any]) -> None:
        cleaned["defaults"] = unmasked(cleaned["defaults"], self._stored_defaults)
        try:
            faults = parameters.faults(cleaned["schema"], cleaned["defaults"])
        except parameters.InvalidSchema:
            return  # said by the model's own check, beside the schema
        wrong = [f"{fault.pointer}: {fault.detail}" for fault in faults if fault.code != "required"]
        if wrong:
            self.add_error("defaults", wrong)

    def _update_errors(self, errors: ValidationError) -> None:
        """The model's errors; what it says of the configuration stands beside the very field already."""
        if hasattr(errors, "error_dict"):
            errors.error_dict.pop("configuration", None)
        super()._update_errors(errors)  # type: ignore[misc]

    @property
    def _configured_fields(self) -> configuration.Fields:
        return {name: self.fields[name] for name in self.fields if name.startswith(configuration.PREFIX)}

    @property
    def _configured(self) -> set[str]:
        return set(self._configured_fields)


def for_executor(executor: str, fields: configuration.Fields) -> type[JobForm]:
    """A JobForm for jobs of `executor`, with `fields` for the configuration."""
    return type("JobForm", (JobForm,), {"executor": executor, **fields})


def sentence_of(names: Iterable[str]) -> str:
    """Names of fields as people read them: "name, max attempts"."""
    return ", ".join(Job._meta.get_field(name).name.replace("_", " ") for name in names)

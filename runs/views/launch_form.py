"""The form that starts a job: one field for each parameter of its schema, and the priority."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from jobs import form
from jobs.faults import Fault
from jobs.models import Job
from jobs.parameters import InvalidParameters

PREFIX = "p-"
# Kinds of fields that show by themselves what they expect.
CHOICES = ("checkbox", "select", "multiselect")


@dataclass(slots=True)
class Row:
    """A field with what is wrong in it."""

    field: form.FormField
    errors: list[str]

    @property
    def hint(self) -> str:
        """What the field expects, where neither its help nor its look says so."""
        one = self.field
        return "" if one.help or one.kind in CHOICES or one.expected == "a text" else one.expected


@dataclass(slots=True, kw_only=True)
class LaunchForm:
    """The form as it is shown: filled with `values`, or with what was typed and refused."""

    job: Job
    values: Mapping[str, Any]
    typed: QueryDict | None = None
    faults: list[Fault] = field(default_factory=list)
    refusal: str = ""

    def refuse(self, error: InvalidParameters) -> None:
        """Keeps what is wrong, to be shown beside its fields."""
        self.faults = error.errors

    @property
    def priority(self) -> str:
        """The priority that was chosen; "" for none."""
        return self.typed.get("priority", "") if self.typed is not None else ""

    @property
    def status(self) -> int:
        """The HTTP status of a page that shows this form."""
        if self.refusal:
            return 409
        return 422 if self.faults else 200

    @property
    def rows(self) -> list[Row]:
        """The fields; what must be given comes first, and what is ticked last."""
        made = form.fields(self.job.schema, self.values, prefix=PREFIX, typed=self.typed)
        made.sort(key=lambda one: (not one.required, one.kind == "checkbox"))
        return [Row(one, self._errors_of(one.parameter)) for one in made]

    @property
    def other_errors(self) -> list[str]:
        """What is wrong with no single field."""
        known = {one.parameter for one in form.fields(self.job.schema, {}, prefix=PREFIX)}
        return [fault.detail for fault in self.faults if _top(fault) not in known]

    def _errors_of(self, parameter: str) -> list[str]:
        return [fault.detail for fault in self.faults if _top(fault) == parameter]


def _top(fault: Fault) -> str:
    """The parameter that a fault lies in."""
    head = fault.pointer.removeprefix("/").partition("/")[0]
    return head.replace("~1", "/").replace("~0", "~")

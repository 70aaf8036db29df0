"""Form fields for what jobs and triggers keep as JSON, lists and pairs. Each names what it could not read."""

import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import ValidationError

from jobs import parameters
from jobs.expectations import MASK, shown, unreadable

_ANY_OBJECT = {"additionalProperties": True}


class JSONObjectField(forms.JSONField):
    """A JSON object as indented text. An empty field is an empty object."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(**kwargs)
        self.widget.attrs |= {"class": "vLargeTextField json", "rows": 8, "spellcheck": "false"}

    def prepare_value(self, value: Any) -> str:
        """The text to edit; what could not be read comes back as it was typed."""
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return json.dumps({} if value is None else value, ensure_ascii=False, indent=2)

    def to_python(self, value: Any) -> Any:
        """The object; raises ValidationError saying where the text stops being one."""
        text = value if isinstance(value, str) else ""
        if not text.strip():
            return {}
        try:
            found = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise ValidationError(
                f"Line {error.lineno}, column {error.colno}: {error.msg}. Expected a JSON object.",
                code="invalid",
            ) from None
        except RecursionError:
            raise ValidationError("Nested too deep. Expected a JSON object.", code="invalid") from None
        except ValueError as error:
            raise ValidationError(f"{unreadable(error)} Expected a JSON object.", code="invalid") from None
        faults = parameters.faults(_ANY_OBJECT, found)
        if faults:
            raise ValidationError([f"{fault.pointer or '/'}: {fault.detail}" for fault in faults])
        return dict(found)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, to be shown again as it was typed."""
        return forms.fields.InvalidJSONInput(data) if isinstance(data, str) else data

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the text means another object than before; one that can't be read does."""
        try:
            return bool(self.to_python(data) != (initial or {}))
        except ValidationError:
            return True


class LinesField(forms.CharField):
    """A list of texts, one a line; empty lines are left out."""

    def __init__(self, *, rows: int = 4, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(widget=forms.Textarea(attrs={"rows": rows, "spellcheck": "false"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """The list as lines."""
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """The lines as a list."""
        text = super().to_python(value) or ""
        return [line.strip() for line in text.splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the lines are others than before."""
        return self.to_python(data) != list(initial or [])


class PairsField(LinesField):
    """A mapping of texts, one pair a line: `NAME=value`, or with another separator."""

    def __init__(self, *, separator: str = "=", **kwargs: Any) -> None:
        self._separator = separator
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        """The mapping as lines."""
        return super().prepare_value(
            [f"{name}{self._glue}{text}" for name, text in value.items()]
            if isinstance(value, Mapping)
            else value
        )

    def to_python(self, value: Any) -> dict[str, str]:  # type: ignore[override]
        """The lines as a mapping; raises ValidationError naming the line that is no pair."""
        pairs: dict[str, str] = {}
        for line in super().to_python(value):
            name, sign, text = line.partition(self._separator)
            if not sign or not name.strip():
                raise ValidationError(
                    f"{shown(line)} is no pair: expected NAME{self._glue}value.", code="invalid"
                )
            pairs[name.strip()] = text.strip()
        return pairs

    @property
    def _glue(self) -> str:
        return self._separator if self._separator == "=" else f"{self._separator} "

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the pairs are others than before."""
        try:
            return self.to_python(data) != dict(initial or {})
        except ValidationError:
            return True


class NumbersField(forms.CharField):
    """A list of whole numbers, separated by commas or blanks."""

    def prepare_value(self, value: Any) -> Any:
        """The list as text."""
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[int]:  # type: ignore[override]
        """The text as a list; raises ValidationError naming what is no number."""
        numbers = []
        for part in (super().to_python(value) or "").replace(",", " ").split():
            if not part.isascii() or not part.isdigit() or len(part) > 9:
                raise ValidationError(f"{shown(part)} is not a whole number: expected something like 0, 2.")
            numbers.append(int(part))
        return numbers

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the numbers are others than before."""
        try:
            return self.to_python(data) != list(initial or [])
        except ValidationError:
            return True


def unmasked(typed: Any, stored: Any) -> Any:
    """`typed`, with what is stored in the place of each mask that a form showed instead of a secret."""
    if typed == MASK:
        return typed if stored is None else stored
    if isinstance(typed, Mapping):
        known = stored if isinstance(stored, Mapping) else {}
        return {name: unmasked(value, known.get(name)) for name, value in typed.items()}
    if isinstance(typed, list):
        known_items = stored if isinstance(stored, list) else []
        return [unmasked(v, s) for v, s in zip_longest(typed, known_items[: len(typed)])]
    return typed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON knows.")

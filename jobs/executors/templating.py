"""Fills `{parameter}` placeholders into texts of a configuration; `{{` and `}}` stand for braces."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_-]*)\}|[{}]")


class BadTemplate(ValueError):
    """A text whose braces are neither a placeholder nor escaped."""


class Unfillable(ValueError):
    """A placeholder that the run's parameters can't fill, and why."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: literal parts, and the names of parameters between them.

    `parts` alternate: literal, name, literal, name, …, literal.
    """

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.parts[1::2]

    @property
    def only(self) -> str | None:
        """The name, if the text is one placeholder and nothing else."""
        return self.parts[1] if len(self.parts) == 3 and not self.parts[0] and not self.parts[2] else None

    def fill(self, values: Mapping[str, Any], escape: Callable[[str], str] = str) -> str:
        """The text with each name replaced by the text of its value, escaped. Raises Unfillable."""
        return "".join(
            escape(text_of(values.get(part), name=part)) if index % 2 else part
            for index, part in enumerate(self.parts)
        )


def parse(text: str) -> Template:
    """Reads a template; raises BadTemplate."""
    parts, literal, position = [], "", 0
    for token in _TOKEN.finditer(text):
        literal += text[position : token.start()]
        position = token.end()
        if token["name"]:
            parts += [literal, token["name"]]
            literal = ""
        elif token[0] in {"{{", "}}"}:
            literal += token[0][0]
        else:
            raise BadTemplate(
                f"{text!r} has a {token[0]!r} at character {token.start() + 1} that is no placeholder; "
                "expected {parameter}, or {{ and }} for braces."
            )
    return Template((*parts, literal + text[position:]))


def text_of(value: Any, *, name: str) -> str:
    """The value of a parameter inside a text: texts as they are, the rest as JSON. Raises Unfillable."""
    if value is None:
        raise Unfillable(f"the parameter {name!r} is not given.")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Unfillable(
            f"the parameter {name!r} holds U+0000 or half a surrogate pair, which can't be passed on."
        )
    return text


def is_absent(template: Template, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter it names is not given (or null): then what the text stands in is left out."""
    return any(parameters.get(name) is None for name in template.names)

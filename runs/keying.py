"""Makes the dedup and concurrency keys of runs: what their jobs' templates make of their parameters."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.crypto import salted_hmac

from jobs import parameters, schemas
from jobs.executors import templating

KEY_LENGTH: Final = 200
# Two texts with the same 128 bits are not to be met with.
_DIGEST_LENGTH: Final = 32

Maker = Callable[[Mapping[str, Any]], str | None]


def key_of(text: str | None, given: Mapping[str, Any], *, schema: Mapping[str, Any]) -> str | None:
    """The key that the template `text` makes of a run's parameters; None without one, or if they don't fill it."""
    make = maker(text, schema=schema)
    return make(given) if make else None


def maker(text: str | None, *, schema: Mapping[str, Any]) -> Maker | None:
    """What makes the keys of many runs by the template `text`, parsed once; None without one.

    Keys are shown and compared whole: what the schema calls a secret is in them by its digest only, and of a key
    that is longer than can be stored the digest tells it from others that begin alike.
    """
    if not text:
        return None
    template = templating.parse(text)
    hides = schemas.may_hide(schema)

    def make(given: Mapping[str, Any]) -> str | None:
        if templating.is_absent(template, given):
            return None
        return _fitted(template.fill(_masked(template, given, schema) if hides else given)) or None

    return make


def _masked(
    template: templating.Template, given: Mapping[str, Any], schema: Mapping[str, Any]
) -> dict[str, Any]:
    named = {name: given[name] for name in template.names}
    shown = parameters.mask(schema, named)
    return {name: value if shown[name] == value else _digest(name, value) for name, value in named.items()}


def _digest(name: str, value: Any) -> str:
    """Keyed, because a secret may be short enough to be guessed."""
    text = templating.text_of(value, name=name)
    return salted_hmac("runs.keying", text, algorithm="sha256").hexdigest()[:_DIGEST_LENGTH]


def _fitted(text: str) -> str:
    if len(text) <= KEY_LENGTH:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{text[: KEY_LENGTH - _DIGEST_LENGTH - 1]}…{digest}"

"""The ways of signing deliveries that event triggers know, each in a file of its own."""

from collections.abc import Mapping
from typing import Any, Final

from jobs import parameters
from triggers.events.base import Reader, Scheme
from triggers.events.schemes.github import GitHub
from triggers.events.schemes.gitlab import GitLab
from triggers.events.schemes.polled import Polled
from triggers.events.schemes.signed import SignedBody
from triggers.events.schemes.slack import Slack
from triggers.events.schemes.standard import StandardWebhooks
from triggers.events.schemes.token import SharedToken

SCHEMES: Final[Mapping[str, Scheme]] = {
    "standard": StandardWebhooks(),
    "github": GitHub(),
    "gitlab": GitLab(),
    "slack": Slack(),
    "hmac": SignedBody(),
    "token": SharedToken(),
}
# No way of signing, but of being found: by sources that the site polls.
POLL: Final = "poll"
READERS: Final[Mapping[str, Reader]] = {**SCHEMES, POLL: Polled()}
CHOICES: Final = [(slug, scheme.label) for slug, scheme in READERS.items()]


def options_schema(slug: str) -> dict[str, Any]:
    """The JSON Schema of a scheme's options."""
    return {"type": "object", "properties": dict(READERS[slug].options), "additionalProperties": False}


def complete(slug: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the defaults of those that are not given."""
    known = READERS[slug].options
    return {name: place["default"] for name, place in known.items()} | dict(options)


def faults(slug: str, options: Any) -> list[str]:
    """What is wrong with the options of a scheme, in sentences."""
    found = parameters.faults(options_schema(slug), options)
    return [f"{fault.pointer or '/'}: {fault.detail}" for fault in found]

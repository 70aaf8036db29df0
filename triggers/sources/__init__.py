"""The kinds of sources that are polled for events, each in a file of its own. They know no tables."""

from collections.abc import Mapping
from typing import Any, Final

from jobs import parameters
from jobs.faults import Fault, pointer
from triggers.sources.base import Kind
from triggers.sources.bucket import Bucket
from triggers.sources.folder import Folder
from triggers.sources.queue import Queue
from triggers.sources.table import Table

KINDS: Final[Mapping[str, Kind]] = {
    "folder": Folder(),
    "bucket": Bucket(),
    "table": Table(),
    "queue": Queue(),
}
CHOICES: Final = [(slug, kind.label) for slug, kind in KINDS.items()]
BEGINNINGS: Final = [("now", "From now on"), ("beginning", "From the beginning")]


def options_schema(slug: str) -> dict[str, Any]:
    """The JSON Schema of a kind's options."""
    kind = KINDS[slug]
    return {
        "type": "object",
        "properties": dict(kind.options),
        "required": [name for name, place in kind.options.items() if "default" not in place],
        "additionalProperties": False,
    }


def complete(slug: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the defaults of those that are not given."""
    known = KINDS[slug].options
    return {name: place["default"] for name, place in known.items() if "default" in place} | dict(options)


def faults(slug: str, options: Any) -> list[Fault]:
    """What is wrong with the options of a kind; pointers point into them."""
    found = parameters.faults(options_schema(slug), options)
    if found:
        return found
    told = KINDS[slug].faults(complete(slug, options))
    return [Fault(pointer=pointer(name), code="value", detail=text) for name, text in told.items()]


def mark(slug: str, options: Mapping[str, Any]) -> list[Any]:
    """What says which things are watched: where it changes, polling begins anew."""
    whole = complete(slug, options)
    return [slug, *(whole[name] for name in KINDS[slug].marks)]

"""What people may see of a delivery: without what looks like a secret."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from jobs.expectations import MASK
from jobs.faults import pointer

_SECRET: Final = re.compile(
    r"auth(?!or)|cookie|token|secret|passw|signature|api[-_]?key|private[-_]?key|credential", re.IGNORECASE
)


def headers(found: Mapping[str, str], *, also: str = "") -> dict[str, str]:
    """Headers with dots for those that hold a secret by their name; `also` is one more such name."""
    return {
        name: MASK if is_secret(name) or name.lower() == also.lower() else text
        for name, text in found.items()
    }


def is_secret(name: str) -> bool:
    """Whether what has this name is a secret, as far as a name can tell."""
    return _SECRET.search(name) is not None


def masked(value: Any, *, also: Collection[str] = (), place: str = "") -> Any:
    """A payload with dots for texts and numbers whose names say that they are secret, and at the pointers `also`."""
    if place in also and place:
        return MASK
    if isinstance(value, dict):
        return {
            name: MASK
            if is_secret(name) and isinstance(item, str | int | float)
            else masked(item, also=also, place=place + pointer(name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item, also=also, place=f"{place}/{number}") for number, item in enumerate(value)]
    return value


def shown_body(payload: Any, *, also: Collection[str] = ()) -> str:
    """A whole payload as indented JSON, without its secrets."""
    return json.dumps(masked(payload, also=also), ensure_ascii=False, indent=2)

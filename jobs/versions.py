"""`ETag` and `If-Match`: a write that is meant for one version of something is done to no other.

Jobs and triggers count their versions. What is changed more seldom has the digest of what may be written of it.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db.models import Model
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request

from jobs.faults import Fault
from jobs.wire import InvalidHeader

M = TypeVar("M", bound=Model)

# A number, or so many digits of a digest.
TAG: Final = r'"[0-9a-f]{1,16}"'


class PreconditionFailed(APIException):
    """Somebody changed it since the caller read it."""

    status_code = 412
    default_code = "precondition_failed"


def digest(*values: Any) -> str:
    """The version of what has these values; equal values are one version, whoever wrote them and when."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tag(version: int | str) -> dict[str, str]:
    """The header that says it."""
    return {"ETag": f'"{version}"'}


def match(request: Request, version: int | str, *, noun: str) -> None:
    """Raises PreconditionFailed if the caller names another version than this one, InvalidHeader for no version."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    text = wanted.strip().removeprefix("W/")
    if not re.fullmatch(TAG, text):
        detail = f'The If-Match is {wanted!r}; expected an ETag such as "{version}", or *.'
        raise InvalidHeader([Fault(pointer="/If-Match", code="format", detail=detail)])
    if text != f'"{version}"':
        raise PreconditionFailed(
            f"The {noun} is at version {version} now, and not {text[1:-1]}: somebody changed it."
        )


def hold(request: Request, found: M, *, version: Callable[[M], int | str], noun: str) -> M:
    """What was found, as it stands now, locked until the transaction ends: nobody else can change it meanwhile.

    Raises NotFound if it is gone by now, and what `match` raises.
    """
    held = type(found)._default_manager.select_for_update(of=("self",)).filter(pk=found.pk).first()
    if held is None:
        raise NotFound(f"There is no {noun} {found.pk} any more.")
    match(request, version(held), noun=noun)
    return held

"""`ETag` and `If-Match`: a write that is meant for one version of something is done to no other.

Jobs and triggers count their versions. What is changed more seldom has the digest of what may be written of it.
"""

import hashlib
import json
import re
from typing import Any, Final

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from jobs.faults import Fault
from jobs.wire import InvalidHeader

_COUNTED: Final = re.compile(r"[0-9]{1,10}")
_DIGESTED: Final = re.compile(r"[0-9a-f]{16}")


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
    form = _COUNTED if isinstance(version, int) else _DIGESTED
    text = wanted.strip().removeprefix("W/")
    quoted = text[1:-1]
    if text != f'"{quoted}"' or not form.fullmatch(quoted):
        example = "3" if isinstance(version, int) else "9f86d081884c7d65"
        detail = f'The If-Match is {wanted!r}; expected an ETag such as "{example}", or *.'
        raise InvalidHeader([Fault(pointer="/If-Match", code="format", detail=detail)])
    if quoted != str(version):
        raise PreconditionFailed(
            f"The {noun} is at version {version} now, and not {quoted}: somebody changed it."
        )

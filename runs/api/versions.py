"""The header `If-Match`: a write that is meant for one version of a job or trigger is done to no other."""

import re
from typing import Final

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from jobs.faults import Fault
from jobs.wire import InvalidHeader

_TAG: Final = re.compile(r'\*|"([0-9]{1,10})"')


class PreconditionFailed(APIException):
    """Somebody changed it since the caller read it."""

    status_code = 412
    default_code = "precondition_failed"


def match(request: Request, version: int, *, noun: str) -> None:
    """Raises PreconditionFailed if the caller names another version than this one, InvalidHeader for no version."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return
    found = _TAG.fullmatch(wanted.strip().removeprefix("W/"))
    if found is None:
        detail = f'The If-Match is {wanted!r}; expected an ETag such as "3", or *.'
        raise InvalidHeader([Fault(pointer="/If-Match", code="format", detail=detail)])
    if found[1] is not None and int(found[1]) != version:
        raise PreconditionFailed(
            f"The {noun} is at version {version} now, and not {found[1]}: somebody changed it."
        )

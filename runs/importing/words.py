"""The old systems' words for how a run stands."""

from collections.abc import Mapping
from typing import Final

from runs import status as statuses
from runs.status import Status

# Beside those that filters accept.
_WORDS: Final[Mapping[str, Status]] = {
    "passed": Status.SUCCEEDED,
    "done": Status.SUCCEEDED,
    "error": Status.FAILED,
    "timeout": Status.FAILED,
    "timed_out": Status.FAILED,
    "aborted": Status.CANCELLED,
}


def status_of(word: str) -> Status:
    """The status that an old word means; raises UnknownStatus naming the words that would do."""
    known = _WORDS.get(word.lower())
    if known:
        return known
    try:
        return statuses.parse(word.lower())
    except statuses.UnknownStatus:
        expected = ", ".join([*Status.values, *statuses.ALIASES, *_WORDS])
        raise statuses.UnknownStatus(f"{word!r} is not a status: expected one of {expected}.") from None

"""Puts what happened to an attempt into an outcome: exceptions, time-outs, results."""

import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from jobs.executors.base import Failed, FailureReason, Succeeded

MESSAGE_LIMIT: Final = 4_000  # characters
TRACEBACK_LIMIT: Final = 16_000
_OURS: Final = str(Path(__file__).parent)


class UnfitResult(ValueError):
    """A result that can't be kept with the run, and why."""


def succeeded(result: Any) -> Succeeded | Failed:
    """The end of work that returned `result`; a result that is no JSON or too large fails the attempt."""
    try:
        return Succeeded(result=as_json(result))
    except UnfitResult as error:
        return Failed(reason="error", type="UnfitResult", message=str(error), retryable=False)


def as_json(result: Any) -> Any:
    """`result` as plain JSON values; dates, times, decimals and UUIDs become texts. Raises UnfitResult."""
    if result is None:
        return None
    try:
        text = json.dumps(result, cls=DjangoJSONEncoder, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitResult(
            f"The result is not JSON: {error}. Expected texts, numbers, lists, objects."
        ) from None
    size = len(text.encode())
    if size > settings.RESULT_LIMIT:
        raise UnfitResult(
            f"The result has {size} bytes of JSON; expected at most {settings.RESULT_LIMIT}. "
            "Keep large data elsewhere and return where it is."
        )
    return json.loads(text)


def failed_by(error: BaseException, *, reason: FailureReason = "error", retryable: bool = True) -> Failed:
    """The failure that an exception out of job code means; our own frames are not in its traceback."""
    if isinstance(error, MemoryError):
        # What filled the memory hangs on the frames, and formatting needs some.
        traceback.clear_frames(error.__traceback__)
    return Failed(
        reason=reason,
        type=_type_name(error),
        message=cut(_message(error), MESSAGE_LIMIT),
        traceback=cut(_traceback(error), TRACEBACK_LIMIT),
        retryable=retryable,
    )


def timed_out(seconds: float | None, *, trace: str = "") -> Failed:
    """The failure of an attempt whose time, `seconds` with all extensions, is over."""
    message = (
        f"The attempt took longer than its {seconds:g} s." if seconds is not None else "The time is over."
    )
    return Failed(reason="timeout", type="TimedOut", message=message, traceback=trace)


def broken(type_name: str, message: str) -> Failed:
    """The failure of a job that no try can carry out before someone mends it."""
    return Failed(reason="broken", type=type_name, message=message, retryable=False)


def cut(text: str, limit: int) -> str:
    """`text` without its middle if it is longer than `limit` characters: both ends say most."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _type_name(error: BaseException) -> str:
    cls = type(error)
    return (
        cls.__qualname__
        if cls.__module__ in {"builtins", "__main__"}
        else f"{cls.__module__}.{cls.__qualname__}"
    )


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            f"The job called sys.exit({error.code!r}); expected it to return a result or to raise an error."
        )
    try:
        return str(error)
    except Exception as inner:
        return f"(its message can't be shown: {type(inner).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        shown = traceback.TracebackException.from_exception(error, limit=-50)
        for part in _chain(shown):
            part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        return "".join(shown.format())
    except Exception as inner:
        return f"(the traceback can't be shown: {type(inner).__name__})"


def _chain(shown: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An exception with its causes, its contexts and the members of a group."""
    waiting = [shown]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [other for other in (part.__cause__, part.__context__, *(part.exceptions or ())) if other]

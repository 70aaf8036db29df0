"""The executor of jobs that are one HTTP call: its status decides; 5xx and 429 may be tried again."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from jobs.executors import interruption, outcomes, requests
from jobs.executors.addresses import AddressRefused
from jobs.executors.attempt import Attempt
from jobs.executors.base import (
    Cancelled,
    Failed,
    InvalidConfiguration,
    JobContext,
    Launch,
    Outcome,
    Succeeded,
)
from jobs.executors.calls import Answer, Call, CallFailed, send
from jobs.executors.templating import Unfillable
from jobs.expectations import MASK

EXCERPT: Final = 2_000  # characters of an answer that is not JSON
_SHOWN_HEADERS: Final = (
    "content-type",
    "content-length",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-request-id",
)
_PUBLIC_HEADERS: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})
# Shorter header values are words such as "1" or "on", and masking them would spoil the text.
SECRET_LENGTH: Final = 4
_RETRYABLE: Final = frozenset({408, 425, 429})


class _Stopped(Exception):
    """The call must stop: the attempt's time is over, a cancel was asked, or the call's own time is over."""

    def __init__(self, why: Literal["timeout", "cancelled", "late"]) -> None:
        self.why = why


class HttpExecutor:
    """Configuration: `url`, and what else requests.KEYS names (docs/executors.md)."""

    slug: Final = "http"

    def check(self, configuration: Mapping[str, Any]) -> None:
        found = requests.faults(configuration)
        if found:
            raise InvalidConfiguration(found)

    def execute(self, launch: Launch, context: JobContext) -> Outcome:
        interruption.forget()
        try:
            self.check(launch.configuration)
            call = requests.fill(launch.configuration, launch.parameters)
            return _Exchange(launch, context, call).outcome()
        except InvalidConfiguration as error:
            return outcomes.broken("InvalidConfiguration", str(error))
        except Unfillable as error:
            message = f"The call can't be made: {error}"
            return Failed(reason="error", type="Unfillable", message=message, retryable=False)
        except Exception as error:  # of ours or of the context: still an end of the attempt
            return outcomes.failed_by(error)
        finally:
            interruption.forget()


class _Exchange:
    """One attempt of a call, from sending to its outcome."""

    def __init__(self, launch: Launch, context: JobContext, call: Call) -> None:
        self._attempt = Attempt(launch, context)
        self._call = call
        self._expected = launch.configuration.get("expected_status")
        self._seconds = launch.configuration.get("timeout_seconds", requests.DEFAULT_TIMEOUT_SECONDS)
        self._deadline = monotonic() + self._seconds
        parts = urlsplit(call.url)
        self._title = f"{call.method} {parts.scheme}://{parts.netloc}{parts.path}"  # a query may hold secrets

    def outcome(self) -> Outcome:
        started = monotonic()
        try:
            answer = send(self._call, check=self._check)
        except _Stopped as stopped:
            return self._stopped(stopped)
        except AddressRefused as error:
            message = f"{self._title} was not called: {error}"
            return Failed(reason="error", type="AddressRefused", message=message, retryable=False)
        except CallFailed as error:
            return Failed(
                reason="error", type="CallFailed", message=self._masked(f"{self._title} failed: {error}")
            )
        seconds = monotonic() - started
        self._attempt.log(
            f"{self._title} answered {_status(answer)}, {len(answer.body)} bytes, in {seconds:.2f} s"
        )
        return self._judged(answer)

    def _check(self) -> None:
        stop = self._attempt.stop()
        if stop:
            raise _Stopped(stop)
        if monotonic() >= self._deadline:
            raise _Stopped("late")

    def _stopped(self, stopped: _Stopped) -> Outcome:
        if stopped.why == "cancelled":
            return Cancelled()
        if stopped.why == "timeout":
            return outcomes.timed_out(self._attempt.timeout_seconds)
        message = f"{self._title} gave no whole answer within its {self._seconds:g} s."
        return Failed(reason="timeout", type="TimedOut", message=message)

    def _judged(self, answer: Answer) -> Outcome:
        if answer.status in (self._expected or range(200, 300)):
            return _succeeded(answer)
        expected = " or ".join(map(str, self._expected)) if self._expected else "200 to 299"
        return Failed(
            reason="error",
            type="UnexpectedStatus",
            message=f"{self._title} answered {_status(answer)}; expected {expected}.",
            traceback=self._masked(_text(answer)[:EXCERPT]),
            retryable=answer.status >= 500 or answer.status in _RETRYABLE,
            retry_after_seconds=_retry_after(answer.headers.get("retry-after", "")),
        )

    def _masked(self, text: str) -> str:
        """`text`, which may come from the other side, without what our headers said."""
        for name, value in self._call.headers.items():
            if name not in _PUBLIC_HEADERS:
                whole = value.decode()
                for secret in (whole, whole.rpartition(" ")[2]):  # "Bearer <secret>"
                    text = text.replace(secret, MASK) if len(secret) >= SECRET_LENGTH else text
        return text


def _succeeded(answer: Answer) -> Succeeded:
    result: dict[str, Any] = {
        "status": answer.status,
        "headers": {name: answer.headers[name] for name in _SHOWN_HEADERS if name in answer.headers},
    }
    if "json" in answer.headers.get("content-type", "").partition(";")[0]:
        try:
            return Succeeded(result=outcomes.as_json({**result, "json": json.loads(answer.body)}))
        except (ValueError, RecursionError):
            pass  # no JSON after all, or too large to keep: an excerpt says more than a failure
    text = _text(answer)
    return Succeeded(result={**result, "text": text[:EXCERPT], "truncated": len(text) > EXCERPT})


def _text(answer: Answer) -> str:
    charset = answer.headers.get("content-type", "").lower().partition("charset=")[2].strip(" \"'")
    try:
        return answer.body.decode(charset or "utf-8", "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


def _status(answer: Answer) -> str:
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def _retry_after(value: str) -> float | None:
    """Retry-After's seconds, given as such or as a date (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


executor = HttpExecutor()

"""Turns whatever went wrong into an answer of RFC 9457, application/problem+json: never a traceback.

The domain raises its own exceptions and knows no HTTP; which of them is which problem is decided here alone.
"""

import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.template.loader import get_template
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.views import APIView

from config.api.catalogue import CATALOGUE
from jobs.expectations import shown
from jobs.faults import Fault, Faulty
from jobs.parameters import InvalidParameters
from jobs.pausing import PauseRefused
from jobs.wire import InvalidBody, InvalidHeader, InvalidQuery, instant_text
from runs import idempotency
from runs.api.bodies import ForgedProvenance
from runs.deleted import RunDeleted
from runs.launch import LaunchRefused
from triggers.dependencies import CircularDependency
from triggers.events.base import Rejected, Unreadable
from triggers.keys import NotRotated
from triggers.ledger import LedgerRefused
from triggers.limits import LimitReached
from triggers.restoring import RevertRefused
from triggers.vault import VaultLocked

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
PREFIX = "/api/"
RETRY_SECONDS = 2
Error = dict[str, str]

# Faulty exceptions: their code, where their pointers point into, and what stands before them.
_FAULTY: tuple[tuple[type[Faulty], str, str, str], ...] = (
    (InvalidParameters, "invalid_parameters", "body", "/parameters"),
    (InvalidBody, "invalid_body", "body", ""),
    (ForgedProvenance, "forged_provenance", "body", ""),
    (InvalidQuery, "invalid_query", "query", ""),
    (InvalidHeader, "invalid_header", "header", ""),
)
# Refusals of ours that need no more than their own sentence.
_REFUSED: tuple[tuple[type[Exception], str], ...] = (
    (PauseRefused, "refused"),
    (LedgerRefused, "refused"),
    (idempotency.KeyReused, "idempotency_key_reused"),
)
# Exceptions that need no more than their own sentence.
_PLAIN: tuple[tuple[type[Exception], str], ...] = (
    (Rejected, "invalid_signature"),
    (Unreadable, "unreadable_event"),
    (VaultLocked, "vault_locked"),
    (exceptions.NotAuthenticated, "not_authenticated"),
    (exceptions.AuthenticationFailed, "not_authenticated"),
    (exceptions.PermissionDenied, "permission_denied"),
    (PermissionDenied, "permission_denied"),
    (exceptions.NotFound, "not_found"),
    (RunDeleted, "gone"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.Throttled, "throttled"),
    (exceptions.ParseError, "invalid_json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One occurrence of a problem type."""

    code: str
    detail: str
    errors: Iterable[Error] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Django REST framework's exception handler; None for what is a fault of ours, which Django reports."""
    problem = problem_of(error)
    if problem is None:
        return None
    expected = _expected(error, context["view"])
    return answer(context["request"], replace(problem, detail=expected) if expected else problem)


# How the framework's own sentence begins; a view that takes more than JSON has one that says what.
_UNSUPPORTED: Final = str(exceptions.UnsupportedMediaType.default_detail).partition("{")[0]


def _expected(error: Exception, view: APIView) -> str | None:
    """A sentence for what only the view can say: which methods, bodies and answers there are."""
    request = view.request
    if isinstance(error, exceptions.MethodNotAllowed):
        return f"The method is {request.method}; expected one of {', '.join(view.allowed_methods)}."
    if isinstance(error, exceptions.NotAcceptable):
        kinds = ", ".join(renderer.media_type for renderer in view.get_renderers() if renderer.media_type)
        return f"Accept is {shown(request.headers.get('Accept'))}; expected {kinds}."
    if isinstance(error, exceptions.UnsupportedMediaType) and str(error.detail).startswith(_UNSUPPORTED):
        return f"The body is declared as {shown(request.content_type)}; expected application/json in UTF-8."
    return None


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The response that says `problem`."""
    kind = CATALOGUE[problem.code]
    body = {
        "type": f"{_site(request)}{PREFIX}errors/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": kind.code,
        "errors": list(problem.errors),
        "request_id": structlog.contextvars.get_contextvars().get("request_id") or str(uuid.uuid4()),
        **{name: _plain(value) for name, value in problem.extra.items()},
    }
    return JsonResponse(body, status=kind.status, content_type=CONTENT_TYPE, headers=dict(problem.headers))


def problem_of(error: BaseException | None) -> Problem | None:
    """What `error` is to a caller of the API; None if it is a fault of ours."""
    return (
        _refusal(error) or _of_keys(error) or _of_database(error) or _of_django(error) or _of_framework(error)
    )


def _refusal(error: BaseException | None) -> Problem | None:
    for kind, code, place, prefix in _FAULTY:
        if isinstance(error, kind):
            errors = [_error(fault, place, prefix) for fault in error.errors]
            return Problem(code=code, detail=str(error), errors=errors)
    if isinstance(error, LaunchRefused):
        extra = {name: value for name, value in error.extra.items() if value not in (None, "")}
        return Problem(code=error.code, detail=str(error), extra=extra)
    if isinstance(error, CircularDependency):
        return Problem(code="circular_dependency", detail=str(error), extra={"chain": error.chain})
    for refusal, code in _REFUSED:
        if isinstance(error, refusal):
            return Problem(code=code, detail=str(error))
    if isinstance(error, idempotency.InFlight):
        return Problem(code="idempotency_in_flight", detail=str(error), headers={"Retry-After": "1"})
    return None


def _of_keys(error: BaseException | None) -> Problem | None:
    if isinstance(error, NotRotated | RevertRefused):
        return Problem(code="refused", detail=str(error))
    if isinstance(error, LimitReached):
        extra = {"limit": error.limit, "limit_of": error.of}
        headers = {"Retry-After": str(error.retry_after)}
        return Problem(code="throttled", detail=str(error), headers=headers, extra=extra)
    return None


def _of_database(error: BaseException | None) -> Problem | None:
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("database_unavailable", error=str(error).strip())
        return Problem(
            code="database_unavailable",
            detail="The database can't answer right now; nothing was accepted.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    if isinstance(error, DataError):
        log.error("value_refused_by_database", error=str(error).strip())
        return Problem(code="bad_request", detail="A value of the request can't be stored by the database.")
    return None


def _of_django(error: BaseException | None) -> Problem | None:
    if isinstance(error, Http404):
        return Problem(code="not_found", detail=_sentence(error) or "There is nothing at this address.")
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return Problem(code="body_too_large", detail=f"The body is larger than {most} bytes.")
    if isinstance(error, UnreadablePostError):
        return Problem(code="bad_request", detail="The body ended before its announced length.")
    if isinstance(error, DisallowedHost):
        return Problem(code="bad_request", detail="The Host header is none that this site answers to.")
    if isinstance(error, SuspiciousOperation):
        return Problem(code="bad_request", detail=_sentence(error) or "The request can't be read.")
    return None


def _of_framework(error: BaseException | None) -> Problem | None:
    if isinstance(error, exceptions.APIException) and error.default_code in CATALOGUE:
        return Problem(code=error.default_code, detail=_sentence(error), headers=_headers(error))
    for kind, code in _PLAIN:
        if isinstance(error, kind):
            return Problem(code=code, detail=_sentence(error), headers=_headers(error))
    return None


def _headers(error: BaseException) -> dict[str, str]:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    if getattr(error, "wait", None) is not None:
        headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    return headers


def _error(fault: Fault, place: str, prefix: str) -> Error:
    return {"in": place, "pointer": prefix + fault.pointer, "code": fault.code, "detail": fault.detail}


def _sentence(error: BaseException) -> str:
    text = str(getattr(error, "detail", error)).strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _plain(value: Any) -> Any:
    return instant_text(value) if isinstance(value, datetime) else value


def _site(request: HttpRequest) -> str:
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL).rstrip("/")
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""


# --- Django's own error pages, which answer in problem+json under /api/ ------------------------------
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django calls for a request that is suspicious."""
    if not request.path.startswith(PREFIX):
        return defaults.bad_request(request, exception)
    return answer(request, problem_of(exception) or Problem(code="bad_request", detail=_sentence(exception)))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django calls when a view outside the API's framework refuses."""
    if not request.path.startswith(PREFIX):
        return defaults.permission_denied(request, exception)
    return answer(request, Problem(code="permission_denied", detail=_sentence(exception)))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django calls for an address that is none."""
    if not request.path.startswith(PREFIX):
        return defaults.page_not_found(request, exception)
    return not_found(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """What Django calls, from within the handling of the exception, for everything else."""
    error = sys.exc_info()[1]
    if request.path.startswith(PREFIX):
        fault = Problem(code="internal_error", detail="Something went wrong on our side; it was logged.")
        return answer(request, problem_of(error) or fault)
    if (away := _of_database(error)) is not None and away.code == "database_unavailable":
        # Without the request: what a page knows of its visitor is in the database.
        return HttpResponse(get_template("503.html").render(), status=503, headers=dict(away.headers))
    return defaults.server_error(request)


@csrf_exempt
def not_found(request: HttpRequest, path: str = "") -> HttpResponse:
    """The answer to every address under /api/ that is none."""
    return answer(request, Problem(code="not_found", detail=f"There is nothing at {request.path}."))

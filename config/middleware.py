"""What happens to a request around Django's own work: health answers, the API's last slash, bodies that are too
large, pages for 400 and 405."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from config import health
from jobs import auditing
from runs.views import glances

Answer = Callable[[HttpRequest], HttpResponse]


class ApiSlashMiddleware:
    """`/api/…/` means `/api/…`, for every method and without a redirect, which would lose a POST's body."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
            request.path = request.path.rstrip("/")
        return self.get_response(request)


class BodySizeMiddleware:
    """Refuses a page's body that is announced as too large before anything reads it: Django caps no uploaded file.

    A view that takes files says so (`takes_files`), and may be sent as much as a campaign. The API's views look at
    their bodies themselves, because some of them read them a piece at a time.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *arguments: object
    ) -> HttpResponse | None:
        announced = request.META.get("CONTENT_LENGTH") or "0"
        takes_files = getattr(view, "takes_files", False)
        limit = settings.CAMPAIGN_BODY_LIMIT if takes_files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if request.path_info.startswith("/api/") or not announced.isdigit() or int(announced) <= limit:
            return None
        return render(request, "413.html", {"announced": int(announced), "limit": limit}, status=413)


class AuditMiddleware:
    """Lets the trail of changes say whose request it was; behind the authentication."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with auditing.asked_by(request):
            return self.get_response(request)


class GlanceMiddleware:
    """Answers polls that are known to find nothing new (`runs.views.glances`) before all that a page needs."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return glances.answer(request) or self.get_response(request)


class HealthMiddleware:
    """Answers `/healthz` and `/readyz` before sessions, hosts and logins: probes know none of them."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or request.path_info not in ("/healthz", "/readyz"):
            return self.get_response(request)
        answer = _alive() if request.path_info == "/healthz" else _ready()
        answer["Cache-Control"] = "no-store"
        return answer


class UnreadableMiddleware:
    """Refuses what holds U+0000, which PostgreSQL can't take; API and admin have their own answers to it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """The page 400 for an address, a query or a form with U+0000 (an upload reads its form by itself)."""
        if request.path_info.startswith(("/api/", "/admin/")):
            return None
        sent = [("the address", [request.path_info]), *request.GET.lists()]
        if request.content_type == "application/x-www-form-urlencoded":
            sent += request.POST.lists()
        wrong = next((name for name, values in sent if "\0" in "".join([name, *values])), None)
        if wrong is None:
            return None
        told = f"{wrong.replace(chr(0), '�')!r} holds the character U+0000; expected text without it."
        return render(request, "400.html", {"told": told}, status=400)


class WrongMethodMiddleware:
    """Puts a page into Django's empty answer to, say, a typed-in address of something that only a form sends."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if answer.status_code != 405 or answer.content:
            return answer
        page = render(request, "405.html", {"allowed": answer["Allow"]}, status=405)
        page["Allow"] = answer["Allow"]
        return page


def _alive() -> HttpResponse:
    return JsonResponse({"alive": True})


def _ready() -> HttpResponse:
    checks = health.look()
    ready = all(check.ok for check in checks if check.vital)
    body = [{"check": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
    answer = JsonResponse({"ready": ready, "checks": body}, status=200 if ready else 503)
    # Django's log of 5xx answers would take "not yet" for an error, at every probe.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer

"""Who may see a page or do an act: people who are logged in and have the permission it names."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from jobs.pausing import PauseRefused
from runs.deleted import RunDeleted

View = Callable[..., HttpResponseBase]

VIEW_RUNS = "runs.view_run"
RUN_JOB = "jobs.run_job"
CANCEL_RUN = "runs.cancel_run"
RETRY_RUN = "runs.retry_run"
VIEW_CHANGES = "jobs.view_change"
VIEW_DELIVERIES = "triggers.view_delivery"
VIEW_SOURCES = "triggers.view_source"
FIRE_TRIGGER = "triggers.fire_trigger"
CHANGE_TRIGGER = "triggers.change_trigger"
CHANGE_LANE = "runs.change_lane"
CHANGE_TARGET = "runs.change_pausedtarget"
PRIORITISE_RUN = "runs.prioritise_run"
CHANGE_WORKER = "runs.change_worker"
PAUSE_JOB = "jobs.pause_job"
CHANGE_JOB = "jobs.change_job"
VIEW_MESSAGES = "notifications.view_message"
CHANGE_CHANNEL = "notifications.change_channel"
RESEND = "notifications.change_message"

# The end of "You may not …", for people who are refused.
ACTS = {
    VIEW_RUNS: "see runs",
    RUN_JOB: "start jobs",
    CANCEL_RUN: "cancel runs",
    RETRY_RUN: "retry runs",
    VIEW_CHANGES: "see who changed what",
    VIEW_DELIVERIES: "see deliveries",
    VIEW_SOURCES: "see sources",
    FIRE_TRIGGER: "fire triggers",
    CHANGE_TRIGGER: "change triggers",
    CHANGE_LANE: "pause and resume lanes",
    CHANGE_TARGET: "pause and resume targets",
    PRIORITISE_RUN: "change the priority of runs",
    CHANGE_WORKER: "drain workers",
    PAUSE_JOB: "hold jobs or let them go on",
    CHANGE_JOB: "change jobs",
    VIEW_MESSAGES: "see notifications",
    CHANGE_CHANNEL: "change channels",
    RESEND: "send messages again",
}


def takes_files(view: View) -> View:
    """Lets the body of a page's form be as large as a campaign's (`config.middleware`); the outermost decorator."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


def until_of(request: HttpRequest) -> datetime | None:
    """When the pause that a form asks for is to end; None for never. Raises PauseRefused for what is no time."""
    typed = request.POST.get("until", "").strip()
    try:
        until = parse_datetime(typed) if typed else None
    except ValueError:
        until = None
    if typed and until is None:
        raise PauseRefused(
            f"{typed!r} is not a time: expected one such as 2026-01-31T09:30. Nothing is paused."
        )
    return timezone.make_aware(until) if until is not None and timezone.is_naive(until) else until


def demand(user: User, permission: str) -> None:
    """Raises PermissionDenied, with a sentence, unless the person has the permission."""
    if not user.has_perm(permission):
        raise PermissionDenied(
            f"You may not {ACTS[permission]}: {user.get_username()} lacks the permission {permission}."
        )


def permitted(permission: str) -> Callable[[View], View]:
    """Lets a view be called by people with `permission` only.

    Strangers are sent to the login, and come back afterwards; people without it get the page 403. A
    fragment asked for after the session ended makes the browser load the page anew. A run that retention
    deleted is the page 410.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        @never_cache
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                if request.headers.get("HX-Request"):
                    return HttpResponseClientRefresh()
                came_from = request.get_full_path() if request.method == "GET" else _referring_page(request)
                return redirect_to_login(came_from, resolve_url(settings.LOGIN_URL))
            demand(person(request), permission)
            try:
                return view(request, *args, **kwargs)
            except RunDeleted as error:
                return render(request, "410.html", {"sentence": str(error)}, status=410)

        return guarded

    return decorate


def person(request: HttpRequest) -> User:
    """Who asks; only for views behind `permitted`."""
    assert isinstance(request.user, User)
    return request.user


def back(request: HttpRequest, *, otherwise: str) -> HttpResponse:
    """A redirect to the page that an act was done on (its field `next`), if that is one of ours."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = otherwise
    return HttpResponseRedirect(target)


def _referring_page(request: HttpRequest) -> str:
    """The page whose form a stranger sent: an act can't be repeated by a redirect, its page can be shown."""
    referrer = urlsplit(request.headers.get("Referer", ""))
    return referrer.path if referrer.netloc == request.get_host() else resolve_url("pages:dashboard")

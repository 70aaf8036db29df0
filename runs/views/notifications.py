"""The pages /notifications/: who is told of what, what was sent, and how each attempt went."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from notifications import sending
from notifications.models import Channel, Message, Rule
from runs import causes
from runs.views.access import CHANGE_CHANNEL, RESEND, VIEW_MESSAGES, back, permitted, person

PAGE_SIZE = 50
MOST = 200  # channels, and rules of each
LONGEST_ID = 18  # digits


@permitted(VIEW_MESSAGES)
@require_GET
def notification_list(request: HttpRequest) -> HttpResponse:
    """Channels with their rules, and messages, the newest first; by `channel`, `run` and `status`, behind `after`."""
    asked = {name: request.GET.get(name, "").strip() for name in ("channel", "run", "status", "after")}
    numbers = {name: int(text) for name, text in asked.items() if _is_id(text)}
    errors = _errors(asked)
    found = Message.objects.select_related("channel", "job").defer("payload", "text")
    if "channel" in numbers:
        found = found.filter(channel=numbers["channel"])
    if "run" in numbers:
        found = found.filter(run_id=numbers["run"])
    if asked["status"]:
        found = found.filter(status=asked["status"])
    if errors:
        found = found.none()
    if "after" in numbers:
        found = found.filter(pk__lt=numbers["after"])
    page = list(found[: PAGE_SIZE + 1])
    rules = Prefetch("rules", Rule.objects.select_related("job"))
    context: dict[str, Any] = {
        "channels": Channel.objects.select_related("owner").prefetch_related(rules)[:MOST],
        "told": page[:PAGE_SIZE],
        "older": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
        "errors": errors,
        "run": numbers.get("run"),
        "status": asked["status"],
        "statuses": Message.Status.values,
        "channel": numbers.get("channel"),
        "is_filtered": bool(asked["status"] or asked["channel"] or asked["run"]),
        "may_change": person(request).has_perm(CHANGE_CHANNEL),
        "may_edit": person(request).is_staff,
    }
    return render(request, "notifications/list.html", context)


@permitted(VIEW_MESSAGES)
@require_GET
def notification(request: HttpRequest, number: int) -> HttpResponse:
    """One message, with each attempt to send it."""
    found = _find(number)
    context = {
        "message": found,
        "sendings": found.sendings.all()[:PAGE_SIZE],
        "may_resend": found.status != Message.Status.DUE and person(request).has_perm(RESEND),
    }
    return render(request, "notifications/message.html", context)


@permitted(RESEND)
@require_POST
def resend(request: HttpRequest, number: int) -> HttpResponse:
    """Has a message sent once more."""
    found = _find(number)
    try:
        sending.resend(found, by=causes.actor(user=person(request), api_key=None))
    except sending.NotResendable as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is sent again.")
    return HttpResponseRedirect(reverse("pages:notification", args=[found.pk]))


@permitted(CHANGE_CHANNEL)
@require_POST
def send_test(request: HttpRequest, number: int) -> HttpResponse:
    """Has a test sent to a channel."""
    channel = Channel.objects.filter(pk=number).first() if number < 10**LONGEST_ID else None
    if channel is None:
        raise Http404(f"There is no channel {number}.")
    sending.send_test(channel, by=causes.actor(user=person(request), api_key=None))
    messages.success(request, f"A test is on its way to {channel}: what came of it will stand below.")
    return back(request, otherwise=reverse("pages:notifications"))


def _find(number: int) -> Message:
    known = Message.objects.select_related("channel", "job")
    found = known.filter(pk=number).first() if number < 10**LONGEST_ID else None
    if found is None:
        raise Http404(f"There is no message {number}. Messages are dropped when they are old.")
    return found


def _errors(asked: Mapping[str, str]) -> list[str]:
    """What of the filters can't be read, in sentences."""
    wrong = [
        f"{asked[name]!r} is no {name}: expected a number."
        for name in ("channel", "run")
        if asked[name] and not _is_id(asked[name])
    ]
    if asked["status"] and asked["status"] not in Message.Status.values:
        expected = ", ".join(Message.Status.values)
        wrong.append(f"{asked['status']!r} is not a known status: expected one of {expected}.")
    return wrong


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_ID

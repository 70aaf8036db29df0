"""The page /audit/: who changed which job, trigger, key, calendar, lane or campaign, from where, and taking it back."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from jobs.changes import NOUNS, Change
from runs.views.access import VIEW_CHANGES, back, permitted, person
from triggers import restoring, reverting

PAGE_SIZE = 50


@permitted(VIEW_CHANGES)
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """Changes, the newest first; of one `object`, of one kind of thing (`model`), `by` somebody, if it says so."""
    asked = {name: request.GET.get(name, "").strip() for name in ("object", "model", "by", "after")}
    found = Change.objects.seen_by(person(request)).select_related("context").order_by("-pk")
    model, _, number = asked["object"].partition(":")
    if asked["object"]:
        found = found.filter(model=model, object_id=int(number)) if _is_number(number) else found.none()
    if asked["model"] in NOUNS:
        found = found.filter(model=asked["model"])
    if asked["by"] and "\0" not in asked["by"]:
        found = found.filter(context__metadata__by__icontains=asked["by"])
    if _is_number(asked["after"]):
        found = found.filter(pk__lt=int(asked["after"]))
    page = list(found[: PAGE_SIZE + 1])
    rest = request.GET.copy()
    rest["after"] = str(page[PAGE_SIZE - 1].pk) if len(page) > PAGE_SIZE else ""
    context = {
        **asked,
        "changes": [(change, may_revert(person(request), change)) for change in page[:PAGE_SIZE]],
        "older": rest.urlencode() if rest["after"] else "",
        "nouns": NOUNS,
        "here": request.get_full_path(),
    }
    return render(request, "audit/list.html", context)


@permitted(VIEW_CHANGES)
@require_POST
def revert(request: HttpRequest, number: int) -> HttpResponse:
    """Takes one change back, and says so."""
    change = Change.objects.seen_by(person(request)).filter(pk=number).first()
    if change is None:
        raise Http404(f"There is no change {number}.")
    needed = reverting.permission(change)
    if not person(request).has_perm(needed):
        raise PermissionDenied(f"You may not take this back: you lack the permission {needed}.")
    try:
        reverting.revert(change)
    except restoring.RevertRefused as error:
        messages.error(request, f"Nothing was taken back. {error}")
    else:
        messages.success(request, f"Took back the change of {change.noun} {change.title}: {_what(change)}.")
    return back(request, otherwise=reverse("pages:audit"))


def may_revert(user: User, change: Change) -> bool:
    """Whether `user` is offered to take `change` back."""
    return reverting.is_revertible(change) and user.has_perm(reverting.permission(change))


def _what(change: Change) -> str:
    return ", ".join(change.fields) if change.act == "update" else f"{change.verb} no more"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19

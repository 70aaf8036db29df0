"""What is live on a page: pieces of it, of which a poll gets only those that changed.

A piece is one element with an id. The page's poller (`_poller.html`) says which pieces it has by a short
fingerprint each; an answer without any change is a 204. The server says when to ask again, or not any more.
"""

from collections.abc import Mapping
from hashlib import blake2s
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

FINGERPRINT_BYTES = 6


def piece(request: HttpRequest, template: str, context: Mapping[str, Any]) -> SafeString:
    """A fragment, the same for the first showing and for a refresh but for the mark a refresh needs."""
    return render_to_string(template, {**context, "is_refresh": is_refresh(request)}, request)


def is_refresh(request: HttpRequest) -> bool:
    """Whether a poller asks, and not a person."""
    return request.headers.get("HX-Request") == "true"


def fingerprint(*parts: object) -> str:
    """A short text that changes when any of the parts does."""
    return blake2s(repr(parts).encode(), digest_size=FINGERPRINT_BYTES).hexdigest()


def seen(request: HttpRequest) -> dict[str, str]:
    """The fingerprints that the asking page has, by the name of the piece."""
    pairs = (entry.partition(":") for entry in request.GET.get("seen", "").split(",") if entry)
    return {name: print_ for name, _, print_ in pairs}


def poller(url: str, *, prints: Mapping[str, str], seconds: float | None) -> SafeString:
    """The element that asks again in so many seconds; None: never, for what it shows is final."""
    known = ",".join(f"{name}:{print_}" for name, print_ in prints.items())
    address = f"{url}{'&' if '?' in url else '?'}seen={known}"
    return render_to_string("_poller.html", {"url": address, "seconds": seconds})


def answer(poller: str, pieces: Mapping[str, str]) -> HttpResponse:
    """The answer to a poll: the next poller with what changed."""
    return HttpResponse(poller + "".join(pieces.values()))


def unchanged(*, seconds: float) -> HttpResponse:
    """The answer to a poll when nothing did, with the seconds until the next one."""
    return HttpResponse(status=204, headers={"X-Poll": f"{seconds:g}"})

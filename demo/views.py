"""The listing site that the demo's scraper reads: plain pages, no login, with the faults of a real site."""

import time

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.views.decorators.http import require_safe

from demo import listings

SLOW_SECONDS = 1.5


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The cities and kinds of listings there are."""
    context = {"cities": listings.CITIES, "kinds": listings.COUNTS}
    return render(request, "demo/index.html", context)


@require_safe
def listing_page(request: HttpRequest, city: str, kind: str) -> HttpResponse:
    """One page of a city's listings; `?page=` counts from 1."""
    if city not in listings.CITIES or kind not in listings.COUNTS:
        raise Http404(f"There are no listings of {city!r}, {kind!r}.")
    number, last = _number(request.GET.get("page", "1")), listings.pages(city, kind)
    if not 1 <= number <= last:
        raise Http404(f"There is no page {number} of {last}.")
    if number == listings.SLOW_PAGE:
        time.sleep(SLOW_SECONDS)
    if number == listings.BROKEN_PAGE:
        return HttpResponseServerError("The listing database did not answer.", content_type="text/plain")
    context = {
        "city": listings.CITIES[city],
        "kind": kind,
        "word": listings.WORDS[kind],
        "listings": listings.page(city, kind, number),
        "number": number,
        "last": last,
    }
    return render(request, "demo/listings.html", context)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0

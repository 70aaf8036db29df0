"""The page /sources/: what is polled for events, whether it can be looked at, and how far that has got."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs.models import Heartbeat
from runs.poller import NAME
from runs.views.access import VIEW_SOURCES, permitted
from triggers.models import Source

LIMIT = 200
ALIVE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Entry:
    """A source with the words of its row."""

    source: Source
    what: str
    state: str
    colour: str
    icon: str


@permitted(VIEW_SOURCES)
@require_GET
def source_list(request: HttpRequest) -> HttpResponse:
    """The sources, those that fail first."""
    now = timezone.now()
    found = Source.objects.select_related("trigger__job").order_by("failing_since", "name")
    page = list(found[: LIMIT + 1])
    beats = Heartbeat.objects.filter(name__startswith=f"{NAME}:").order_by("-at")
    poller = beats.values_list("at", flat=True).first()
    context = {
        "entries": [_entry(source) for source in page[:LIMIT]],
        "has_more": len(page) > LIMIT,
        "limit": LIMIT,
        "poller": poller,
        "is_polled": poller is not None and poller > now - ALIVE,
    }
    return render(request, "sources/list.html", context)


def _entry(source: Source) -> Entry:
    options = source.whole_options
    what = " · ".join(str(options[name]) for name in source.marks if options.get(name))
    word, colour, icon = "polled", "green", "succeeded"
    if not source.enabled:
        word, colour, icon = "off", "grey", "skipped"
    elif source.failing_since:
        word, colour, icon = "failing", "red", "failed"
    elif source.backlog:
        word, colour, icon = "backlog", "amber", "waiting"
    elif source.last_poll_at is None:
        word, colour, icon = "not yet", "grey", "waiting"
    return Entry(source, what, word, colour, icon)

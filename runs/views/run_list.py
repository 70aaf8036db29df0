"""The page /runs/: which runs there were, narrowed by what the address says, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET

from jobs.models import Job
from jobs.priority import LANES
from runs import exports, why
from runs.faces import KINDS, STATUSES
from runs.models import Run
from runs.views import live
from runs.views.access import CANCEL_RUN, PRIORITISE_RUN, RETRY_RUN, VIEW_RUNS, permitted, person
from runs.views.filters import RANGES, Filters
from runs.why import Reason

PAGE_SIZE = 50
NEWS_LIMIT = 100
POLL_SECONDS = 5
JOBS_OFFERED = 500
LINE_LENGTH = 300

# What a row shows, and nothing heavier: parameters and results can have hundreds of kilobytes.
_SHOWN = (
    *(
        "status",
        "trigger_kind",
        "cause",
        "attempt",
        "max_attempts",
        "lane",
        "tags",
        "progress",
        "skip_reason",
    ),
    *("failure_reason", "cancel_requested_at", "lost_attempts", "retry_of_id", "due_at", "priority"),
    *("group_id", "concurrency_key"),
    *("created_at", "queued_at", "started_at", "finished_at", "job__slug", "job__name"),
)
TABS = {
    "All": [],
    "Failed": ["failed"],
    "Running": ["running"],
    "Waiting": ["queued", "scheduled", "waiting"],
    "Succeeded": ["succeeded"],
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of runs, and whether there are newer and older ones."""

    runs: Sequence[Run]
    has_newer: bool
    has_older: bool


def listed(runs: QuerySet[Run]) -> QuerySet[Run]:
    """`runs` with what a row of a list shows."""
    return (
        runs.select_related("job")
        .only(*_SHOWN)
        .annotate(
            error_line=Left(KeyTextTransform("message", "error"), LINE_LENGTH),
            result_line=Left(Cast("result", CharField()), LINE_LENGTH),
        )
    )


@permitted(VIEW_RUNS)
@require_GET
def run_list(request: HttpRequest) -> HttpResponse:
    """The list, or the same with what is wrong in the address (400)."""
    filters = Filters.read(request.GET)
    page = _page(listed(filters.apply(Run.objects.all())), request, filters)
    may = rights(request)
    context = {
        "live": True,
        "filters": filters,
        "page": page,
        "jobs": Job.objects.order_by("name").values_list("slug", "name")[:JOBS_OFFERED],
        "statuses": STATUSES,
        "kinds": KINDS,
        "lanes": LANES,
        "ranges": {key: words for key, (words, _) in RANGES.items()},
        "tabs": _tabs(filters),
        "may": may,
        "selectable": any(may.values()),
        "reasons": _reasons(page.runs),
        "export_most": exports.MOST,
        "poller": _poller(filters, page.runs, top=_top(request, page.runs), news=0),
    }
    return render(request, "runs/list.html", context, status=400 if filters.errors else 200)


@permitted(VIEW_RUNS)
@require_GET
def run_list_live(request: HttpRequest) -> HttpResponse:
    """What changed since: rows that were open, and how many new runs there are."""
    filters = Filters.read(request.GET)
    seen = live.seen(request)
    open_ids = [int(name) for name in seen if name.isascii() and name.isdigit() and len(name) < 19][
        :PAGE_SIZE
    ]
    runs = list(listed(Run.objects.filter(pk__in=open_ids)))
    changed = [run for run in runs if seen.get(str(run.pk)) != _print(run)]
    reasons = _reasons(changed)
    pieces = {str(run.pk): _row(run, may=rights(request), reasons=reasons) for run in changed}
    news = _news(request, filters)
    if str(news) != seen.get("news", "0"):
        pieces["news"] = _news_bar(filters, news)
    if not pieces:
        return live.unchanged(seconds=POLL_SECONDS)
    return live.answer(_poller(filters, runs, top=request.GET.get("top", ""), news=news), pieces)


@permitted(VIEW_RUNS)
@require_GET
def run_export(request: HttpRequest) -> HttpResponseBase:
    """The runs of the list as a file, streamed: `format` is csv or ndjson. What can't be read is a 400."""
    filters, name = Filters.read(request.GET), request.GET.get("format", "csv")
    if name not in exports.FORMATS:
        filters.errors["format"] = f"{name!r} is not a format: expected one of {', '.join(exports.FORMATS)}."
    if filters.errors:
        return HttpResponse(
            " ".join(filters.errors.values()), status=400, content_type="text/plain; charset=utf-8"
        )
    write, kind = exports.FORMATS[name]
    headers = {
        "Content-Disposition": f'attachment; filename="runs.{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    lines = write(filters.apply(Run.objects.all()))
    return StreamingHttpResponse(lines, content_type=f"{kind}; charset=utf-8", headers=headers)


def rights(request: HttpRequest) -> dict[str, bool]:
    """What the reader may do to runs."""
    user = person(request)
    return {
        "cancel": user.has_perm(CANCEL_RUN),
        "retry": user.has_perm(RETRY_RUN),
        "prioritise": user.has_perm(PRIORITISE_RUN),
    }


def _reasons(runs: Sequence[Run]) -> Mapping[int, Reason]:
    """Why those of `runs` that wait in a queue do not run."""
    return why.of_runs([run for run in runs if run.status == Run.Status.QUEUED])


def _row(run: Run, *, may: dict[str, bool], reasons: Mapping[int, Reason]) -> str:
    """A row to replace the one shown; a browser takes a row that stands alone only from a template."""
    context = {
        "run": run,
        "may": may,
        "selectable": any(may.values()),
        "reasons": reasons,
        "is_refresh": True,
    }
    html = render_to_string("runs/_row.html", context)
    return f"<template>{html}</template>"


def _page(runs: QuerySet[Run], request: HttpRequest, filters: Filters) -> Page:
    """The page behind `?after=` (older) or before `?before=` (newer), by id: no offset, no count."""
    after, before = _number(request, "after", filters), _number(request, "before", filters)
    if before is not None:
        found = list(runs.filter(pk__gt=before).order_by("pk")[: PAGE_SIZE + 1])
        return Page(found[:PAGE_SIZE][::-1], has_newer=len(found) > PAGE_SIZE, has_older=True)
    if after is not None:
        runs = runs.filter(pk__lt=after)
    found = list(runs.order_by("-pk")[: PAGE_SIZE + 1])
    return Page(found[:PAGE_SIZE], has_newer=after is not None, has_older=len(found) > PAGE_SIZE)


def _number(request: HttpRequest, name: str, filters: Filters) -> int | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    filters.errors[name] = f"{text!r} is not a place in the list: expected the id of a run."
    return None


def _tabs(filters: Filters) -> list[dict[str, Any]]:
    made = []
    for word, statuses in TABS.items():
        query = filters.data.copy()
        query.setlist("status", statuses)
        for name in ("after", "before"):
            query.pop(name, None)
        current = sorted(filters.statuses) == sorted(statuses)
        made.append({"word": word, "query": f"?{query.urlencode()}", "is_current": current})
    return made


def _print(run: Run) -> str:
    return live.fingerprint(
        run.status, run.attempt, run.lost_attempts, run.cancel_requested_at, run.due_at, run.progress
    )


def _poller(filters: Filters, runs: Sequence[Run], *, top: str, news: int) -> str:
    """Asks for the open rows of a page, and on the first page for runs newer than `top`."""
    prints = {str(run.pk): _print(run) for run in runs if not run.is_final}
    if top:
        prints["news"] = str(news)
    if not prints:
        return live.poller("", prints={}, seconds=None)
    return live.poller(
        reverse("pages:runs-live") + filters.address(top=top), prints=prints, seconds=POLL_SECONDS
    )


def _top(request: HttpRequest, runs: Sequence[Run]) -> str:
    """The newest run shown, behind which new ones count; "" on a page that is not the first."""
    if "after" in request.GET or "before" in request.GET:
        return ""
    if runs:
        return str(runs[0].pk)
    newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first()
    return str(newest or 0)


def _news(request: HttpRequest, filters: Filters) -> int:
    """How many runs came that the page does not show, at most 100."""
    top = _number(request, "top", filters)
    if top is None:
        return 0
    newer = filters.apply(Run.objects.filter(pk__gt=top))
    return len(newer.order_by("pk").values_list("pk", flat=True)[:NEWS_LIMIT])


def _news_bar(filters: Filters, news: int) -> str:
    words = f"{news}{'+' if news == NEWS_LIMIT else ''} new run{'' if news == 1 else 's'}"
    link = format_html('<a href="{}{}">{} – show</a>', reverse("pages:runs"), filters.address(), words)
    return format_html(
        '<p id="news" class="news" role="status" hx-swap-oob="true">{}</p>', link if news else ""
    )

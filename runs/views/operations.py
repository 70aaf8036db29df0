"""The page /operations/: acts on many runs at once, how far they have come, and stopping one."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from jobs import priority as priorities
from runs import bulk, causes
from runs.launch import LaunchRefused
from runs.models import BulkOperation, Run
from runs.views.access import (
    CANCEL_RUN,
    PRIORITISE_RUN,
    RETRY_RUN,
    VIEW_RUNS,
    back,
    demand,
    permitted,
    person,
)
from runs.views.filters import Filters

SHOWN = 50
NEEDS = {
    BulkOperation.Act.CANCEL: CANCEL_RUN,
    BulkOperation.Act.RETRY: RETRY_RUN,
    BulkOperation.Act.PRIORITY: PRIORITISE_RUN,
}


@permitted(VIEW_RUNS)
@require_GET
def operation_list(request: HttpRequest) -> HttpResponse:
    """The newest operations."""
    context = {
        "operations": BulkOperation.objects.all()[:SHOWN],
        "now": timezone.now(),
        "may_stop": person(request).has_perm(CANCEL_RUN),
    }
    return render(request, "runs/operations.html", context)


@permitted(VIEW_RUNS)
@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Has an act done to the runs that were selected (`run`), or to all of a list (`query`, as its address)."""
    act, user = request.POST.get("act", ""), person(request)
    if act not in NEEDS:
        messages.error(request, f"{act!r} is no act on runs: expected one of {', '.join(NEEDS)}.")
        return back(request, otherwise="/runs/")
    demand(user, NEEDS[BulkOperation.Act(act)])
    try:
        runs, words = _all_matching(request) if "query" in request.POST else _selected(request)
        bulk.order(runs, act=act, words=words, user=user, **_priority(request, act))
    except (LaunchRefused, priorities.InvalidPriority) as error:
        messages.error(request, str(error))
        return back(request, otherwise="/runs/")
    return redirect("pages:operations")


@permitted(CANCEL_RUN)
@require_POST
def stop(request: HttpRequest, number: int) -> HttpResponse:
    """Leaves the rest of an operation undone."""
    found = BulkOperation.objects.filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise Http404(f"There is no operation {number}.")
    if bulk.stop(found, by=causes.actor(user=person(request), api_key=None)):
        messages.success(request, f"Stopped operation {number}. What it has done stays done.")
    else:
        messages.info(request, f"Operation {number} had ended already.")
    return redirect("pages:operations")


def _selected(request: HttpRequest) -> tuple[QuerySet[Run], str]:
    """The runs whose boxes were ticked, with words for them; raises BulkRefused."""
    given = request.POST.getlist("run")
    ids = [int(text) for text in given if text.isascii() and text.isdigit() and len(text) < 19]
    if len(ids) < len(given):
        raise bulk.BulkRefused(f"{given[0]!r} is not the id of a run: nothing was done.")
    if not ids:
        raise bulk.BulkRefused("No run was selected: nothing was done.")
    return Run.objects.filter(pk__in=ids), bulk.words_of(ids)


def _all_matching(request: HttpRequest) -> tuple[QuerySet[Run], str]:
    """The runs of the list that the field `query` names, with words for them; raises BulkRefused."""
    filters = Filters.read(QueryDict(request.POST["query"].lstrip("?")))
    if filters.errors:
        raise bulk.BulkRefused(" ".join(filters.errors.values()))
    words = ", ".join(chip.words for chip in filters.chips()) or "all runs"
    return filters.apply(Run.objects.all()), words


def _priority(request: HttpRequest, act: str) -> dict[str, Any]:
    """The priority that was typed, for the act that needs one; raises InvalidPriority."""
    if act != BulkOperation.Act.PRIORITY:
        return {}
    typed = request.POST.get("priority", "").strip()
    return {"priority": priorities.typed(typed)}

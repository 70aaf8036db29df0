"""The page /schedules/: what will start by the clock, when next, and what became of the slots before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs import strips
from runs.strips import Result
from runs.views.access import VIEW_RUNS, permitted
from runs.views.schedule_words import described, policies
from triggers.models import Occurrence, Trigger

LIMIT = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule with all that its row shows."""

    trigger: Trigger
    sentence: str
    policies: str
    job_status: str
    is_paused: bool
    results: list[Result]


def with_last_slot(triggers: QuerySet[Trigger]) -> QuerySet[Trigger]:
    """Annotates the latest slot of the ledger: `last_slot`, `last_outcome`, `last_reason`, `last_run_id`,
    and whether it `has_missed` slots that nobody decided about."""
    ledger = Occurrence.objects.filter(trigger=OuterRef("pk")).order_by("-slot")
    missed = Occurrence.objects.filter(trigger=OuterRef("pk"), outcome=Occurrence.Outcome.MISSED)
    return triggers.annotate(
        has_missed=Exists(missed),
        last_slot=Subquery(ledger.values("slot")[:1]),
        last_outcome=Subquery(ledger.values("outcome")[:1]),
        last_reason=Subquery(ledger.values("reason")[:1]),
        last_run_id=Subquery(ledger.values("run_id")[:1]),
    )


def loaded(triggers: QuerySet[Trigger]) -> list[Trigger]:
    """The triggers with all that `entries` needs of schedules, in two queries."""
    return list(with_last_slot(triggers.select_related("job").prefetch_related("calendars")))


def entries(found: Sequence[Trigger], *, now: datetime) -> list[Entry]:
    """The given schedules, as `loaded`, with their words and strips, in one query."""
    results = strips.of_schedules([trigger.pk for trigger in found]) if found else {}
    return [
        Entry(
            trigger,
            described(trigger),
            policies(trigger),
            "broken" if trigger.job.broken_reason else trigger.job.effective_status(now),
            trigger.is_paused(now),
            results[trigger.pk],
        )
        for trigger in found
    ]


@permitted(VIEW_RUNS)
@require_GET
def schedule_list(request: HttpRequest) -> HttpResponse:
    """All schedules, those that fire next first; those that are off last."""
    search = request.GET.get("q", "").strip()
    schedules = Trigger.objects.schedules().order_by("-enabled", "next_run_at", "id")
    if search:
        schedules = schedules.filter(
            Q(job__slug__icontains=search) | Q(job__name__icontains=search) | Q(name__icontains=search)
        )
    shown = entries(loaded(schedules[: LIMIT + 1]), now=timezone.now())
    context = {"entries": shown[:LIMIT], "has_more": len(shown) > LIMIT, "limit": LIMIT, "search": search}
    return render(request, "schedules/list.html", context)

"""The page /schedules/: what will start by the clock, when next, and what became of the slots before.

Three views of the same schedules: a list, a timeline and the load that is coming.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, QuerySet, Subquery, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs import strips
from runs.durations import p95
from runs.strips import Result
from runs.views import load_chart, schedule_filters
from runs.views.access import CHANGE_TRIGGER, FIRE_TRIGGER, VIEW_RUNS, permitted, person
from runs.views.schedule_filters import STATES, WITHIN, ScheduleFilters
from runs.views.schedule_words import described, policies
from runs.views.timeline import timeline
from triggers import backlog, load, schedules
from triggers.models import Occurrence, Trigger

PAGE_SIZE: Final = 100
STRIP: Final = 60
DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule with all that its row shows."""

    trigger: Trigger
    sentence: str
    policies: str
    job_status: str
    is_paused: bool
    results: list[Result]

    @property
    def late(self) -> timedelta | None:
        """What 95 of 100 of the slots shown did not exceed in lateness, beyond the jitter that was asked for."""
        given = schedules.jitter(self.trigger)
        return p95(
            max(result.late - given, timedelta()) for result in self.results if result.late is not None
        )


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
    """The triggers with all that `entries` needs of schedules, in at most three queries."""
    found = list(_with_all(triggers))
    _add_upstreams(found)
    return found


def _with_all(triggers: QuerySet[Trigger]) -> QuerySet[Trigger]:
    return with_last_slot(triggers.select_related("job").prefetch_related("calendars"))


def _add_upstreams(triggers: Sequence[Trigger]) -> None:
    """Prefetches the upstreams of those that need or follow a job; nothing is asked where none does."""
    prefetch_related_objects([trigger for trigger in triggers if trigger.condition], "upstreams")


def entries(found: Sequence[Trigger], *, now: datetime, slots: int = strips.COUNT) -> list[Entry]:
    """The given schedules, as `loaded`, with their words and the strips of so many slots, in one query."""
    results = strips.of_schedules([trigger.pk for trigger in found], count=slots) if found else {}
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
    """The schedules, those that fire next first and those that are off last, as `view` says; `after` pages."""
    now, user = timezone.now(), person(request)
    filters = ScheduleFilters.read(request.GET)
    zone = _zone(request.GET.get("clock", ""))
    found = filters.apply(Trigger.objects.schedules(), now=now)
    shown = _loads(found, now, zone) if filters.view == "load" else _pages(found, filters, now, zone)
    context = {
        "filters": filters,
        "states": STATES,
        "within": WITHIN,
        "backlog": backlog.seen(),
        "may_fire": user.has_perm(FIRE_TRIGGER),
        "may_change": user.has_perm(CHANGE_TRIGGER),
        "clock": zone.key,
        "here": request.get_full_path(),
        **shown,
    }
    return render(request, "schedules/list.html", context)


def _pages(
    found: QuerySet[Trigger], filters: ScheduleFilters, now: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    after = filters.data.get("after", "")
    rows, behind = schedule_filters.page(_with_all(found), after=after, size=PAGE_SIZE)
    _add_upstreams(rows)
    older = filters.address(after=behind) if behind else ""
    if filters.view == "timeline":
        drawn = timeline(rows, now=now, zone=zone) if rows else None
        return {"timeline": drawn, "older": older, "clocks": _clocks(zone, rows)}
    return {"entries": entries(rows, now=now, slots=STRIP), "older": older}


def _loads(found: QuerySet[Trigger], now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    coming = load.coming(found, begin=now, minutes=DAY)
    return {"load": coming, "chart": load_chart.chart(coming, zone=zone), "clocks": _clocks(zone, ())}


def _clocks(zone: ZoneInfo, shown: Sequence[Trigger]) -> list[str]:
    """The clocks to choose from: the site's, and those of the schedules shown."""
    site = timezone.get_current_timezone_name()
    return list(dict.fromkeys(["UTC", site, zone.key, *sorted(each.timezone.key for each in shown)]))


def _zone(name: str) -> ZoneInfo:
    """The clock to show times by; that of the site for a name that is none."""
    try:
        return ZoneInfo(name or timezone.get_current_timezone_name())
    except (ValueError, OSError):  # no such zone; a name that is a folder, or leads out of theirs
        return ZoneInfo(timezone.get_current_timezone_name())

"""The page /jobs/: what can be run, how it went lately, and when it runs next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, F, Min, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job, JobQuerySet
from runs import strips, tallies
from runs.faces import KINDS
from runs.strips import Result
from runs.tallies import Counts
from runs.views.access import RUN_JOB, VIEW_RUNS, permitted, person
from triggers.models import Kind, Trigger

PAGE_SIZE = 100
STATES: Final = {
    "active": "Active",
    "paused": "Paused",
    "inactive": "Inactive",
    "broken": "Broken",
    "scheduled": "With a schedule",
}


# What `Trigger.runs_next_at` says, for many at once: it is on, and no pause will skip its next slot.
_STARTS: Final = Q(enabled=True) & (
    Q(paused_at=None) | Q(paused_at__gt=F("next_run_at")) | Q(paused_until__lte=F("next_run_at"))
)


@dataclass(frozen=True, slots=True)
class Triggers:
    """The triggers of one kind that may start a job: how many, whether any is on, and when the clock fires next."""

    kind: Kind
    number: int
    is_on: bool
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A job with all that its row shows."""

    job: Job
    status: str
    counts: Counts
    results: list[Result]
    triggers: Sequence[Triggers]
    may_start: bool

    @property
    def next_run_at(self) -> datetime | None:
        """When the clock starts it next."""
        return min((each.next_run_at for each in self.triggers if each.next_run_at), default=None)

    @property
    def last(self) -> Result | None:
        """Its newest run."""
        return self.results[0] if self.results else None

    @property
    def marks(self) -> list[tuple[str, str, int, bool]]:
        """Kind, word, number and whether any is on, of the triggers that may start it."""
        return [(each.kind.value, KINDS[each.kind], each.number, each.is_on) for each in self.triggers]


def status_of(job: Job, now: datetime) -> str:
    """What people need to know of a job: broken, inactive, paused or active."""
    return "broken" if job.broken_reason else job.effective_status(now)


@permitted(VIEW_RUNS)
@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    """The jobs by name, a hundred a page."""
    search, state, after = (request.GET.get(name, "").strip() for name in ("q", "state", "after"))
    jobs = _searched(Job.objects.all(), search, state)
    previous = Job.objects.filter(slug=after).first() if after else None
    if previous is not None:
        jobs = jobs.filter(Q(name__gt=previous.name) | Q(name=previous.name, pk__gt=previous.pk))
    entries = _entries(jobs, may_run=person(request).has_perm(RUN_JOB))
    context = {
        "entries": entries[:PAGE_SIZE],
        "older": entries[PAGE_SIZE - 1].job.slug if len(entries) > PAGE_SIZE else "",
        "search": search,
        "state": state,
        "states": STATES,
        "is_filtered": bool(search or state or after),
    }
    return render(request, "jobs/list.html", context)


def _searched(jobs: JobQuerySet, search: str, state: str) -> QuerySet[Job]:
    if search:
        jobs = jobs.filter(
            Q(slug__icontains=search) | Q(name__icontains=search) | Q(tags__contains=[search.lower()])
        )
    if state == "active":
        return jobs.runnable()
    if state == "paused":
        return jobs.paused()
    if state == "broken":
        return jobs.filter(broken_reason__isnull=False)
    if state == "scheduled":
        return jobs.filter(pk__in=Trigger.objects.schedules().values("job"))
    return jobs.filter(status=Job.Status.INACTIVE) if state == "inactive" else jobs


def _entries(jobs: QuerySet[Job], *, may_run: bool) -> list[Entry]:
    """The first page of `jobs` and one more, in four queries."""
    now = timezone.now()
    found = list(jobs.order_by("name", "pk")[: PAGE_SIZE + 1])
    ids = [job.pk for job in found]
    counts, results, triggers = tallies.of_jobs(ids), strips.of_jobs(ids), _triggers(ids)
    return [
        Entry(
            job,
            status_of(job, now),
            counts[job.pk],
            results[job.pk],
            triggers.get(job.pk, []),
            may_start=may_run and status_of(job, now) == "active",
        )
        for job in found
    ]


def _triggers(job_ids: Sequence[int]) -> Mapping[int, list[Triggers]]:
    """The triggers of each job by kind, in the order of the kinds; added up by the database, for a job may have
    very many schedules."""
    added = (
        Trigger.objects.filter(job__in=job_ids)
        .values("job_id", "kind")
        .annotate(number=Count("pk"), is_on=BoolOr("enabled"), at=Min("next_run_at", filter=_STARTS))
        .order_by()
    )
    found: dict[int, list[Triggers]] = {}
    for row in sorted(added, key=lambda row: Kind.values.index(row["kind"])):
        kind = Triggers(Kind(row["kind"]), row["number"], row["is_on"], row["at"])
        found.setdefault(row["job_id"], []).append(kind)
    return found

"""The page /jobs/: what can be run, how it went lately, and when it runs next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs import pausing
from jobs.models import Job
from runs import strips, tallies
from runs.faces import KINDS
from runs.strips import Result
from runs.tallies import Counts
from runs.views.access import RUN_JOB, VIEW_RUNS, permitted, person
from runs.views.job_acts import KNOWN
from runs.views.job_filters import LANES, LAST, STATES, TRIGGERS, JobFilters
from triggers import kinds
from triggers.kinds import OfKind

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A job with all that its row shows."""

    job: Job
    status: str
    counts: Counts
    results: list[Result]
    triggers: Sequence[OfKind]
    may_start: bool

    @property
    def next_run_at(self) -> datetime | None:
        """When the clock starts it next."""
        return kinds.next_run_at(self.triggers)

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
    filters, user, after = JobFilters.read(request.GET), person(request), request.GET.get("after", "").strip()
    jobs = filters.apply(Job.objects.all())
    previous = Job.objects.filter(slug=after).first() if after else None
    if previous is not None:
        jobs = jobs.filter(Q(name__gt=previous.name) | Q(name=previous.name, pk__gt=previous.pk))
    entries = _entries(jobs, may_run=user.has_perm(RUN_JOB))
    may = {word: user.has_perm(act.permission) for word, act in KNOWN.items()}
    context = {
        "entries": entries[:PAGE_SIZE],
        "more": filters.address(after=entries[PAGE_SIZE - 1].job.slug) if len(entries) > PAGE_SIZE else "",
        "filters": filters,
        "states": STATES,
        "lasts": LAST,
        "kinds": TRIGGERS,
        "lanes": LANES,
        "is_filtered": filters.narrows or bool(after),
        "may": may,
        "selectable": any(may.values()),
        "reason_length": pausing.REASON_LENGTH,
    }
    return render(request, "jobs/list.html", context, status=400 if filters.errors else 200)


def _entries(jobs: QuerySet[Job], *, may_run: bool) -> list[Entry]:
    """The first page of `jobs` and one more, in four queries."""
    now = timezone.now()
    found = list(jobs.order_by("name", "pk")[: PAGE_SIZE + 1])
    ids = [job.pk for job in found]
    counts, results, triggers = tallies.of_jobs(ids), strips.of_jobs(ids), kinds.of_jobs(ids)
    return [
        Entry(
            job,
            status_of(job, now),
            counts[job.pk],
            results[job.pk],
            triggers[job.pk],
            may_start=may_run and status_of(job, now) == "active",
        )
        for job in found
    ]

"""The filters of the jobs list, read from the address: by words, state, last run, trigger, lane, owner and tag."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact, IsNull
from django.http import QueryDict

from jobs import priority
from jobs.models import Job, JobQuerySet
from runs.faces import KINDS
from runs.models import Tally, TallyDelta
from runs.views.narrowing import Narrowing
from triggers.models import Kind, Trigger

STATES: Final = {
    "active": "Active",
    "paused": "Paused",
    "inactive": "Inactive",
    "broken": "Broken",
    "scheduled": "With a schedule",
    "unscheduled": "Without a schedule",
}
LAST: Final = {
    "succeeded": "succeeded",
    "failed": "failed (failing)",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "never": "never ran",
}
TRIGGERS: Final = {kind: KINDS[kind] for kind in Kind.values}
LANES: Final = {
    **{lane: lane for lane in priority.LANES},
    "unset": "as its trigger says",
}
# The priorities of each lane.
_RANGES: Final = {
    lane: [number for number in range(priority.FIRST, priority.LAST + 1) if priority.lane(number) == lane]
    for lane in priority.LANES
}


@dataclass(slots=True, kw_only=True)
class JobFilters(Narrowing):
    """What the list is narrowed to."""

    search: str = ""
    state: str = ""
    last: str = ""
    trigger: str = ""
    lane: str = ""
    owner: str = ""
    tag: str = ""

    @classmethod
    def read(cls, data: QueryDict) -> "JobFilters":
        """The filters that the query string `data` says."""
        found = cls(data=data)
        found.search, found.owner, found.tag = (found.text(name) for name in ("q", "owner", "tag"))
        found.state = found.one_of("state", STATES)
        found.last = found.one_of("last", LAST)
        found.trigger = found.one_of("trigger", TRIGGERS)
        found.lane = found.one_of("lane", LANES)
        return found

    @property
    def narrows(self) -> bool:
        """Whether anything is said."""
        return any((self.search, self.state, self.last, self.trigger, self.lane, self.owner, self.tag))

    def address(self, *, after: str = "") -> str:
        """The list's address with these filters, from its beginning or behind the job `after`."""
        return f"?{self.changed(after=after).urlencode()}"

    def apply(self, jobs: JobQuerySet) -> QuerySet[Job]:
        """`jobs` narrowed; none at all if the filters could not be read."""
        if self.errors:
            return jobs.none()
        found = _by_last(_by_state(jobs, self.state), self.last)
        if self.search:
            found = found.filter(
                Q(slug__icontains=self.search)
                | Q(name__icontains=self.search)
                | Q(tags__contains=[self.search.lower()])
            )
        if self.trigger:
            found = found.filter(
                Exists(Trigger.objects.filter(job=OuterRef("pk"), kind=self.trigger, enabled=True))
            )
        if self.lane:
            found = found.filter(_of_lane(self.lane))
        if self.owner:
            found = found.filter(owner__username=self.owner)
        return found.filter(tags__contains=[self.tag]) if self.tag else found


def _by_state(jobs: JobQuerySet, state: str) -> JobQuerySet:
    schedules = Trigger.objects.schedules().values("job")
    narrowed: dict[str, Callable[[], JobQuerySet]] = {
        "active": jobs.runnable,
        "paused": jobs.paused,
        "inactive": lambda: jobs.filter(status=Job.Status.INACTIVE),
        "broken": lambda: jobs.filter(broken_reason__isnull=False),
        "scheduled": lambda: jobs.filter(pk__in=schedules),
        "unscheduled": lambda: jobs.exclude(pk__in=schedules),
    }
    return narrowed[state]() if state else jobs


def _by_last(jobs: JobQuerySet, last: str) -> JobQuerySet:
    """By how the job's newest ended run ended, from its counters: what is not folded yet is newer than the rest."""
    if not last:
        return jobs
    new = TallyDelta.objects.filter(job_id=OuterRef("pk")).order_by("-last_run_at", "-last_run_id")
    old = Tally.objects.filter(job=OuterRef("pk"))
    ended = Coalesce(Subquery(new.values("status")[:1]), Subquery(old.values("last_run_status")[:1]))
    return jobs.filter(IsNull(ended, True) if last == "never" else Exact(ended, last))


def _of_lane(lane: str) -> Q:
    return Q(priority__isnull=True) if lane == "unset" else Q(priority__in=_RANGES[lane])

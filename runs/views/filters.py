"""The filters of the runs list: read from the address, which is the page's whole state, and put into a query."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.models import Job
from jobs.priority import LANES
from runs import status
from runs.faces import KINDS, STATUSES
from runs.models import Run, run_id
from runs.views import qualifiers
from runs.views.narrowing import Narrowing
from runs.views.qualifiers import Searched

RANGES: Final = {
    "15m": ("15 minutes", timedelta(minutes=15)),
    "1h": ("hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "all": ("", None),
}
DEFAULT_RANGE: Final = "24h"
LANE_WORDS: Final = {lane: lane for lane in LANES}
PLACES: Final = ("after", "before", "top", "seen", "format")


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that holds, in words, and the address of the list without it."""

    words: str
    without: str


@dataclass(slots=True, kw_only=True)
class Filters(Narrowing):
    """What the list is narrowed to."""

    statuses: list[str] = field(default_factory=list)
    job: str = ""
    # By its id the planner knows how many runs the job has, and does not look for a few among all others.
    job_id: int | None = None
    trigger: str = ""
    lane: str = ""
    since: str = DEFAULT_RANGE
    begin: datetime | None = None
    end: datetime | None = None
    searched: Searched = field(default_factory=lambda: Searched(words=""))

    @classmethod
    def read(cls, data: QueryDict) -> "Filters":
        """The filters that the query string `data` says."""
        found = cls(data=data)
        found.job, found.searched = data.get("job", "").strip(), qualifiers.read(data.get("q", ""))
        for word in data.getlist("status"):
            found._read_status(word)
        found.trigger = found.one_of("trigger", KINDS)
        found.lane = found.one_of("lane", LANE_WORDS)
        found.since = found.one_of("since", RANGES, DEFAULT_RANGE)
        found.begin, found.end = found._instant("from"), found._instant("to")
        found.job_id = Job.objects.filter(slug=found.job).values_list("pk", flat=True).first()
        if found.job and found.job_id is None:
            found.errors["job"] = f"There is no job {found.job!r}."
        found._check_search()
        if found.lane and found._is_unbounded():
            found.errors["lane"] = f"Runs of the lane {found.lane} have no index: choose a stretch of time."
        return found

    def _check_search(self) -> None:
        problems = list(self.searched.errors)
        if self.searched.has("error") and self._is_unbounded():
            problems.append(
                "'error:' has no index: choose a stretch of time, or write one, such as since:7d."
            )
        if problems:
            self.errors["q"] = " ".join(problems)

    def _is_unbounded(self) -> bool:
        return not (self.begin or self.searched.has("since") or RANGES[self.since][1])

    def _read_status(self, word: str) -> None:
        if not word:
            return
        try:
            self.statuses.append(status.parse(word).value)
        except status.UnknownStatus as error:
            self.errors["status"] = str(error)

    def _instant(self, name: str) -> datetime | None:
        text = self.data.get(name, "").strip()
        if not text:
            return None
        try:
            parsed = parse_datetime(text.replace(" ", "+"))
        except ValueError:
            parsed = None
        if parsed is None:
            self.errors[name] = f"{text!r} is not a time: expected one such as 2026-01-31T09:30."
            return None
        return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)

    @property
    def search(self) -> str:
        """The words that were searched for, without `name:value`."""
        return self.searched.words

    @property
    def typed(self) -> str:
        """What stands in the search box."""
        typed: str = self.data.get("q", "")
        return typed.strip()

    @property
    def has_default_range(self) -> bool:
        """Whether only the last 24 hours are shown because nobody said otherwise."""
        is_said = self.begin or self.end or self.searched.has("since")
        return self.since == DEFAULT_RANGE and not is_said and not self.names_a_run

    @property
    def names_a_run(self) -> bool:
        """Whether the search is the id or name of one run, which is found however old it is."""
        return bool(self.search) and run_id(self.search) is not None

    def apply(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """`runs` narrowed; none at all if the filters could not be read."""
        if self.errors:
            return runs.none()
        if self.statuses:
            runs = runs.filter(status__in=self.statuses)
        if self.job:
            runs = runs.filter(job=self.job_id)
        if self.trigger:
            runs = runs.filter(trigger_kind=self.trigger)
        if self.lane:
            runs = runs.filter(lane=self.lane)
        for qualifier in self.searched.qualifiers:
            runs = runs.filter(qualifier.asks)
        return self._searched(self._ranged(runs))

    def _ranged(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        if self.begin or self.end:
            if self.begin:
                runs = runs.filter(created_at__gte=self.begin)
            return runs.filter(created_at__lt=self.end) if self.end else runs
        length = RANGES[self.since][1]
        if length is None or self.names_a_run or self.searched.has("since"):
            return runs
        return runs.filter(created_at__gte=timezone.now() - length)

    def _searched(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        if not self.search:
            return runs
        jobs = Job.objects.filter(Q(slug__icontains=self.search) | Q(name__icontains=self.search))
        number = run_id(self.search)
        found = Q(job__in=list(jobs.values_list("pk", flat=True)))
        return runs.filter(found if number is None else Q(pk=number))

    def chips(self) -> Iterator[Chip]:
        """Each filter that holds, with the way to be rid of it."""
        for word in self.statuses:
            yield Chip(STATUSES[word].word, self.address(drop=("status", word)))
        if self.job:
            yield Chip(f"job {self.job}", self.address(drop=("job", None)))
        if self.trigger:
            yield Chip(f"started by {KINDS[self.trigger].lower()}", self.address(drop=("trigger", None)))
        if self.lane:
            yield Chip(f"lane {self.lane}", self.address(drop=("lane", None)))
        for qualifier in self.searched.qualifiers:
            yield Chip(qualifier.token, self._without(qualifier.token))
        if self.search:
            yield Chip(f"“{self.search}”", self._without(self.search))
        if self.begin or self.end:
            yield Chip(self._range_words(), self.address(drop=("from", None)))
        elif RANGES[self.since][1] is not None and not self.names_a_run and not self.searched.has("since"):
            yield Chip(f"last {RANGES[self.since][0]}", self.address(since="all"))

    def _without(self, part: str) -> str:
        """The list's address without `part` of what stands in the search box."""
        kept = [each.token for each in self.searched.qualifiers]
        kept += [self.search] if self.search else []
        kept.remove(part)
        return self.address(search=" ".join(kept))

    def _range_words(self) -> str:
        words = [
            f"{word} {timezone.localtime(at):%Y-%m-%d %H:%M}"
            for word, at in (("from", self.begin), ("to", self.end))
            if at
        ]
        return " ".join(words)

    def any_time(self) -> str:
        """The same list without a bound in time."""
        return self.address(drop=("from", None), since="all")

    def address(
        self,
        *,
        drop: tuple[str, str | None] | None = None,
        since: str = "",
        top: str = "",
        search: str | None = None,
    ) -> str:
        """The list's first page, without the filter `drop` (a name with one of its values, or all of them)."""
        said = {name: word for name, word in (("since", since), ("top", top)) if word}
        if search is not None:
            said["q"] = search
        query = self.changed(without=PLACES, **said)
        name, value = drop or ("", None)
        kept = [word for word in query.getlist(name) if value is not None and word != value]
        if kept:
            query.setlist(name, kept)
        else:
            query.pop(name, None)
        if name == "from":
            query.pop("to", None)
        return f"?{query.urlencode()}"

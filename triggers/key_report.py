"""What a key is used for: by job and by hour, and what would stop if it were revoked."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max, Sum

from jobs.models import Job
from triggers.models import ApiKey, KeyUse, Kind, Trigger

LOOK_BACK: Final = timedelta(days=30)
HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUse:
    """What the key did with one job (None: with none in particular) in `LOOK_BACK`."""

    job: Job | None
    calls: int
    launches: int
    last_at: datetime
    # What else starts the job, in words.
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What would stop, in words."""
        if self.job is None:
            calls = counted(self.calls, "call that is", "calls that are")
            return f"{calls} about no single job, such as lists of runs."
        if not self.launches:
            calls = counted(self.calls, "call", "calls")
            return f"{calls} about {self.job.name}; none of them started it."
        rest = f"It is also started {'; '.join(self.others)}." if self.others else "Nothing else starts it."
        runs = counted(self.launches, f"run of {self.job.name} was", f"runs of {self.job.name} were")
        return f"{runs} started with it. {rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The use of one key; `hours` are the calls of the last 24 hours, oldest first."""

    jobs: tuple[JobUse, ...]
    hours: tuple[int, ...]

    @property
    def calls(self) -> int:
        """All calls of `LOOK_BACK`."""
        return sum(use.calls for use in self.jobs)


def counted(number: int, one: str, many: str) -> str:
    """The number with the word that goes with it."""
    return f"{number:,} {one if number == 1 else many}"


def report(key: ApiKey, *, now: datetime) -> Report:
    """How `key` was used; three queries. The newest seconds may be missing (`triggers.key_use`)."""
    uses = KeyUse.objects.filter(key=key, hour__gt=now - LOOK_BACK)
    sums = list(
        uses.values("job_id").annotate(sum_calls=Sum("calls"), sum_launches=Sum("launches"), last=Max("hour"))
    )
    jobs = Job.objects.in_bulk({row["job_id"] for row in sums} - {None})
    others = _others(jobs)
    found = [
        JobUse(
            job=jobs.get(row["job_id"]),
            calls=row["sum_calls"],
            launches=row["sum_launches"],
            last_at=row["last"],
            others=others.get(row["job_id"], ()),
        )
        for row in sums
    ]
    ordered = sorted(found, key=lambda use: (-use.launches, -use.calls))
    return Report(jobs=tuple(ordered), hours=hours([key], now=now)[key.pk])


def hours(keys: Iterable[ApiKey], *, now: datetime) -> dict[int, tuple[int, ...]]:
    """The calls of each key in each of the last 24 hours, oldest first; one query."""
    this = now.replace(minute=0, second=0, microsecond=0)
    shown = [this - timedelta(hours=ago) for ago in reversed(range(HOURS))]
    asked = [key.pk for key in keys]
    uses = KeyUse.objects.filter(key__in=asked, hour__gte=shown[0])
    known = {
        (key, hour): calls for key, hour, calls in uses.values_list("key", "hour").annotate(Sum("calls"))
    }
    return {key: tuple(known.get((key, hour), 0) for hour in shown) for key in asked}


def _others(jobs: dict[int, Job]) -> dict[int, tuple[str, ...]]:
    """What else starts each of the jobs: their enabled triggers but the remote one."""
    found = defaultdict(list)
    triggers = Trigger.objects.enabled().filter(job__in=jobs).exclude(kind=Kind.REMOTE).order_by("id")
    for trigger in triggers:
        found[trigger.job_id].append(f"by the {trigger.kind} {trigger.label}")
    return {job_id: tuple(words) for job_id, words in found.items()}

"""What may start jobs, by kind: added up by the database, because a job may have very many schedules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, F, Min, Q

from triggers.models import Kind, Trigger

# What `Trigger.runs_next_at` says, for many at once: it is on, and no pause will skip its next slot.
_STARTS: Final = Q(enabled=True) & (
    Q(paused_at=None) | Q(paused_at__gt=F("next_run_at")) | Q(paused_until__lte=F("next_run_at"))
)


@dataclass(frozen=True, slots=True)
class OfKind:
    """The triggers of one kind that may start a job: how many, whether any is on, and when the clock fires next."""

    kind: Kind
    number: int
    is_on: bool
    next_run_at: datetime | None


def of_jobs(job_ids: Sequence[int]) -> Mapping[int, Sequence[OfKind]]:
    """The triggers of each job, in the order of the kinds; one query."""
    added = (
        Trigger.objects.filter(job__in=job_ids)
        .values("job_id", "kind")
        .annotate(number=Count("pk"), is_on=BoolOr("enabled"), at=Min("next_run_at", filter=_STARTS))
        .order_by()
    )
    found: dict[int, list[OfKind]] = {pk: [] for pk in job_ids}
    for row in sorted(added, key=lambda row: Kind.values.index(row["kind"])):
        found[row["job_id"]].append(OfKind(Kind(row["kind"]), row["number"], row["is_on"], row["at"]))
    return found


def next_run_at(found: Sequence[OfKind]) -> datetime | None:
    """When the clock starts the job next."""
    return min((each.next_run_at for each in found if each.next_run_at), default=None)

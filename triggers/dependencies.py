"""Decides who follows a job, when a dependency fires, and which edges the graph of jobs may have.

`runs.followers` carries the firing out. All edges count for circles, those of disabled triggers too, so that
enabling one can never close a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet

from jobs.models import Job
from triggers import graph
from triggers.models import Condition, Kind, Trigger, Upstream
from triggers.models.upstream import LOCK

# Which endings of the upstream run fire a dependent (product.md, Conditions); a skipped run fires none.
FIRED_BY: Final[Mapping[str, frozenset[str]]] = {
    Condition.ON_SUCCESS: frozenset({"succeeded"}),
    Condition.ON_FAILURE: frozenset({"failed"}),
    Condition.ON_COMPLETION: frozenset({"succeeded", "failed", "cancelled"}),
}


class CircularDependency(ValueError):
    """A job would come after itself; `chain` holds the slugs in the direction of the flow, the first one twice."""

    def __init__(self, chain: Sequence[str]) -> None:
        self.chain = list(chain)
        way = " → ".join(self.chain)
        super().__init__(f"{self.chain[0]!r} can't follow {self.chain[-2]!r}, which comes after it: {way}.")


def of(job: Job) -> QuerySet[Trigger]:
    """The dependency triggers that watch `job`, enabled or not, in the order in which they are looked at."""
    return Trigger.objects.filter(upstreams=job).select_related("job").order_by("id")


def objection(trigger: Trigger, *, status: str) -> str | None:
    """Why an upstream run that ended as `status` does not fire `trigger`, in a sentence; None if it does."""
    if not trigger.enabled:
        return "The trigger is disabled."
    if status == "skipped":
        return "The upstream run was skipped, and a skipped run fires none."
    if status not in FIRED_BY[trigger.condition]:
        return f"Its condition is {trigger.condition}, and the upstream run {ended(status)}."
    return None


def ended(status: str) -> str:
    """A final status as a sentence says it: "succeeded", "was cancelled"."""
    return status if status in {"succeeded", "failed"} else f"was {status}"


def check(*, job: Job, upstreams: Iterable[Job], trigger: Trigger | None = None) -> None:
    """Raises CircularDependency if `job` can't follow one of `upstreams`.

    `trigger` is the one that the edges are meant for, if it is there already: those it has do not count.
    """
    ahead = _followers(without=trigger)
    for upstream in upstreams:
        chain = graph.circle(ahead, upstream=upstream.pk, downstream=job.pk)
        if chain is not None:
            slugs = Job.objects.in_bulk(chain)
            raise CircularDependency([slugs[number].slug for number in chain])


def available_upstream(job: Job, *, trigger: Trigger | None = None) -> QuerySet[Job]:
    """The jobs that `job` may follow without coming after itself."""
    behind = graph.reachable(_followers(without=trigger), job.pk)
    return Job.objects.exclude(pk__in=[*behind, job.pk])


def save(trigger: Trigger, *, upstreams: Sequence[Job]) -> None:
    """Stores `trigger`, a dependency, with exactly these upstreams.

    Raises CircularDependency, and ValidationError for whatever else is wrong with it. Two edits that would
    close a circle only together are checked one after the other: the lock holds until the commit.
    """
    trigger.kind = Kind.DEPENDENCY
    if not upstreams:
        raise ValidationError({"upstreams": "Expected at least one job to follow, none was given."})
    trigger.full_clean()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {LOCK}")
        check(job=trigger.job, upstreams=upstreams, trigger=trigger)
        trigger.save()
        wanted = {job.pk for job in upstreams}
        had = set(trigger.edges.values_list("job_id", flat=True))
        trigger.edges.exclude(job_id__in=wanted).delete()
        Upstream.objects.bulk_create(Upstream(trigger=trigger, job_id=pk) for pk in sorted(wanted - had))
    trigger.refresh_from_db(fields=["version"])


def _followers(*, without: Trigger | None) -> dict[int, list[int]]:
    """The graph of all edges by job ids, each job with those that follow it."""
    edges = Upstream.objects.order_by("id")
    if without is not None and without.pk is not None:
        edges = edges.exclude(trigger=without)
    return graph.followers(edges.values_list("job_id", "trigger__job_id"))

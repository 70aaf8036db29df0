"""Decides who follows a job, when a dependency fires, and which edges the graph of jobs may have.

`runs.followers` carries the firing out. All edges count for circles, those of disabled triggers too, so that
enabling one can never close a circle.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet

from jobs.models import Job
from triggers import graph
from triggers.models import Condition, Kind, Needs, Trigger, Upstream
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


@dataclass(frozen=True, slots=True)
class Edge:
    """One job after another, by a trigger."""

    upstream_id: int
    downstream_id: int
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Graph:
    """Jobs in the order of the flow, and the edges between them."""

    jobs: Sequence[Job]
    edges: Sequence[Edge]

    def followers(self) -> dict[int, list[int]]:
        """Each job's id with the ids of those that follow it directly; every job is there."""
        found = graph.followers((edge.upstream_id, edge.downstream_id) for edge in self.edges)
        return {job.pk: found.get(job.pk, []) for job in self.jobs}

    def before(self, job: Job) -> list[int]:
        """The ids of all jobs that `job` follows, near or far, in the order of the flow."""
        return self._ordered(graph.reachable(graph.reversed_graph(self.followers()), job.pk))

    def after(self, job: Job) -> list[int]:
        """The ids of all jobs that follow `job`, near or far, in the order of the flow."""
        return self._ordered(graph.reachable(self.followers(), job.pk))

    def only(self, jobs: Iterable[Job]) -> "Graph":
        """The graph of these jobs, without edges from or to others."""
        ids = {job.pk for job in jobs}
        kept = [edge for edge in self.edges if edge.upstream_id in ids and edge.downstream_id in ids]
        return Graph([job for job in self.jobs if job.pk in ids], kept)

    def _ordered(self, ids: Collection[int]) -> list[int]:
        return [job.pk for job in self.jobs if job.pk in ids]


def whole() -> Graph:
    """All jobs that follow others or are followed, disabled triggers included."""
    upstreams = Upstream.objects.select_related("trigger__job").order_by("id")
    edges = [Edge(each.job_id, each.trigger.job_id, each.trigger) for each in upstreams]
    order = graph.in_order(graph.followers((edge.upstream_id, edge.downstream_id) for edge in edges))
    jobs = Job.objects.in_bulk(order)
    return Graph([jobs[pk] for pk in order], edges)


def around(job: Job, *, hops: int | None = None) -> Graph:
    """The part of the graph that `job` belongs to: what comes before or after it, at most `hops` edges away."""
    everything = whole()
    ahead = everything.followers()
    near = {job.pk}
    for direction in (ahead, graph.reversed_graph(ahead)):
        near |= graph.reachable(direction, job.pk, hops=hops)
    found = everything.only(each for each in everything.jobs if each.pk in near)
    return found if found.jobs else Graph([job], [])


def of(job: Job) -> QuerySet[Trigger]:
    """The dependency triggers that watch `job`, enabled or not, in the order in which they are looked at."""
    return Trigger.objects.filter(upstreams=job, kind=Kind.DEPENDENCY).select_related("job").order_by("id")


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


def described(trigger: Trigger, upstreams: Sequence[Job]) -> str:
    """The rule in words: "after ingest, on success, 5 minutes later"."""
    names = [job.slug for job in upstreams]
    several = "all of " if trigger.needs == Needs.ALL else "any of "
    parts = [f"after {several if len(names) > 1 else ''}{', '.join(names) or 'nothing'}"]
    parts.append(trigger.get_condition_display().lower())
    if trigger.needs == Needs.ALL and len(names) > 1:
        parts.append(f"within {minutes(trigger.window_minutes)}")
    if trigger.delay_minutes:
        parts.append(f"{minutes(trigger.delay_minutes)} later")
    return ", ".join(parts)


def minutes(number: int) -> str:
    """A number of minutes in words."""
    hours, rest = divmod(number, 60)
    if hours and not rest:
        return f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{number} minute{'s' if number > 1 else ''}"


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
    store(trigger, upstreams=upstreams)


def store(trigger: Trigger, *, upstreams: Sequence[Job]) -> None:
    """Stores any trigger that may have upstreams with exactly these; raises what `save` does."""
    trigger.full_clean()
    with transaction.atomic():
        lock()
        check(job=trigger.job, upstreams=upstreams, trigger=trigger)
        trigger.save()
        wanted = {job.pk for job in upstreams}
        had = set(trigger.edges.values_list("job_id", flat=True))
        trigger.edges.exclude(job_id__in=wanted).delete()
        Upstream.objects.bulk_create(Upstream(trigger=trigger, job_id=pk) for pk in sorted(wanted - had))
    trigger.refresh_from_db(fields=["version"])


def lock() -> None:
    """Makes this transaction the only one that edits dependencies, until it ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {LOCK}")


def _followers(*, without: Trigger | None) -> dict[int, list[int]]:
    """The graph of all edges by job ids, each job with those that follow it."""
    edges = Upstream.objects.order_by("id")
    if without is not None and without.pk is not None:
        edges = edges.exclude(trigger=without)
    return graph.followers(edges.values_list("job_id", "trigger__job_id"))

"""Who follows whom, as outsiders read it: the graph around a job, and what it may follow."""

from typing import Any, ClassVar, Final

from django.utils import timezone
from django_filters import CharFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault
from jobs.fields import Instant, Value
from jobs.models import Job, JobQuerySet
from jobs.wire import InvalidQuery
from runs import outlook, tallies
from runs.api.finding import find_job
from runs.api.trigger_bodies import find_upstream
from triggers import dependencies
from triggers.dependencies import CircularDependency, Graph
from triggers.models import Condition, Kind, Needs, Scope
from triggers.visibility import visible_jobs

HIDDEN: Final = "…"


class UpstreamFilter(FilterSet):
    """`for`: the job that is to follow one of those listed; reading `qs` raises InvalidQuery."""

    vars()["for"] = extend_schema_field(dict(wire.SLUG))(CharFilter)(method="by_follower", required=True)

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []

    def by_follower(self, queryset: JobQuerySet, name: str, value: str) -> JobQuerySet:
        """The jobs that keep the graph acyclic; raises InvalidQuery."""
        job = visible_jobs(self.request.auth).filter(slug=value).first()
        if job is None:
            raise InvalidQuery([Fault(pointer="/for", code="value", detail=f"There is no job {value!r}.")])
        return queryset.filter(pk__in=dependencies.available_upstream(job))


class UpstreamSerializer(serializers.Serializer[Job]):
    """A job that may be followed."""

    slug = Value(wire.SLUG)
    name = Value(wire.TEXT)


class AvailableUpstreamView(generics.ListAPIView[Job]):
    """List the jobs that a job may follow."""

    required_permission: ClassVar = "triggers.view_trigger"
    queryset = Job.objects.all()
    serializer_class = UpstreamSerializer
    filterset_class = UpstreamFilter
    job_lookup: ClassVar = "pk"

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List the jobs that the job `for` may follow without coming after itself, newest first."""
        if "for" not in request.query_params:
            detail = "'for' is missing; expected the slug of the job that is to follow."
            raise InvalidQuery([Fault(pointer="/for", code="required", detail=detail)])
        return super().get(request, *arguments, **options)


class VerdictSerializer(serializers.Serializer[Any]):
    """Whether an edge may be; if not, the circle that it would close, in the direction of the flow."""

    valid = Value(wire.YES_NO)
    message = Value(wire.TEXT)
    chain = Value(wire.TEXTS, required=False)
    error = Value(wire.TEXT, required=False)


class ValidateDependencyView(Endpoint):
    """Ask whether a job may follow another."""

    required_scope = Scope.READ
    required_permission: ClassVar = "triggers.view_trigger"
    body_schema: ClassVar = {
        "type": "object",
        "properties": {"upstream": {"type": "string", "minLength": 1, "maxLength": 200}},
        "required": ["upstream"],
        "additionalProperties": False,
    }
    answers: ClassVar = {200: VerdictSerializer}

    def post(self, request: Request, slug: str) -> Response:
        """Ask whether the job may follow `upstream`, without making anything."""
        job = find_job(request, slug)
        upstream = find_upstream(request, wire.body(request, self.body_schema)["upstream"])
        try:
            dependencies.check(job=job, upstreams=[upstream])
        except CircularDependency as error:
            told = hide(request, error)
            return Response({"valid": False, "chain": told.chain, "error": str(told), "message": str(told)})
        return Response({"valid": True, "message": f"{job.slug!r} may follow {upstream.slug!r}."})


class NodeSerializer(serializers.Serializer[Any]):
    """A job of the graph, and how its last run ended."""

    job = Value(wire.SLUG)
    name = Value(wire.TEXT)
    status = Value({"type": "string", "enum": Job.Status.values})
    last_run_id = Value(wire.WHOLE_OR_NULL)
    last_run_status = Value(wire.TEXT_OR_NULL)


class EdgeSerializer(serializers.Serializer[Any]):
    """A dependency: `downstream` follows `upstream` by a trigger."""

    upstream = Value(wire.SLUG)
    downstream = Value(wire.SLUG)
    trigger = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    kind = Value({"type": "string", "enum": [Kind.DEPENDENCY.value, Kind.SCHEDULE.value]})
    condition = Value({"type": "string", "enum": Condition.values})
    delay_minutes = Value(wire.WHOLE)
    needs = Value({"type": "string", "enum": Needs.values})
    enabled = Value(wire.YES_NO)


class ProspectSerializer(serializers.Serializer[outlook.Prospect]):
    """What a trigger would do: start its job `at` an instant (null: at once), or nothing for a `reason`."""

    job = Value(wire.SLUG, source="trigger.job.slug")
    trigger = Value(wire.WHOLE, source="trigger.pk")
    name = Value(wire.TEXT, source="trigger.label")
    kind = Value(
        {"type": "string", "enum": [Kind.DEPENDENCY.value, Kind.SCHEDULE.value]}, source="trigger.kind"
    )
    would_start = serializers.SerializerMethodField()
    at = Instant()
    note = Value(wire.TEXT)
    reason = Value(wire.TEXT)

    @extend_schema_field(dict(wire.YES_NO))
    def get_would_start(self, prospect: outlook.Prospect) -> bool:
        """Whether a run would follow."""
        return not prospect.reason


class GraphSerializer(serializers.Serializer[Any]):
    """The part of the graph that a job belongs to; what comes before and after it, near or far.

    `prospects`: what each trigger that watches the job would do if a run of it ended now as the query says; null
    if it does not say.
    """

    upstream = Value(wire.TEXTS)
    downstream = Value(wire.TEXTS)
    nodes = NodeSerializer(many=True, read_only=True)
    edges = EdgeSerializer(many=True, read_only=True)
    prospects = ProspectSerializer(many=True, read_only=True, allow_null=True)


class DependenciesView(Endpoint):
    """Read the graph around a job."""

    required_permission: ClassVar = "triggers.view_trigger"
    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "ended": {
                "type": "string",
                "enum": list(outlook.ENDINGS),
                "description": "Ask what would follow if a run of the job ended so now.",
            }
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: GraphSerializer}

    def get(self, request: Request, slug: str) -> Response:
        """Read what comes before and after the job, directly or not, and how each of them last ended."""
        job = find_job(request, slug)
        graph = dependencies.around(job).only(visible_jobs(request.auth))
        told = _told(job, graph) | {"prospects": self._prospects(job, graph)}
        return Response(GraphSerializer(told).data)

    def _prospects(self, job: Job, graph: Graph) -> list[outlook.Prospect] | None:
        if "ended" not in self.asked:
            return None
        seen = {each.pk for each in graph.jobs}
        found = outlook.of(job, status=self.asked["ended"], now=timezone.now())
        return [each for each in found if each.trigger.job_id in seen]


def hide(request: Request, error: CircularDependency) -> CircularDependency:
    """The same, with jobs that the caller may not see left unnamed."""
    seen = set(visible_jobs(request.auth).filter(slug__in=error.chain).values_list("slug", flat=True))
    return CircularDependency([slug if slug in seen else HIDDEN for slug in error.chain])


def _told(job: Job, graph: Graph) -> dict[str, Any]:
    counts = tallies.of_jobs(each.pk for each in graph.jobs)
    slugs = {each.pk: each.slug for each in graph.jobs}
    return {
        "upstream": [slugs[pk] for pk in graph.before(job)],
        "downstream": [slugs[pk] for pk in graph.after(job)],
        "nodes": [
            {
                "job": each.slug,
                "name": each.name,
                "status": each.effective_status(timezone.now()),
                "last_run_id": counts[each.pk].last_run_id,
                "last_run_status": counts[each.pk].last_run_status,
            }
            for each in graph.jobs
        ],
        "edges": [
            {
                "upstream": slugs[edge.upstream_id],
                "downstream": slugs[edge.downstream_id],
                "trigger": edge.trigger.pk,
                "name": edge.trigger.label,
                "kind": edge.trigger.kind,
                "condition": edge.trigger.condition,
                "delay_minutes": edge.trigger.delay_minutes,
                "needs": edge.trigger.needs,
                "enabled": edge.trigger.enabled,
            }
            for edge in graph.edges
        ],
    }

"""Circuit breakers: which are open, and closing one by hand."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from runs import circuits
from runs.api import bodies
from runs.api.finding import actor, find_job
from runs.launch import LaunchRefused
from runs.models import Circuit, CircuitEvent, CircuitState
from triggers.models import Scope
from triggers.visibility import visible_jobs


class CircuitEventSerializer(serializers.Serializer[CircuitEvent]):
    """An opening or closing."""

    at = Instant(wire.INSTANT)
    kind = Value({"type": "string", "enum": CircuitEvent.Kind.values})
    actor = Value(wire.TEXT)
    detail = Value(wire.TEXT)


class CircuitSerializer(serializers.Serializer[Circuit]):
    """The circuit breaker of a job or of a host, and the jobs it holds back."""

    target = Value(wire.TEXT)
    state = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()
    calls = Value(wire.WHOLE)
    failures = Value(wire.WHOLE)
    window_started_at = Instant()
    opened_at = Instant()
    open_until = Instant()
    probe_run_id = Value(wire.WHOLE_OR_NULL)
    events = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "enum": CircuitState.values})
    def get_state(self, circuit: Circuit) -> str:
        """closed, open, or half_open: one run is let through."""
        return str(circuit.state(timezone.now()).value)

    @extend_schema_field(dict(wire.TEXTS))
    def get_jobs(self, circuit: Circuit) -> list[str]:
        """The slugs of the jobs that share it, as far as the caller may see them."""
        jobs: dict[str, list[str]] = self.context["jobs"]
        return jobs.get(circuit.target, [])

    @extend_schema_field(CircuitEventSerializer(many=True))
    def get_events(self, circuit: Circuit) -> Any:
        """The newest openings and closings."""
        newest: Any = circuit.events.all()[: circuits.EVENTS]
        return CircuitEventSerializer(newest, many=True).data


class CircuitsSerializer(serializers.Serializer[Any]):
    """All circuit breakers."""

    results = CircuitSerializer(many=True)


class CircuitsView(Endpoint):
    """Read the circuit breakers."""

    answers: ClassVar = {200: CircuitsSerializer}

    def get(self, request: Request) -> Response:
        """Read the circuit breakers that ever counted an attempt, of the jobs that the caller may see."""
        jobs: dict[str, list[str]] = {}
        guarded = visible_jobs(request.auth).filter(circuit_target__isnull=False).order_by("slug")
        for target, slug in guarded.values_list("circuit_target", "slug"):
            jobs.setdefault(target, []).append(slug)
        found: Any = Circuit.objects.filter(target__in=list(jobs))
        return Response({"results": CircuitSerializer(found, many=True, context={"jobs": jobs}).data})


class ResetCircuitView(Endpoint):
    """Close a job's circuit breaker by hand."""

    required_scope = Scope.RUN
    required_permission: ClassVar = "jobs.pause_job"
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: CircuitSerializer}

    def post(self, request: Request, slug: str) -> Response:
        """Close a job's circuit breaker by hand: runs may start again at once. One that is closed is a 409."""
        wire.body(request, self.body_schema)
        job = find_job(request, slug)
        circuit = circuits.of_job(job)
        if circuit is None or not circuits.reset(circuit, by=actor(request)):
            raise LaunchRefused(f"The job {job.slug!r} has no circuit breaker that is open.")
        circuit.refresh_from_db()
        sharing = visible_jobs(request.auth).filter(circuit_target=circuit.target)
        jobs = {circuit.target: [other.slug for other in sharing]}
        return Response(CircuitSerializer(circuit, context={"jobs": jobs}).data)

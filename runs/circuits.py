"""Circuit breakers: count the attempts of jobs that have one, and decide when nothing more is started.

Written by `runs.lifecycle.settle`, which ends every attempt, and honoured by the view `runs_gate`. An attempt that
ended in an error or a time-out is a failure; one that was cancelled or lost says nothing. Times are the database's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs.models import Job
from notifications import outbox
from notifications.models import Occasion
from runs import dispatch, levels
from runs.models import Circuit, CircuitEvent, CircuitState

log = structlog.get_logger(__name__)

ACTOR_LENGTH = 200
EVENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ended attempt, as a circuit breaker sees it."""

    target: str
    run_id: int
    job_id: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A breaker as people and programs are shown it, at one moment."""

    circuit: Circuit
    state: CircuitState
    events: Sequence[CircuitEvent]


@dataclass(slots=True)
class _Calls:
    """What ended together of one target."""

    job_id: int
    outcomes: dict[int, bool] = field(default_factory=dict)  # run id: failed

    @property
    def failures(self) -> int:
        return sum(self.outcomes.values())


def note(calls: Iterable[Call]) -> None:
    """Counts ended attempts, and opens or closes the breakers they belong to."""
    found: dict[str, _Calls] = {}
    for call in calls:
        found.setdefault(call.target, _Calls(call.job_id)).outcomes[call.run_id] = call.failed
    for target in sorted(found):  # in one order, so that two settlements can't wait for each other
        job = Job.objects.filter(pk=found[target].job_id, circuit_failure_rate__isnull=False).first()
        if job is not None:
            with transaction.atomic():
                circuit, now = _locked(target)
                _count(circuit, found[target], job=job, now=now)


def reset(circuit: Circuit, *, by: str) -> bool:
    """Closes the breaker by hand and forgets what it counted; False if it was closed already."""
    with transaction.atomic():
        found, now = _locked(circuit.target)
        if found.opened_at is None:
            return False
        _close(found, now=now)
        CircuitEvent.objects.create(circuit=found, kind=CircuitEvent.Kind.RESET, actor=by[:ACTOR_LENGTH])
        _wake(found)
    log.info("circuit_reset", target=found.target, by=by)
    return True


def of_job(job: Job) -> Circuit | None:
    """The job's breaker, saved or not; None for a job without one."""
    if job.circuit_target is None:
        return None
    return Circuit.objects.filter(target=job.circuit_target).first() or Circuit(target=job.circuit_target)


def seen(circuit: Circuit | None) -> Seen | None:
    """The breaker with its state now and its newest openings and closings; None for none."""
    if circuit is None:
        return None
    newest = list(circuit.events.all()[:EVENTS]) if circuit.pk else []
    return Seen(circuit, circuit.state(timezone.now()), newest)


def _locked(target: str) -> tuple[Circuit, datetime]:
    """The breaker's row, locked until the transaction ends, and the database's time."""
    Circuit.objects.bulk_create([Circuit(target=target)], ignore_conflicts=True)
    circuit = Circuit.objects.select_for_update(no_key=True).annotate(now=Now()).get(target=target)
    return circuit, circuit.now


def _count(circuit: Circuit, calls: _Calls, *, job: Job, now: datetime) -> None:
    if circuit.opened_at is not None:
        # Only the probe tells: other runs were begun before it opened.
        if circuit.probe_run_id in calls.outcomes:
            _judge_probe(circuit, failed=calls.outcomes[circuit.probe_run_id], job=job, now=now)
        return
    if now - circuit.window_started_at >= timedelta(seconds=job.circuit_window_seconds):
        circuit.window_started_at, circuit.calls, circuit.failures = now, 0, 0
    circuit.calls += len(calls.outcomes)
    circuit.failures += calls.failures
    rate = job.circuit_failure_rate
    assert rate is not None
    if circuit.calls >= job.circuit_min_calls and circuit.failures >= rate * circuit.calls:
        detail = f"{circuit.failures} of {circuit.calls} attempts failed."
        _open(circuit, CircuitEvent.Kind.OPENED, detail=detail, job=job, now=now)
    circuit.save()


def _judge_probe(circuit: Circuit, *, failed: bool, job: Job, now: datetime) -> None:
    which = f"The probe #{circuit.probe_run_id}"
    if failed:
        _open(circuit, CircuitEvent.Kind.REOPENED, detail=f"{which} failed.", job=job, now=now)
        circuit.save()
        return
    _close(circuit, now=now)
    CircuitEvent.objects.create(circuit=circuit, kind=CircuitEvent.Kind.CLOSED, detail=f"{which} succeeded.")
    _wake(circuit)
    log.info("circuit_closed", target=circuit.target)


def _open(circuit: Circuit, kind: CircuitEvent.Kind, *, detail: str, job: Job, now: datetime) -> None:
    circuit.opened_at = circuit.opened_at or now
    circuit.open_until = now + timedelta(seconds=job.circuit_cooldown_seconds)
    circuit.probe_run_id = None
    event = CircuitEvent.objects.create(circuit=circuit, kind=kind, detail=detail)
    if kind == CircuitEvent.Kind.OPENED:  # one that stays open is no news
        told = {"target": circuit.target, "detail": detail}
        outbox.note(outbox.Note(occasion=Occasion.CIRCUIT_OPENED, once=str(event.pk), job=job, detail=told))
    log.warning("circuit_opened", target=circuit.target, detail=detail)


def _close(circuit: Circuit, *, now: datetime) -> None:
    circuit.opened_at = circuit.open_until = circuit.probe_run_id = None
    circuit.window_started_at, circuit.calls, circuit.failures = now, 0, 0
    circuit.save()


def _wake(circuit: Circuit) -> None:
    """What waited behind the breaker may start: wakes the lanes it waits in."""
    guarded = Job.objects.filter(circuit_target=circuit.target).values_list("pk", flat=True)
    for lane in sorted(levels.waiting(guarded, most=1)):
        dispatch.hint_after_commit(lane)

"""runs_gate and runs_claim: concurrency keys, rates of starts and circuit breakers, against the real functions."""

import time
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.executors import Cancelled, Failed, Succeeded
from jobs.models import Job
from runs import circuits, holding, lifecycle
from runs.claims import Claim
from runs.models import Circuit, CircuitEvent, JobStart, Run
from runs.why import Reason, why
from tests.factories import claim, claim_one, make_job, make_run, make_slot
from tests.site import SECONDS

FAILED = Failed(reason="error", type="X", message="no", traceback="", retryable=False)
SUCCEEDED = Succeeded(result=None)


def keyed(**fields: object) -> Job:
    return make_job(schema={"additionalProperties": True}, concurrency_key_template="{customer}", **fields)


def run_of(job: Job, customer: str, priority: int = 1) -> Run:
    return make_run(job, parameters={"customer": customer}, priority=priority)


def ended(claimed: Claim, outcome: Succeeded | Failed | Cancelled = SUCCEEDED) -> None:
    assert lifecycle.settle([(claimed, outcome)])


def reason(run: Run) -> Reason:
    run.refresh_from_db()
    found = why(run)
    assert found is not None
    return found


# Concurrency keys


@pytest.mark.django_db
def test_runs_of_one_key_wait_for_each_other_and_hold_up_nobody() -> None:
    job, slot = keyed(), make_slot()
    first, second, other = run_of(job, "acme"), run_of(job, "acme"), run_of(job, "zeta")
    assert first.concurrency_key == "acme"
    held = claim_one(slot)
    assert held.id == first.pk
    assert claim_one(slot).id == other.pk
    assert claim(slot) == []
    assert reason(second) == Reason(
        "key_limit",
        f"The limit of 1 run at a time with the concurrency key 'acme' is reached (by #{first.pk}).",
    )
    ended(held)
    assert claim_one(slot).id == second.pk


@pytest.mark.django_db
def test_a_key_may_have_more_than_one_run_at_a_time() -> None:
    job, slot = keyed(max_concurrent_per_key=2), make_slot()
    runs = [run_of(job, "acme") for _ in range(4)]
    both = claim(slot, limit=4)
    assert [claimed.id for claimed in both] == [run.pk for run in runs[:2]]
    assert claim(slot, limit=4) == []
    lifecycle.settle([(claimed, SUCCEEDED) for claimed in both])
    assert len(claim(slot, limit=4)) == 2


@pytest.mark.django_db
def test_a_run_without_the_parameter_has_no_key() -> None:
    job, slot = keyed(), make_slot()
    assert [make_run(job).concurrency_key, make_run(job).concurrency_key] == [None, None]
    assert len(claim(slot, limit=2)) == 2


@pytest.mark.django_db
def test_of_held_runs_the_one_with_the_better_priority_is_called_first() -> None:
    job, slot = keyed(), make_slot()
    run_of(job, "acme")
    held = claim_one(slot)
    later, sooner = run_of(job, "acme", priority=9), run_of(job, "acme", priority=2)
    assert claim(slot) == []
    ended(held)
    following = claim_one(slot)
    assert following.id == sooner.pk
    ended(following)
    assert claim_one(slot).id == later.pk


@pytest.mark.django_db
def test_a_run_that_is_held_can_be_cancelled_and_leaves_the_others_their_turn() -> None:
    job, slot = keyed(), make_slot()
    run_of(job, "acme")
    held, second, third = claim_one(slot), run_of(job, "acme"), run_of(job, "acme")
    assert claim(slot) == []
    lifecycle.cancel(Run.objects.filter(pk=second.pk), by="ada")
    ended(held)
    assert claim_one(slot).id == third.pk


@pytest.mark.django_db
def test_the_sweep_calls_back_what_nobody_called() -> None:
    job, slot = keyed(), make_slot()
    run_of(job, "acme")
    held, second = claim_one(slot), run_of(job, "acme")
    assert claim(slot) == []
    assert holding.release_left_over() == 0
    # As if the ending had been settled in the moment in which the claim put the second one aside.
    Run.objects.filter(pk=held.id).update(concurrency_key=None)
    assert holding.release_left_over() == 1
    assert holding.release_left_over() == 0
    assert claim_one(slot).id == second.pk


@pytest.mark.django_db
def test_a_job_that_gives_up_its_key_lets_the_held_runs_go() -> None:
    job, slot = keyed(), make_slot()
    run_of(job, "acme")
    claim_one(slot)
    waiting = [run_of(job, "acme") for _ in range(3)]
    assert claim(slot) == []
    Job.objects.filter(pk=job.pk).update(concurrency_key_template=None)
    assert holding.release_left_over() == 3
    assert len(claim(slot, limit=5)) == len(waiting)


def test_claims_at_the_same_time_never_start_more_of_a_key_than_may_run(own_database: str) -> None:
    job = keyed(max_concurrent_per_key=2)
    for number in range(24):
        run_of(job, f"customer-{number % 2}")
    barrier, most, failures = Barrier(4), [0], []

    def work() -> None:
        try:
            slot = make_slot()
            barrier.wait()
            for _ in range(30):
                for claimed in claim(slot, limit=3):
                    busy = Run.objects.filter(status="running").values_list("concurrency_key", flat=True)
                    most[0] = max(most[0], *(list(busy).count(key) for key in set(busy)))
                    ended(claimed)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holding.release_left_over()
    work_left = make_slot()
    while left := claim(work_left, limit=5):
        lifecycle.settle([(claimed, SUCCEEDED) for claimed in left])
        holding.release_left_over()
    assert not failures
    assert most[0] <= 2
    assert not Run.objects.exclude(status="succeeded").exists()


@pytest.mark.django_db
@settings(max_examples=8, deadline=None)
@given(
    customers=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=12),
    limit=st.integers(1, 3),
    wanted=st.integers(1, 6),
)
def test_every_run_starts_once_and_no_key_is_ever_overdrawn(
    customers: list[str | None], limit: int, wanted: int
) -> None:
    with transaction.atomic():
        job, slot = keyed(max_concurrent_per_key=limit), make_slot()
        runs = {make_run(job, parameters={"customer": name} if name else {}).pk for name in customers}
        seen: list[int] = []
        while claimed := claim(slot, limit=wanted):
            keys = [
                key
                for key in Run.objects.filter(job=job, status="running").values_list(
                    "concurrency_key", flat=True
                )
                if key
            ]
            assert all(keys.count(key) <= limit for key in keys)
            seen += [each.id for each in claimed]
            lifecycle.settle([(each, SUCCEEDED) for each in claimed])
        assert sorted(seen) == sorted(runs)
        transaction.set_rollback(True)


# Rates of starts


@pytest.mark.django_db
def test_a_job_starts_only_so_often_and_says_when_the_next_start_is_possible() -> None:
    job, slot = make_job(max_starts=2, starts_window_seconds=60), make_slot()
    runs = [make_run(job) for _ in range(3)]
    other = make_run()
    assert [claim_one(slot).id, claim_one(slot).id] == [runs[0].pk, runs[1].pk]
    assert claim_one(slot).id == other.pk
    first = JobStart.objects.filter(job=job).order_by("at").first()
    assert first is not None
    found = reason(runs[2])
    assert found.code == "job_rate"
    assert found.sentence == (
        "The job starts at most 2 runs in 60 seconds; the next start is possible "
        f"{first.at + timedelta(seconds=60):%Y-%m-%d %H:%M:%S} UTC."
    )


@pytest.mark.django_db
def test_a_start_counts_for_exactly_the_window() -> None:
    job, slot = make_job(max_starts=2, starts_window_seconds=60), make_slot()
    for _ in range(4):
        make_run(job)
    assert len(claim(slot, limit=4)) == 2
    JobStart.objects.filter(job=job).update(at=timezone.now() - timedelta(seconds=59))
    assert claim(slot, limit=4) == []
    newest = JobStart.objects.filter(job=job).latest("pk")
    JobStart.objects.exclude(pk=newest.pk).update(at=timezone.now() - timedelta(seconds=61))
    assert len(claim(slot, limit=4)) == 1
    assert JobStart.objects.filter(job=job).count() == 2


# Circuit breakers


def guarded(**fields: object) -> Job:
    given: dict[str, object] = {"circuit_failure_rate": 0.5, "circuit_min_calls": 4, **fields}
    return make_job(**given)


def opened(job: Job) -> Circuit:
    """The job's circuit breaker, opened by its runs."""
    slot = make_slot()
    for _ in range(job.circuit_min_calls):
        make_run(job)
        ended(claim_one(slot), FAILED)
    return Circuit.objects.get(target=f"job:{job.slug}")


def cooled_down(circuit: Circuit) -> None:
    Circuit.objects.filter(pk=circuit.pk).update(open_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_a_job_without_a_breaker_counts_nothing() -> None:
    slot = make_slot()
    make_run()
    ended(claim_one(slot), FAILED)
    assert not Circuit.objects.exists()


@pytest.mark.django_db
def test_a_breaker_opens_at_its_rate_and_not_before_enough_calls() -> None:
    job, slot = guarded(), make_slot()
    for outcome in (FAILED, FAILED, SUCCEEDED):
        make_run(job)
        ended(claim_one(slot), outcome)
    circuit = Circuit.objects.get()
    assert (circuit.target, circuit.calls, circuit.failures) == (f"job:{job.slug}", 3, 2)
    assert circuit.opened_at is None
    make_run(job)
    ended(claim_one(slot), SUCCEEDED)
    circuit.refresh_from_db()
    assert circuit.opened_at is not None
    run = make_run(job)
    assert claim(slot) == []
    assert reason(run).code == "circuit_open"
    assert f"The circuit breaker job:{job.slug} is open since" in reason(run).sentence
    event = CircuitEvent.objects.get()
    assert (event.kind, event.detail) == ("opened", "2 of 4 attempts failed.")


@pytest.mark.django_db
def test_cancelled_and_broken_attempts_say_nothing() -> None:
    job, slot = guarded(), make_slot()
    for outcome in (
        Cancelled(),
        Failed(reason="broken", type="X", message="", traceback="", retryable=False),
    ):
        make_run(job)
        ended(claim_one(slot), outcome)
    assert not Circuit.objects.exists()


@pytest.mark.django_db
def test_after_the_cool_down_one_probe_decides() -> None:
    job = guarded()
    circuit = opened(job)
    first, second = make_run(job), make_run(job)
    slot = make_slot()
    assert claim(slot, limit=2) == []
    cooled_down(circuit)
    probe = claim_one(slot)
    assert probe.id == first.pk
    assert claim(slot) == []
    assert reason(second) == Reason(
        "circuit_probing",
        f"The circuit breaker job:{job.slug} is half open: its probe #{first.pk} decides whether more may start.",
    )
    ended(probe, FAILED)
    assert reason(second).code == "circuit_open"
    cooled_down(circuit)
    probe = claim_one(slot)
    ended(probe, SUCCEEDED)
    circuit.refresh_from_db()
    assert (circuit.opened_at, circuit.calls, circuit.failures) == (None, 0, 0)
    kinds = list(circuit.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["opened", "reopened", "closed"]


@pytest.mark.django_db
def test_a_probe_that_is_lost_makes_room_for_another() -> None:
    job = guarded()
    circuit = opened(job)
    make_run(job)
    make_run(job)
    cooled_down(circuit)
    slot = make_slot()
    probe = claim_one(slot)
    lifecycle.give_back([(probe.id, probe.token)])
    assert claim_one(slot).id == probe.id


@pytest.mark.django_db
def test_a_run_that_began_before_the_opening_does_not_close_it() -> None:
    job, slot = guarded(), make_slot()
    make_run(job)
    straggler = claim_one(slot)
    circuit = opened(job)
    ended(straggler, SUCCEEDED)
    circuit.refresh_from_db()
    assert circuit.opened_at is not None


@pytest.mark.django_db
def test_jobs_that_call_the_same_host_share_a_breaker_if_they_say_so() -> None:
    shared = {"executor": "http", "circuit_per_host": True}
    first = guarded(**shared, configuration={"url": "https://API.example:8443/one?x={y}"})
    second = guarded(**shared, configuration={"url": "http://user@api.example/two"})
    alone = guarded(executor="http", configuration={"url": "https://api.example/three"})
    targets = [Job.objects.get(pk=job.pk).circuit_target for job in (first, second, alone)]
    assert targets == ["host:api.example", "host:api.example", f"job:{alone.slug}"]


@pytest.mark.django_db
def test_a_breaker_is_reset_by_hand_and_says_by_whom() -> None:
    job = guarded()
    circuit = opened(job)
    make_run(job)
    assert circuits.reset(circuit, by="ada")
    assert not circuits.reset(circuit, by="ada")
    assert circuit.events.latest("pk").actor == "ada"
    claim_one(make_slot())


@pytest.mark.django_db
def test_counting_begins_anew_when_the_window_is_over() -> None:
    job, slot = guarded(), make_slot()
    for _ in range(3):
        make_run(job)
        ended(claim_one(slot), FAILED)
    Circuit.objects.update(window_started_at=timezone.now() - timedelta(seconds=61))
    make_run(job)
    ended(claim_one(slot), FAILED)
    circuit = Circuit.objects.get()
    assert (circuit.calls, circuit.failures, circuit.opened_at) == (1, 1, None)


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks "
            "WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


def test_a_probe_has_ended_for_others_only_when_the_breaker_counted_it(own_database: str) -> None:
    circuit = opened(guarded())
    run = make_run(Job.objects.get())
    cooled_down(circuit)
    probe = claim_one(make_slot())

    def settle() -> None:
        try:
            ended(probe)
        finally:
            connection.close()

    settling = Thread(target=settle)
    with transaction.atomic():
        Circuit.objects.select_for_update().get()
        settling.start()
        until = time.monotonic() + SECONDS
        while not somebody_waits_for_us():
            assert time.monotonic() < until
            time.sleep(0.01)
        run.refresh_from_db()
        assert run.status == "running", "another one could be let through, and what this one shows is lost"
    settling.join()
    run.refresh_from_db()
    circuit.refresh_from_db()
    assert (run.status, circuit.opened_at) == ("succeeded", None)

"""runs.execution: what a slot does with a hint, in this process."""

import time
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from jobs import registry
from jobs.executors import JobContext
from jobs.models import Job
from jobs.registry import job
from runs import execution, lifecycle, workers
from runs.claims import Claim, Wish
from runs.models import Run
from runs.status import Status
from tests.factories import make_job, make_run, make_slot
from tests.site import SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def leave_a_transaction_open(context: JobContext) -> str:
    """Begins a transaction, never ends it, and breaks it."""
    context.log("before")
    transaction.atomic().__enter__()
    connection.cursor().execute("SELECT 1")
    return "left open"


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> workers.Slot:
    process = make_slot()
    slot = workers.Slot(process_id=process.pk, name="worker@test:1")
    monkeypatch.setattr(workers, "_slot", slot)
    return slot


def drain(lane: str) -> int:
    """Drains the lane in one go, however slow the machine is."""
    return execution.drain(lane, seconds=SECONDS)


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(registry, "_definitions", dict(registry.definitions()))
    job("careless")(leave_a_transaction_open)
    return make_job(slug="careless", executor="python", configuration={})


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(registry, "_definitions", dict(registry.definitions()))
    job("slow")(lambda context: time.sleep(0.06))
    return make_job(slug="slow", executor="python", configuration={})


def test_a_hint_carries_out_all_that_is_queued_in_the_lane(slot: workers.Slot) -> None:
    runs = [make_run(priority=1) for _ in range(2)]
    other = make_run(priority=50)
    assert drain("high") == 2
    assert {Run.objects.get(pk=run.pk).status for run in runs} == {Status.SUCCEEDED}
    assert Run.objects.get(pk=other.pk).status == Status.QUEUED


def test_a_hint_for_an_empty_lane_does_nothing(slot: workers.Slot) -> None:
    assert drain("high") == 0


def test_bulk_runs_are_carried_out_in_growing_chunks_each_with_its_own_times(slot: workers.Slot) -> None:
    noop = Job.objects.create(slug="noop", name="No operation", executor="python")
    runs = [make_run(noop, priority=100) for _ in range(60)]
    assert drain("bulk") == 60
    done = Run.objects.filter(pk__in=[run.pk for run in runs])
    assert set(done.values_list("status", "attempt")) == {(Status.SUCCEEDED, 1)}
    assert all(run.wait is not None and run.duration is not None for run in done)


def test_of_a_job_that_is_slower_than_all_a_slot_knew_the_rest_goes_back_without_a_trace(
    slot: workers.Slot, slow: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = execution.Pace()
    pace.note(0, 0.0001)
    monkeypatch.setattr(execution, "_pace", pace)
    runs = [make_run(slow, priority=100).pk for _ in range(12)]
    done = execution.drain("bulk", seconds=0)
    assert 1 <= done <= 4
    told = Run.objects.filter(pk__in=runs).order_by("pk").values_list("status", "attempt", "attempts")
    assert [row[:2] for row in told] == [(Status.SUCCEEDED, 1)] * done + [(Status.QUEUED, 0)] * (12 - done)
    assert all(attempts == [] for *_, attempts in told)
    assert pace.fits_any(execution.SLICE_SECONDS) == 1


def test_a_transaction_that_job_code_left_open_harms_nobody(slot: workers.Slot, careless: Job) -> None:
    first = make_run(careless)
    second = make_run()
    drain("high")
    for run in (first, second):
        run.refresh_from_db()
        assert run.status == Status.SUCCEEDED


def test_an_unknown_executor_is_a_broken_job(slot: workers.Slot) -> None:
    run = make_run()
    run.job.executor = "gone"
    run.job.save(update_fields=["executor"])
    drain("high")
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (Status.FAILED, "broken")


def test_a_claim_that_may_have_held_is_not_carried_out_and_goes_back(
    slot: workers.Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    real = lifecycle.claim

    def claimed_but_not_heard(wish: Wish) -> list[Claim]:
        real(wish)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(lifecycle, "claim", claimed_but_not_heard)
    assert drain("high") == 0
    lifecycle.rescue()
    run.refresh_from_db()
    assert run.status == Status.QUEUED


def test_a_run_is_settled_once_if_nobody_heard_of_its_settlement_and_the_next_claim(
    slot: workers.Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_run(), make_run()
    real = lifecycle.settle_and_claim

    def done_but_not_heard(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(lifecycle, "settle_and_claim", done_but_not_heard)
    assert drain("high") == 1
    lifecycle.rescue()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.lost_attempts) == (Status.SUCCEEDED, 0)
    assert (second.status, second.lost_attempts) == (Status.QUEUED, 1)


def test_a_run_is_settled_if_nothing_can_be_claimed_with_it(
    slot: workers.Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()

    def refused(*arguments: Any, **named: Any) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(lifecycle, "settle_and_claim", refused)
    assert drain("high") == 1
    lifecycle.rescue()
    run.refresh_from_db()
    assert (run.status, run.lost_attempts) == (Status.SUCCEEDED, 0)

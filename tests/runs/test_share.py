"""Bulk's share of slots that serve it and other lanes, and workers that drain."""

import pytest
from pytest_django import Settings

from runs import dispatch, draining, execution, workers
from runs.models import Run, Worker
from runs.share import Share
from runs.status import Status
from runs.why import why
from tests.factories import claim, make_job, make_run, make_slot


def test_a_slot_owes_bulk_its_share_of_the_time_and_pays_it_by_working_for_it(settings: Settings) -> None:
    settings.BULK_SHARE = 0.2
    share = Share()
    share.note("high", 3)
    share.note("default", 1)
    assert share.owed() == pytest.approx(1)
    share.note("bulk", 0.4)
    assert share.owed() == pytest.approx(0.6)
    share.note("bulk", 5)
    assert share.owed() == 0
    share.note("high", 8)
    share.forget()
    assert share.owed() == 0


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> workers.Slot:
    """This process as a slot that serves every lane, and gives bulk as much time as others."""
    settings.BULK_SHARE = 0.5
    monkeypatch.setattr(execution, "SLICE_SECONDS", 0.0001)
    monkeypatch.setattr(execution, "_share", Share())
    slot = workers.Slot(process_id=make_slot().pk, name="worker@test:1")
    monkeypatch.setattr(workers, "_slot", slot)
    monkeypatch.setattr(workers, "lanes", ("high", "default", "bulk"))
    return slot


@pytest.mark.django_db(transaction=True)
def test_a_slot_of_all_lanes_carries_out_bulk_though_only_high_has_hints(mixed: workers.Slot) -> None:
    urgent, bulk = make_run(priority=1), make_run(priority=100)
    execution.serve("high")
    statuses = [Run.objects.get(pk=run.pk).status for run in (urgent, bulk)]
    assert statuses == [Status.SUCCEEDED, Status.SUCCEEDED]


@pytest.mark.django_db(transaction=True)
def test_without_a_share_bulk_waits_for_hints_of_its_own(mixed: workers.Slot, settings: Settings) -> None:
    settings.BULK_SHARE = 0
    make_run(priority=1)
    bulk = make_run(priority=100)
    execution.serve("high")
    assert Run.objects.get(pk=bulk.pk).status == Status.QUEUED


@pytest.mark.django_db
def test_a_draining_worker_claims_nothing_until_that_is_taken_back() -> None:
    slot, run = make_slot(lanes=("high",)), make_run()
    assert draining.drain(slot.worker, by="ada")
    assert not draining.drain(slot.worker, by="eve")
    assert claim(slot) == []
    reason = why(run)
    assert reason is not None
    assert reason.code == "no_worker"
    assert Worker.objects.get(pk=slot.worker_id).drained_by == "ada"
    assert draining.take_back(slot.worker, by="ada")
    assert not draining.take_back(slot.worker, by="ada")
    assert [claimed.id for claimed in claim(slot)] == [run.pk]


@pytest.mark.django_db
def test_what_a_draining_worker_carries_goes_on() -> None:
    slot, job = make_slot(), make_job()
    make_run(job)
    (claimed,) = claim(slot)
    draining.drain(slot.worker, by="ada")
    assert workers.renew(slot.worker_id)
    assert (
        workers.announce(workers.Slot(process_id=slot.pk, name=""), token=claimed.token, run_ids=[claimed.id])
        == set()
    )


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_goes_on_draining() -> None:
    slot = make_slot()
    draining.drain(slot.worker, by="ada")
    anew = Worker.objects.get(pk=make_slot().worker_id)
    assert anew.pk != slot.worker_id
    assert (anew.draining_at is not None, anew.drained_by) == (True, "ada")


@pytest.mark.django_db(transaction=True)
def test_a_hint_that_a_draining_worker_was_given_goes_to_one_that_takes_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hints: list[str] = []
    monkeypatch.setattr(dispatch, "hint", hints.append)
    slot = make_slot(lanes=("high",))
    monkeypatch.setattr(workers, "_slot", workers.Slot(process_id=slot.pk, name=""))
    make_run()
    draining.drain(slot.worker, by="ada")
    assert execution.drain("high") == 0
    assert hints == []  # nobody else could take it
    monkeypatch.setattr(workers, "node", "9a1c2f64-0000-4000-8000-000000000000")
    other = make_slot(lanes=("high",))
    workers.set_ready(other.worker_id)
    assert execution.drain("high") == 0
    assert hints == ["high"]

"""runs.dedup: what becomes of a launch that meets an open run of its dedup key, in each mode."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import causes, launch, lifecycle, orders, tending, why
from runs.models import Run, RunEvent, TriggerKind
from runs.orders import Order
from runs.status import Status
from tests.factories import claim, claim_one, make_job, make_run, make_schedule, make_slot

ERROR = Failed(reason="error", type="ValueError", message="no", traceback="")


def make(mode: str, **fields: object) -> Job:
    schema = {"properties": {"city": {"type": "string"}}}
    defaults = {"city": "Rome"}
    return make_job(schema=schema, dedup_key_template="{city}", dedup_mode=mode, defaults=defaults, **fields)


def launched(job: Job) -> launch.Launched:
    return launch.launch(job, cause=causes.manual())


def statuses(job: Job) -> dict[int, str]:
    return dict(Run.objects.filter(job=job).order_by("pk").values_list("pk", "status"))


@pytest.mark.django_db
def test_a_run_that_was_not_started_is_replaced_by_the_newest() -> None:
    job = make("replace_queued")
    first, second = launched(job), launched(job)
    assert (first.created, second.created) == (True, True)
    assert statuses(job) == {first.run.pk: "cancelled", second.run.pk: "queued"}
    assert Run.objects.get(pk=first.run.pk).cancelled_by == "a later launch"
    assert RunEvent.objects.filter(run=first.run, kind="replaced").exists()


@pytest.mark.django_db
def test_a_run_that_was_started_is_not_replaced_but_is_the_answer() -> None:
    job = make("replace_queued", max_attempts=2, retry_first_delay_seconds=60, retry_longest_delay_seconds=60)
    first = launched(job).run
    running = claim_one(make_slot())
    assert launched(job).run.pk == first.pk
    lifecycle.settle([(running, ERROR)])
    assert Run.objects.get(pk=first.pk).status == Status.SCHEDULED, "it waits for its second try"
    again = launched(job)
    assert (again.run.pk, again.created) == (first.pk, False)


@pytest.mark.django_db
def test_the_last_waits_for_the_one_that_was_started_and_then_starts() -> None:
    job = make("keep_last")
    slot = make_slot()
    first = launched(job).run
    assert first.status == Status.QUEUED
    running = claim_one(slot)
    second, third = launched(job).run, launched(job).run
    assert statuses(job) == {first.pk: "running", second.pk: "cancelled", third.pk: "scheduled"}
    assert lifecycle.enqueue() == []
    reason = why.why(Run.objects.get(pk=third.pk))
    assert reason is not None
    assert (reason.code, reason.sentence) == (
        "dedup_started",
        f"It waits for #{first.pk}, which has the same dedup key, to end.",
    )
    lifecycle.settle([(running, Succeeded())])
    lifecycle.enqueue()
    assert claim_one(slot).id == third.pk


@pytest.mark.django_db
def test_one_that_was_started_may_come_back_while_the_last_waits() -> None:
    job = make("keep_last", max_attempts=2)
    slot = make_slot()
    first = launched(job).run
    held = claim_one(slot)
    second = launched(job).run
    lifecycle.give_back([(held.id, held.token)])
    assert statuses(job) == {first.pk: "queued", second.pk: "scheduled"}
    lifecycle.settle([(claim_one(slot), ERROR)])
    lifecycle.enqueue()
    assert statuses(job) == {first.pk: "queued", second.pk: "scheduled"}
    lifecycle.settle([(claim_one(slot), Succeeded())])
    lifecycle.enqueue()
    assert statuses(job) == {first.pk: "succeeded", second.pk: "queued"}


@pytest.mark.django_db
def test_a_schedule_follows_the_mode_of_its_job() -> None:
    job = make("keep_last")
    schedule = make_schedule(job, overlap="allow")
    running = make_run(job)
    claim_one(make_slot())
    for slot in (1, 2):
        at = timezone.now() - timedelta(seconds=slot)
        cause = launch.Cause(kind=TriggerKind.SCHEDULE, sentence="nightly", trigger=schedule, slot=at)
        launch.launch_or_skip(job, cause=cause)
    assert list(statuses(job).values()) == ["running", "cancelled", "scheduled"]
    assert running.pk in statuses(job)


@pytest.mark.django_db
def test_a_recipient_whose_key_has_an_open_run_is_skipped_in_every_mode() -> None:
    job = make("keep_last")
    make_run(job)
    order = Order(job=job, name="spring")
    campaign = orders.order(
        order, [(1, {"key": "a"}), (2, {"key": "b", "parameters": {"city": "Oslo"}})]
    ).campaign
    tending.at_once(campaign)
    found = dict(Run.objects.filter(campaign=campaign).values_list("target", "status"))
    assert found == {"a": "skipped", "b": "queued"}


@pytest.mark.django_db(transaction=True)
def test_launches_and_claims_that_race_keep_one_waiting_and_one_started() -> None:
    job = make("keep_last")
    slot = make_slot()
    barrier, faults = threading.Barrier(5), []

    def launching() -> None:
        for _ in range(6):
            launched(job)

    def working() -> None:
        for _ in range(20):
            lifecycle.settle([(one, Succeeded()) for one in claim(slot, limit=3)])
            lifecycle.enqueue()

    def race(work: object) -> None:
        try:
            barrier.wait()
            work()  # type: ignore[operator]
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=[work]) for work in (launching,) * 3 + (working,) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    working()
    assert faults == []
    counts = Counter(statuses(job).values())
    assert counts.keys() <= {"cancelled", "succeeded"}
    assert counts.total() == 18
    assert Run.objects.latest("pk").status == Status.SUCCEEDED, "the last one is never lost"

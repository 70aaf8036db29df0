"""runs.launch: who may start what, with which parameters and priority, and what is written down of it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.executors import Succeeded
from jobs.parameters import InvalidParameters
from runs import causes, launch, lifecycle
from runs.models import Run, RunLabel, TriggerKind, run_id
from runs.status import Status
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot, make_user
from triggers import keys
from triggers.models import Trigger

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "count": {"type": "integer"},
        "password": {"type": "string", "writeOnly": True},
    },
}


def test_a_launch_makes_a_queued_run_that_says_who_started_it() -> None:
    ada = make_user(username="ada")
    launched = launch.launch(make_job(), cause=causes.manual(user=ada))
    run = Run.objects.get(pk=launched.run.pk)
    assert launched.created
    assert (run.status, run.trigger_kind, run.priority, run.lane) == (Status.QUEUED, "manual", 1, "high")
    assert run.cause == "Started by hand by ada"
    assert run.created_by == ada


def test_a_remote_launch_names_the_key_and_counts_it() -> None:
    job = make_job()
    key, _ = keys.issue(name="ci", owner=make_user(), scopes=["run"])
    cause = causes.remote(trigger=job.triggers.get(kind="remote"), api_key=key)
    run = launch.launch(job, cause=cause).run
    key.refresh_from_db()
    assert run.cause == f"Started from outside by API key ci (hw_{key.public_id})"
    assert (run.trigger_kind, key.launches) == ("remote", 1)


def test_the_cause_outlives_the_key_and_the_person() -> None:
    job = make_job()
    owner = make_user()
    key, _ = keys.issue(name="ci", owner=owner, scopes=["run"])
    run = launch.launch(job, cause=causes.remote(trigger=job.triggers.get(), api_key=key)).run
    owner.delete()
    run.refresh_from_db()
    assert run.api_key is None
    assert f"hw_{key.public_id}" in run.cause


def test_parameters_are_merged_request_over_trigger_over_defaults() -> None:
    job = make_job(schema=SCHEMA, defaults={"city": "Rome", "count": 1})
    trigger = make_schedule(job, parameters={"city": "Oslo", "count": 2})
    cause = launch.Cause(kind=TriggerKind.SCHEDULE, sentence="x", trigger=trigger)
    run = launch.launch(job, cause=cause, request=launch.Request(parameters={"count": 3})).run
    assert run.parameters == {"city": "Oslo", "count": 3}


@pytest.mark.parametrize("parameters", [{"count": "many"}, {"unknown": 1}])
def test_parameters_that_do_not_fit_make_no_run(parameters: dict[str, object]) -> None:
    job = make_job(schema=SCHEMA)
    with pytest.raises(InvalidParameters):
        make_run(job, parameters=parameters)
    assert not Run.objects.exists()


def test_secret_parameters_are_no_search_words() -> None:
    run = make_run(make_job(schema=SCHEMA), parameters={"city": "Rome", "password": "hunter22"})
    assert RunLabel.objects.filter(run=run, kind="parameter", key="city", value="Rome").exists()
    assert not RunLabel.objects.filter(value__contains="hunter22").exists()


@pytest.mark.parametrize(
    ("asked", "of_trigger", "of_job", "expected"),
    [(7, 20, 30, 7), (None, 20, 30, 20), (None, None, 30, 30), (None, None, None, 50)],
)
def test_the_first_given_priority_wins(
    asked: int | None, of_trigger: int | None, of_job: int | None, expected: int
) -> None:
    job = make_job(priority=of_job)
    trigger = make_schedule(job, priority=of_trigger)
    cause = launch.Cause(kind=TriggerKind.SCHEDULE, sentence="x", trigger=trigger)
    run = launch.launch(job, cause=cause, request=launch.Request(priority=asked)).run
    assert run.priority == expected


def test_what_a_bulk_run_causes_stays_in_bulk() -> None:
    parent = make_run(priority=100)
    parent.refresh_from_db()
    cause = launch.Cause(kind=TriggerKind.DEPENDENCY, sentence="x", parent=parent)
    run = launch.launch(make_job(priority=1), cause=cause).run
    assert (run.priority, run.root_id) == (100, parent.pk)


def test_a_paused_job_refuses_with_the_reason_and_until_when() -> None:
    until = timezone.now() + timedelta(hours=1)
    job = make_job(status="paused", paused_by="ada", paused_reason="maintenance", paused_until=until)
    with pytest.raises(launch.JobPaused, match=r"paused by ada until .*: maintenance") as caught:
        make_run(job)
    assert caught.value.extra["paused_until"] == until


def test_a_pause_ends_by_itself() -> None:
    job = make_job(status="paused", paused_until=timezone.now() - timedelta(seconds=1))
    assert make_run(job).status == Status.QUEUED


def test_an_inactive_and_a_broken_job_refuse() -> None:
    with pytest.raises(launch.JobInactive):
        make_run(make_job(status="inactive"))
    with pytest.raises(launch.JobBroken, match="its function is gone"):
        make_run(make_job(broken_reason="its function is gone"))


def test_a_disabled_trigger_refuses() -> None:
    job = make_job()
    Trigger.objects.filter(job=job).update(enabled=False)
    with pytest.raises(launch.TriggerDisabled):
        launch.launch(job, cause=causes.remote(trigger=job.triggers.get()))


def test_a_run_for_later_is_scheduled() -> None:
    later = timezone.now() + timedelta(hours=1)
    run = make_run(run_at=later)
    assert (run.status, run.due_at, run.run_at, run.queued_at) == (Status.SCHEDULED, later, later, None)


def test_a_dedup_key_allows_one_open_run() -> None:
    job = make_job(dedup_key_template="{city}", schema=SCHEMA)
    first = make_run(job, parameters={"city": "Rome"})
    again = launch.launch(job, cause=causes.manual(), request=launch.Request(parameters={"city": "Rome"}))
    other = make_run(job, parameters={"city": "Oslo"})
    assert (again.run.pk, again.created) == (first.pk, False)
    assert other.pk != first.pk
    lifecycle.settle([(claim_one(make_slot()), Succeeded())])
    assert make_run(job, parameters={"city": "Rome"}).pk != first.pk


def test_a_retry_is_a_new_manual_run_with_the_same_parameters() -> None:
    job = make_job(schema=SCHEMA)
    run = make_run(job, parameters={"city": "Rome"}, priority=77, tags=["a"])
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    run.refresh_from_db()
    again = launch.retry(run, cause=causes.retry(run)).run
    assert (again.trigger_kind, again.retry_of_id, again.slot) == ("manual", run.pk, None)
    assert (again.parameters, again.priority, again.tags) == ({"city": "Rome"}, 77, ["a"])


def test_an_open_run_cannot_be_retried() -> None:
    run = make_run()
    with pytest.raises(launch.LaunchRefused, match="still queued"):
        launch.retry(run, cause=causes.retry(run))


def test_the_name_says_what_caused_the_run_and_leads_back_to_it() -> None:
    run = make_run()
    assert run.name.startswith(f"triggered_{run.job.slug}_")
    assert run_id(run.name) == run.pk
    assert Run.objects.named(run.name).get() == run
    assert Run.objects.named(str(run.pk)).get() == run
    assert not Run.objects.named(run.name.replace("triggered", "scheduled")).exists()
    for nonsense in ("", "x", "_", "9" * 40, "a_\u0661", "a_zzzzzzzzzzzzzzzzzz"):
        assert not Run.objects.named(nonsense).exists()


@pytest.mark.django_db(transaction=True)
def test_launches_that_race_for_a_dedup_key_make_one_run() -> None:
    job = make_job(dedup_key_template="{city}", schema=SCHEMA)
    barrier = threading.Barrier(8)
    made: list[launch.Launched] = []

    def race() -> None:
        try:
            barrier.wait()
            request = launch.Request(parameters={"city": "Rome"})
            made.append(launch.launch(job, cause=causes.manual(), request=request))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({launched.run.pk for launched in made}) == 1
    assert [launched.created for launched in made].count(True) == 1


@pytest.mark.django_db(transaction=True)
def test_a_launch_that_is_rolled_back_leaves_nothing() -> None:
    job = make_job()

    def launch_and_fail() -> None:
        with transaction.atomic():
            make_run(job, tags=["a"])
            raise KeyError

    with pytest.raises(KeyError):
        launch_and_fail()
    assert not Run.objects.exists()
    assert not RunLabel.objects.exists()


def test_a_rerun_with_other_parameters_has_the_dedup_key_of_those() -> None:
    job = make_job(dedup_key_template="{city}", schema=SCHEMA)
    run = make_run(job, parameters={"city": "Rome"})
    named = make_run(job, parameters={"city": "Rome"}, dedup_key="mine")
    lifecycle.cancel(Run.objects.all(), by="ada")
    for ended, expected in ((run, "Oslo"), (named, "mine")):
        ended.refresh_from_db()
        cause = causes.retry(ended, changed=True)
        again = launch.retry(ended, cause=cause, parameters={"city": "Oslo"}).run
        assert again.dedup_key == expected
        assert again.cause.startswith(f"Re-run of #{ended.pk} with other parameters by")

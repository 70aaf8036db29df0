"""runs.deadlines: what is promised of runs, and whether it was kept."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.executors import Succeeded
from runs import deadlines, launch, lifecycle
from runs.models import Deadline, DeadlineKind, Run, TriggerKind
from tests.api.conftest import read
from tests.factories import claim_one, make_job, make_owner, make_run, make_schedule, make_slot

pytestmark = pytest.mark.django_db
LONG = timedelta(hours=1)


def overdue(run: Run, kind: DeadlineKind, *, by: timedelta = LONG) -> Deadline:
    """Makes the deadline of a run one that passed a while ago."""
    Deadline.objects.filter(run=run, kind=kind).update(due_at=timezone.now() - by)
    return Deadline.objects.get(run=run, kind=kind)


def test_a_job_that_promises_nothing_has_no_deadlines() -> None:
    make_run()
    assert not Deadline.objects.exists()


def test_deadlines_count_from_when_a_run_is_due() -> None:
    job = make_job(start_within_seconds=60, finish_within_seconds=600)
    now = make_run(job)
    assert {one.kind: one.due_at - now.created_at for one in now.deadlines.all()} == {
        "start": timedelta(seconds=60),
        "finish": timedelta(seconds=600),
    }
    later = make_run(job, run_at=timezone.now() + LONG)
    assert later.run_at is not None
    assert later.deadlines.get(kind="start").due_at == later.run_at + timedelta(seconds=60)


def test_a_schedules_promise_counts_from_the_slot_and_goes_before_the_jobs() -> None:
    schedule = make_schedule(
        make_job(start_within_seconds=60, finish_within_seconds=600), start_within_seconds=5
    )
    slot = datetime(2026, 3, 1, 2, tzinfo=UTC)
    cause = launch.Cause(kind=TriggerKind.SCHEDULE, sentence="At two.", trigger=schedule, slot=slot)
    run = launch.launch(schedule.job, cause=cause).run
    assert [one.due_at - slot for one in run.deadlines.order_by("due_at")] == [
        timedelta(seconds=5),
        timedelta(seconds=600),
    ]


def test_a_breach_is_recorded_once_and_is_an_event_of_the_run() -> None:
    run = make_run(make_job(start_within_seconds=60))
    assert deadlines.judge() == 0
    overdue(run, DeadlineKind.START)
    assert [deadlines.judge(), deadlines.judge()] == [1, 0]
    assert Deadline.objects.get().is_breached is True
    assert [event.kind for event in run.events.all()] == ["deadline_breached"]


def test_what_started_and_ended_in_time_kept_both() -> None:
    job = make_job(start_within_seconds=60, finish_within_seconds=60)
    make_run(job)
    claim = claim_one(make_slot())
    lifecycle.settle([(claim, Succeeded(result={}))])
    run = Run.objects.get()
    for kind in DeadlineKind:
        # Judged long after, as by a sweep that was down: what counts is when it happened.
        overdue(run, kind, by=timedelta())
    assert deadlines.judge() == 0
    assert set(Deadline.objects.values_list("is_breached", flat=True)) == {False}


def test_a_run_that_goes_on_for_too_long_breaches_its_end_and_not_its_start() -> None:
    run = make_run(make_job(start_within_seconds=60, finish_within_seconds=60))
    claim_one(make_slot())
    overdue(run, DeadlineKind.START, by=timedelta())
    overdue(run, DeadlineKind.FINISH)
    assert deadlines.judge() == 1
    assert Deadline.objects.get(is_breached=True).kind == "finish"


def test_what_was_cancelled_in_time_breaches_nothing() -> None:
    run = make_run(make_job(start_within_seconds=60, finish_within_seconds=60))
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    for kind in DeadlineKind:
        overdue(run, kind, by=timedelta())
    assert deadlines.judge() == 0


def test_a_breach_is_shown_on_the_pages_and_in_the_api(client: Client) -> None:
    client.force_login(make_owner())
    job = make_job(start_within_seconds=60)
    run = make_run(job)
    due = overdue(run, DeadlineKind.START)
    assert "to come" in client.get(f"/runs/{run.pk}/").content.decode()
    deadlines.judge()
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "must start by" in page
    assert "<strong>breached</strong>" in page
    page = client.get(f"/jobs/{job.slug}/").content.decode()
    assert "Deadlines that were breached" in page
    assert "within 1 min" in page
    (found,) = read(client.get(f"/api/runs/{run.pk}"))["deadlines"]
    assert (found["kind"], found["breached"]) == ("start", True)
    assert datetime.fromisoformat(found["due_at"]) == due.due_at
    assert read(client.get("/api/runs"))["results"][0]["deadlines"] == [found]

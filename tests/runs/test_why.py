"""runs.why: each reason for not running is produced for real and worded."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.executors import Failed, Waiting
from jobs.models import Job
from runs import lifecycle
from runs.models import Lane, Run
from runs.why import Reason, why
from tests.factories import claim_one, make_job, make_run, make_slot

pytestmark = pytest.mark.django_db


def reason(run: Run) -> Reason:
    run.refresh_from_db()
    found = why(run)
    assert found is not None
    return found


def test_without_a_worker_it_says_so() -> None:
    assert reason(make_run()) == Reason("no_worker", "No worker is alive on the lane high.")


def test_a_run_for_later_says_when() -> None:
    run = make_run(run_at=timezone.now() + timedelta(hours=1))
    assert reason(run).code == "not_due"


def test_between_two_attempts_it_says_when_the_next_is_due() -> None:
    run = make_run(make_job(max_attempts=3))
    failed = Failed(reason="error", type="X", message="", traceback="")
    lifecycle.settle([(claim_one(make_slot()), failed)])
    assert reason(run).code == "retry_delay"
    assert "Attempt 1 of 3 failed" in reason(run).sentence


def test_a_waiting_run_names_its_next_step() -> None:
    run = make_run()
    waiting = Waiting(resume_at=timezone.now() + timedelta(hours=1), next_step="second message", state={})
    lifecycle.settle([(claim_one(make_slot()), waiting)])
    assert "second message" in reason(run).sentence


def test_a_paused_job_is_named_with_who_why_and_until() -> None:
    run = make_run()
    make_slot()
    until = timezone.now() + timedelta(hours=1)
    Job.objects.filter(pk=run.job_id).update(
        status="paused", paused_by="ada", paused_reason="maintenance", paused_until=until
    )
    assert reason(run).code == "job_paused"
    assert f"by ada until {until:%Y-%m-%d %H:%M:%S} UTC (maintenance)" in reason(run).sentence


def test_a_paused_lane_is_named() -> None:
    run = make_run()
    Lane.objects.filter(name="high").update(paused_at=timezone.now(), paused_by="ada")
    assert reason(run) == Reason("lane_paused", "The lane high is paused by ada.")


def test_a_limit_names_who_holds_it() -> None:
    job = make_job(max_concurrent_runs=1)
    first, second = make_run(job), make_run(job)
    claim_one(make_slot())
    assert reason(second) == Reason(
        "job_limit", f"The job's limit of 1 run at a time is reached (by #{first.pk})."
    )


def test_an_inactive_job_will_have_its_runs_skipped() -> None:
    run = make_run()
    Job.objects.filter(pk=run.job_id).update(status="inactive")
    assert reason(run).code == "job_inactive"


def test_in_line_it_says_how_many_are_before_it() -> None:
    first, second = make_run(), make_run()
    make_slot()
    assert reason(first).code == "next"
    assert reason(second).sentence == "1 run is before it in the lane high."


def test_a_running_and_a_final_run_need_no_reason() -> None:
    run = make_run()
    claim_one(make_slot())
    run.refresh_from_db()
    assert why(run) is None

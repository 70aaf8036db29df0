"""Calls that a run makes: the new run belongs to its chain, and a loop through the API is stopped."""

import pytest
from pytest_django import Settings

from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot
from tests.runs.endings import ended_run

pytestmark = pytest.mark.django_db


def running() -> Run:
    run = make_run()
    claim_one(make_slot())
    return run


def test_a_run_that_calls_is_the_parent_of_what_it_launches(program: Program) -> None:
    run, schedule, ended = running(), make_schedule(), ended_run(make_job())
    for path in (
        f"/api/jobs/{make_job().slug}/trigger",
        f"/api/jobs/{make_job().slug}/run",
        f"/api/jobs/{schedule.job.slug}/triggers/{schedule.pk}/fire",
        f"/api/runs/{ended.pk}/retry",
    ):
        made = read(program.post(path, {}, **{"Headway-Run": str(run.pk)}), 202)
        assert (made["parent"], made["root"]) == (run.pk, run.pk)
        assert made["cause"].endswith(f", from within {run.job.slug} #{run.pk}")


def test_its_name_does_as_well_as_its_id(program: Program) -> None:
    run = running()
    made = read(program.post(f"/api/jobs/{make_job().slug}/run", {}, **{"Headway-Run": run.name}), 202)
    assert made["parent"] == run.pk


def test_a_run_that_is_not_running_or_not_to_be_seen_cannot_call(new_key: NewKey) -> None:
    run, job = make_run(), make_job()
    path = f"/api/jobs/{job.slug}/run"
    problem(new_key().post(path, {}, **{"Headway-Run": str(run.pk)}), 409, "refused")
    problem(new_key(jobs=(job,)).post(path, {}, **{"Headway-Run": str(run.pk)}), 404, "not_found")
    problem(new_key().post(path, {}, **{"Headway-Run": "yesterday"}), 404, "not_found")
    assert Run.objects.count() == 1


def test_a_loop_through_the_api_is_stopped(program: Program, settings: Settings) -> None:
    settings.HOP_LIMIT = 3
    job = make_job()
    caller = make_run(job)
    for _ in range(3):
        claim_one(make_slot())
        answer = program.post(f"/api/jobs/{job.slug}/run", {}, **{"Headway-Run": str(caller.pk)})
        caller = Run.objects.get(pk=read(answer, 202)["id"])
    claim_one(make_slot())
    answer = program.post(f"/api/jobs/{job.slug}/run", {}, **{"Headway-Run": str(caller.pk)})
    assert "this looks like a loop" in problem(answer, 409, "loop_stopped")["detail"]

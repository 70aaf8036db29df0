"""runs.bulk: one act on many runs, in the background, by page, API and admin."""

from typing import Any

import pytest
from django.test import Client

from jobs.models import Job
from runs import bulk, sweep
from runs.models import BulkOperation, BulkTarget, Run
from runs.status import Status
from tests.api.conftest import NewKey, Program, new_key, problem, program, read
from tests.factories import make_job, make_owner, make_run, make_slot, make_user
from tests.runs.endings import ended_run, settle_failed

__all__ = ["new_key", "program"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> Client:
    client = Client()
    client.force_login(make_owner(username="ada", is_staff=True))
    return client


def statuses(*runs: Run) -> list[str]:
    return [Run.objects.get(pk=run.pk).status for run in runs]


def test_what_was_chosen_is_cancelled_by_the_sweep_and_what_came_later_is_not() -> None:
    job, other = make_job(), make_run()
    runs = [make_run(job) for _ in range(3)]
    made = bulk.order(
        Run.objects.filter(job=job), act="cancel", words="job x", user=make_user(username="eve")
    )
    late = make_run(job)
    assert (made.total, made.state) == (3, "running")
    assert statuses(*runs) == [Status.QUEUED] * 3
    assert sweep.run(sweep.database_now())
    made.refresh_from_db()
    assert (made.looked_at, made.done, made.state) == (3, 3, "done")
    assert statuses(*runs, late, other) == [Status.CANCELLED] * 3 + [Status.QUEUED] * 2
    assert Run.objects.get(pk=runs[0].pk).cancelled_by == "eve"
    assert not BulkTarget.objects.exists()


def test_it_goes_on_portion_by_portion_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.PORTIONS, "priority", 2)
    monkeypatch.setattr(bulk, "SWEEP_SECONDS", 0.000001)
    job = make_job()
    runs = [make_run(job) for _ in range(5)]
    made = bulk.order(Run.objects.filter(job=job), act="priority", priority=70, words="", user=None)
    bulk._portion()
    made.refresh_from_db()
    assert (made.looked_at, made.done, made.state) == (2, 2, "running")
    assert bulk.stop(made, by="ada")
    assert not bulk.stop(made, by="ada")
    assert bulk.carry_on() == 0
    made.refresh_from_db()
    assert (made.state, made.stopped_by) == ("stopped", "ada")
    assert sorted(Run.objects.filter(pk__in=[run.pk for run in runs]).values_list("priority", flat=True)) == [
        *[1] * 3,
        *[70] * 2,
    ]


def test_a_run_that_can_t_be_retried_keeps_no_other_from_it() -> None:
    good, bad = make_job(), make_job()
    runs = [ended_run(job, settle_failed) for job in (good, bad, good)]
    Job.objects.filter(pk=bad.pk).update(status="paused")
    made = bulk.order(Run.objects.filter(pk__in=[run.pk for run in runs]), act="retry", words="", user=None)
    bulk.carry_on()
    made.refresh_from_db()
    assert (made.looked_at, made.done, made.state) == (3, 2, "done")
    assert made.refusal.startswith(f"#{runs[1].pk}: ")
    assert Run.objects.filter(retry_of__in=[runs[0].pk, runs[2].pk]).count() == 2


def test_nothing_and_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    ended_run(job)
    with pytest.raises(bulk.BulkRefused, match="There is no run to cancel among them"):
        bulk.order(Run.objects.filter(job=job), act="cancel", words="", user=None)
    monkeypatch.setattr(bulk, "MOST", 1)
    make_run(job), make_run(job)
    with pytest.raises(bulk.BulkRefused, match="more runs than 1:"):
        bulk.order(Run.objects.filter(job=job), act="cancel", words="", user=None)
    assert not BulkOperation.objects.exists()


def test_the_list_of_runs_orders_it_for_all_that_match(ada: Client) -> None:
    job = make_job(slug="report")
    runs, other = [make_run(job, priority=50) for _ in range(2)], make_run(priority=50)
    assert "Act on all that match" in ada.get("/runs/?job=report").content.decode()
    own = {"query": "?job=report", "act": "priority"}
    assert "is not a priority" in ada.post("/operations/new/", own, follow=True).content.decode()
    page = ada.post("/operations/new/", {**own, "priority": "5"}, follow=True).content.decode()
    assert "Change the priority to 5" in page
    assert "job report, last 24 hours" in page
    bulk.carry_on()
    assert "2 of 2" in ada.get("/operations/").content.decode()
    assert [Run.objects.get(pk=run.pk).lane for run in (*runs, other)] == ["high", "high", "default"]
    made = BulkOperation.objects.get()
    assert "had ended already" in ada.post(f"/operations/{made.pk}/stop/", follow=True).content.decode()
    assert (
        "There is no job"
        in ada.post("/operations/new/", {"query": "?job=x", "act": "cancel"}, follow=True).content.decode()
    )
    assert "no act on runs" in ada.post("/operations/new/", {"act": "delete"}, follow=True).content.decode()
    assert f">{made.pk}<" in ada.get("/admin/runs/bulkoperation/").content.decode()


def test_who_may_not_cancel_one_run_can_t_cancel_many(db: None) -> None:
    client = Client()
    client.force_login(make_user(username="reader"))
    assert client.post("/operations/new/", {"act": "cancel"}).status_code == 403


def test_the_api_orders_it_by_the_filters_of_the_list(program: Program, new_key: NewKey) -> None:
    job = make_job(slug="report")
    runs, other = [make_run(job) for _ in range(2)], make_run()
    body = {"filter": {"job": "report", "status": ["queued", "running"]}}
    told = read(program.post("/api/runs/cancel", body), 202)
    assert (told["act"], told["total"], told["filter"]) == (
        "cancel",
        2,
        "job = report, status = queued or running",
    )
    bulk.carry_on()
    told = read(program.get(f"/api/operations/{told['id']}"))
    assert (told["state"], told["done"]) == ("done", 2)
    assert statuses(*runs, other) == [Status.CANCELLED, Status.CANCELLED, Status.QUEUED]
    assert read(program.post("/api/runs/retry", {"filter": {"job": "report"}}), 202)["total"] == 2
    prior = {"filter": {"search": str(other.pk)}, "priority": "normal"}
    made = read(program.post("/api/runs/priority", prior), 202)
    assert read(program.post(f"/api/operations/{made['id']}/stop"))["state"] == "stopped"
    problem(program.post(f"/api/operations/{made['id']}/stop"), 409, "refused")
    assert len(read(program.get("/api/operations"))["results"]) == 3
    refused: list[dict[str, Any]] = [
        {},
        {"filter": {}},
        {"filter": {"colour": "red"}},
        {"filter": {"job": "x"}, "all": True},
    ]
    for wrong in refused:
        problem(program.post("/api/runs/cancel", wrong), 400, "invalid_body")
    problem(program.post("/api/runs/cancel", {"filter": {"job": "nobody"}}), 400, "invalid_query")
    problem(new_key(scopes=("read", "run")).post("/api/runs/cancel", body), 403, "permission_denied")
    bound = new_key(jobs=(job,))
    problem(bound.get(f"/api/operations/{made['id']}"), 404, "not_found")
    problem(bound.post("/api/runs/cancel", {"filter": {"search": str(other.pk)}}), 409, "refused")


def test_a_lane_is_purged_once_its_name_is_typed(ada: Client, program: Program) -> None:
    make_slot()
    waiting, other = make_run(priority=100), make_run()
    page = ada.post("/queues/bulk/purge/", {"confirm": "yes"}, follow=True).content.decode()
    assert "is not the lane" in page
    assert (
        "all that waits in the lane bulk"
        in ada.post("/queues/bulk/purge/", {"confirm": "bulk"}, follow=True).content.decode()
    )
    bulk.carry_on()
    assert statuses(waiting, other) == [Status.CANCELLED, Status.QUEUED]
    problem(program.post("/api/lanes/high/purge", {"confirm": "bulk"}), 409, "refused")
    assert read(program.post("/api/lanes/high/purge", {"confirm": "high"}), 202)["total"] == 1


def test_runs_are_named_one_by_one_over_the_api(program: Program) -> None:
    chosen, left = make_run(), make_run()
    told = read(program.post("/api/runs/cancel", {"runs": [chosen.pk, 123456789]}), 202)
    assert (told["total"], told["filter"]) == (1, f"#{chosen.pk}, #123456789")
    assert sweep.run(sweep.database_now())
    assert statuses(chosen, left) == [Status.CANCELLED, Status.QUEUED]


def test_either_a_filter_or_ids_choose_runs(program: Program) -> None:
    for body in ({}, {"runs": [1], "filter": {"status": "queued"}}):
        assert "either 'filter' or 'runs'" in str(
            problem(program.post("/api/runs/cancel", body), 400, "invalid_body")
        )

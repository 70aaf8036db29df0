"""Holding lanes and workers by the API."""

import pytest

from jobs import pausing
from runs import pinging
from runs.models import Lane, Worker
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim, make_job, make_run, make_slot


def test_a_lane_is_paused_with_a_reason_and_resumed(program: Program) -> None:
    slot, run = make_slot(), make_run()
    told = read(program.post("/api/lanes/high/pause", {"reason": "maintenance"}))
    assert (told["lane"], told["paused_reason"], "ci-bot" in told["paused_by"]) == (
        "high",
        "maintenance",
        True,
    )
    assert claim(slot) == []
    assert read(program.post("/api/lanes/high/resume"))["paused_at"] is None
    assert [claimed.id for claimed in claim(slot)] == [run.pk]


def test_a_worker_is_drained_and_takes_work_again(program: Program) -> None:
    slot = make_slot()
    address = f"/api/workers/{slot.worker_id}"
    told = read(program.post(f"{address}/drain"))
    assert told["draining_at"] is not None
    assert "ci-bot" in told["drained_by"]
    problem(program.post(f"{address}/drain"), 409, "refused")
    assert read(program.post(f"{address}/resume"))["draining_at"] is None
    problem(program.post(f"{address}/resume"), 409, "refused")


def test_what_is_no_lane_or_worker_is_said_so(program: Program) -> None:
    problem(program.post("/api/lanes/express/pause"), 404, "not_found")
    problem(program.post("/api/workers/99999999999999999999/drain"), 404, "not_found")
    problem(program.post("/api/lanes/high/pause", {"reason": "x" * 501}), 400, "invalid_body")
    assert Lane.objects.filter(paused_at__isnull=False).count() == 0


def test_a_key_without_the_scope_or_bound_to_some_jobs_holds_nothing(new_key: NewKey) -> None:
    slot = make_slot()
    for caller in (new_key(scopes=("read", "run", "cancel")), new_key(jobs=(make_job(),))):
        problem(caller.post("/api/lanes/high/pause"), 403, "permission_denied")
        problem(caller.post(f"/api/workers/{slot.worker_id}/drain"), 403, "permission_denied")
    assert Worker.objects.get(pk=slot.worker_id).draining_at is None


def test_a_worker_is_pinged(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = make_slot()
    monkeypatch.setattr(pinging.ping, "__kwdefaults__", {"patience": 0.01})
    address = f"/api/workers/{slot.worker_id}/ping"
    assert "did not answer" in problem(program.post(address), 409, "refused")["detail"]
    monkeypatch.undo()
    monkeypatch.setattr("runs.pinging.time.sleep", lambda _: pinging.answer(slot.worker_id))
    assert 0 <= read(program.post(address))["ping_seconds"] < 60
    problem(program.post("/api/workers/123456789/ping"), 404, "not_found")


def test_what_is_paused_is_told_of_the_jobs_that_the_key_may_see(program: Program, new_key: NewKey) -> None:
    mine, other = make_job(slug="mine"), make_job(slug="other")
    for job in (mine, other):
        pausing.pause(job, by="eve", reason="maintenance")
    told = read(program.get("/api/pauses"))["results"]
    assert {(each["kind"], each["id"], each["reason"]) for each in told} == {
        ("job", "mine", "maintenance"),
        ("job", "other", "maintenance"),
    }
    (only,) = read(new_key(jobs=(mine,)).get("/api/pauses"))["results"]
    assert only["id"] == "mine"


def test_the_broker_is_told_of_without_its_password(program: Program) -> None:
    told = read(program.get("/api/stats/broker"))
    assert told["error"] is None
    assert set(told["hints"]) == {"high", "default", "bulk"}
    assert told["ping_seconds"] > 0

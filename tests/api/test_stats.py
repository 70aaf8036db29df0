"""The numbers for programs: what /api/stats/… says is what happened, and of no job that a key may not see."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from jobs.executors import Failed, Succeeded
from runs import lanes, lifecycle, queues, retention, sweep, tallies
from runs.models import HourlyTally, Lane, Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim, claim_one, make_job, make_run, make_schedule, make_slot
from tests.runs.endings import ended_run, settle_failed

pytestmark = pytest.mark.django_db

ERROR = Failed(reason="error", type="ValueError", message="row 17 is empty", traceback="")


def test_a_run_tells_its_attempts_in_the_words_of_the_old_system(program: Program) -> None:
    job = make_job(slug="welcome-flow", max_attempts=3)
    run = make_run(job, target="25164691176450778", parameters={})
    Run.objects.filter(pk=run.pk).update(context={"page_id": 1876, "matched_keyword": "teste"})
    slot = make_slot()
    for outcome in (ERROR, Succeeded()):
        lifecycle.settle([(claim_one(slot), outcome)])
        lifecycle.enqueue()
    make_run(make_job())
    for path in (f"/api/stats/run/{run.pk}", f"/api/stats/trigger-run/{run.name}"):
        told = read(program.get(path))
        assert (told["trigger_run_id"], told["status"]) == (run.pk, "succeeded")
        assert (told["recipient_user_id"], told["page_id"]) == ("25164691176450778", 1876)
        assert (told["flow_id"], told["trigger_context"]["matched_keyword"]) == ("welcome-flow", "teste")
        assert told["stats"] == {
            "total_attempts": 2,
            "successful": 1,
            "failed": 1,
            "pending": 0,
            "success_rate": "50.00%",
        }
        assert told["error_breakdown"] == [{"type": "ValueError", "error": "row … is empty", "count": 1}]
        assert told["queue"] == {"waiting": 1, "active": 0, "delayed": 0}
        assert told["completed_at"] is not None


def test_a_run_that_did_not_start_has_one_try_to_come(program: Program) -> None:
    told = read(program.get(f"/api/stats/run/{make_run().pk}"))
    assert told["stats"] == {
        "total_attempts": 0,
        "successful": 0,
        "failed": 0,
        "pending": 1,
        "success_rate": "0.00%",
    }


def test_each_lane_tells_what_waits_goes_on_and_is_to_come(program: Program) -> None:
    slot = make_slot(lanes=("high", "default"))
    first = make_run()
    claim_one(slot)
    waiting = make_run()
    make_run(run_at=sweep.database_now() + timedelta(hours=1), priority=50)
    make_run(priority=100)
    lanes.pause(Lane.objects.get(pk="bulk"), by="ada", reason="maintenance")
    told = read(program.get("/api/stats/queue"))
    assert (told["waiting"], told["active"], told["delayed"]) == (2, 1, 1)
    high, default, bulk = told["lanes"]
    assert (high["lane"], high["waiting"], high["active"], high["delayed"]) == ("high", 1, 1, 0)
    assert waiting.queued_at is not None
    assert datetime.fromisoformat(high["waiting_since"]) == waiting.queued_at
    assert (default["delayed"], default["waiting_since"]) == (1, None)
    assert (bulk["waiting"], bulk["paused_by"], bulk["paused_reason"]) == (1, "ada", "maintenance")
    assert first.lane == "high"


def test_a_long_queue_is_estimated(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "COUNTED", 2)
    for _ in range(4):
        make_run()
    high = read(program.get("/api/stats/queue"))["lanes"][0]
    assert (high["waiting"], high["is_estimated"]) == (3, True)


def test_workers_tell_what_they_carry_and_hide_what_a_key_may_not_see(new_key: NewKey) -> None:
    slot = make_slot()
    type(slot.worker).objects.update(ready_at=sweep.database_now())
    shown = make_run()
    claim_one(slot)
    (worker,) = read(new_key().get("/api/stats/workers"))["workers"]
    assert (worker["name"], worker["busy"], worker["runs"]) == ("worker@test", 1, [shown.pk])
    (worker,) = read(new_key(jobs=(make_job(),)).get("/api/stats/workers"))["workers"]
    assert (worker["busy"], worker["runs"]) == (1, [])


def test_a_slot_with_a_chunk_is_one_busy_slot(program: Program) -> None:
    slot = make_slot()
    type(slot.worker).objects.update(ready_at=sweep.database_now())
    first, *_ = [make_run(priority=100) for _ in range(3)]
    assert len(claim(slot, lane="bulk", limit=3)) == 3
    (worker,) = read(program.get("/api/stats/workers"))["workers"]
    assert (worker["busy"], worker["runs"]) == (1, [first.pk])


def test_the_use_of_triggers_is_told_by_kind_by_trigger_and_by_the_hour(program: Program) -> None:
    trigger = make_schedule(make_job(slug="report"))
    ended_run(trigger.job)
    ended_run(trigger.job, settle_failed)
    sunday = datetime(2026, 11, 15, 22, tzinfo=UTC)
    HourlyTally.objects.create(
        hour=sunday,
        job_id=trigger.job_id,
        trigger_id=trigger.pk,
        trigger_kind="schedule",
        lane="default",
        status="succeeded",
        runs=8,
        timed=8,
        duration_seconds=16.0,
        wait_seconds=4.0,
    )
    days = (sweep.database_now() - sunday).days + 2
    path = "/api/stats/triggers"
    told = read(program.get(path, {"days": str(min(days, 90)), "timezone": "Europe/Berlin"}))
    kinds = {kind["kind"]: kind for kind in told["kinds"]}
    assert (kinds["manual"]["runs"], kinds["manual"]["success_rate"]) == (2, 0.5)
    schedule = kinds["schedule"]
    assert (schedule["runs"], schedule["success_rate"], schedule["average_duration_seconds"]) == (8, 1.0, 2.0)
    assert schedule["average_wait_seconds"] == 0.5
    most = told["triggers"][0]
    assert (most["trigger_id"], most["trigger_name"], most["job"]) == (trigger.pk, "nightly", "report")
    assert {"weekday": "Sun", "hour": 23, "runs": 8, "failed": 0} in told["timing"]
    assert told["total"]["runs"] == 10


def test_a_key_is_told_of_its_own_jobs_only(new_key: NewKey) -> None:
    mine, other = make_job(), make_job()
    ended_run(mine)
    ended_run(other)
    told = read(new_key(jobs=(mine,)).get("/api/stats/triggers"))
    assert [use["job"] for use in told["triggers"]] == [mine.slug]
    assert told["total"]["runs"] == 1
    assert read(new_key().get("/api/stats/triggers", {"job": other.slug}))["total"]["runs"] == 1
    problem(new_key(jobs=(mine,)).get("/api/stats/triggers", {"job": other.slug}), 404, "not_found")


def test_runs_that_were_pruned_stay_in_the_numbers(program: Program) -> None:
    job = make_job(retain_for_seconds=0)
    ended_run(job)
    tallies.fold()
    assert retention.prune(sweep.database_now()) == 1
    assert read(program.get("/api/stats/triggers"))["total"]["runs"] == 1


@pytest.mark.parametrize("query", [{"days": "0"}, {"days": "91"}, {"timezone": "Mars/Base"}, {"day": "1"}])
def test_what_cannot_be_asked_is_refused(program: Program, query: dict[str, str]) -> None:
    problem(program.get("/api/stats/triggers", query), 400, "invalid_query")


@pytest.mark.parametrize("path", ["queue", "workers", "triggers"])
def test_the_numbers_cost_the_same_however_many_runs_there_are(
    program: Program, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        make_run()
        ended_run(make_job())
    with django_assert_max_num_queries(12):
        read(program.get(f"/api/stats/{path}"))

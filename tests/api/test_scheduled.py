"""runs.api.scheduled: S1's numbers and history, exactly as the contract says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import lifecycle, tallies
from runs.firing import fire_due
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim_one, make_job, make_schedule, make_slot
from triggers.models import Trigger

pytestmark = pytest.mark.django_db

FIELDS = """
    scheduled_job_id name status cron_expression timezone parameters run_count last_run_at last_run_status
    last_run_id next_run_at success_rate average_duration_seconds
"""


@pytest.fixture
def job() -> Job:
    job = make_job(
        slug="sold-daily-indy",
        name="Daily sold",
        schema={
            "type": "object",
            "properties": {"locations": {"type": "array"}, "listing_type": {"type": "string"}},
        },
        defaults={"locations": ["Indianapolis, IN"], "listing_type": "sold"},
    )
    make_schedule(job, timezone="America/Indiana/Indianapolis", parameters={"listing_type": "rent"})
    fire_due(timezone.now())
    return job


def trigger(program: Program, job: Job, outcome: Any = None) -> int:
    """Triggers by hand and carries the run out."""
    run = read(program.post(f"/api/scheduled-jobs/{job.slug}/trigger", {"priority": "immediate"}), 202)
    lifecycle.settle([(claim_one(make_slot()), outcome or Succeeded(result={"properties_saved": 95}))])
    number: int = run["id"]
    return number


def test_the_list_tells_what_the_contract_says(program: Program, job: Job) -> None:
    make_job()
    body = read(program.get("/api/scheduled-jobs"))
    assert body.keys() == {"scheduled_jobs", "total"}
    assert body["total"] == 1
    (item,) = body["scheduled_jobs"]
    assert item.keys() >= set(FIELDS.split())
    assert item["scheduled_job_id"] == "sold-daily-indy"
    assert (item["status"], item["cron_expression"]) == ("active", "0 2 * * *")
    assert item["timezone"] == "America/Indiana/Indianapolis"
    assert item["parameters"] == {"locations": ["Indianapolis, IN"], "listing_type": "rent"}
    assert (item["run_count"], item["last_run_at"], item["success_rate"]) == (0, None, None)
    assert datetime.fromisoformat(item["next_run_at"]) == Trigger.objects.get(name="nightly").next_run_at


def test_a_run_by_hand_counts_and_the_next_slot_stays_where_it_was(program: Program, job: Job) -> None:
    before = read(program.get(f"/api/scheduled-jobs/{job.slug}"))["scheduled_job"]
    run = trigger(program, job)
    after = read(program.get(f"/api/scheduled-jobs/{job.slug}"))["scheduled_job"]
    assert (after["run_count"], after["last_run_id"], after["last_run_status"]) == (1, run, "succeeded")
    assert after["success_rate"] == 1.0
    assert after["average_duration_seconds"] is not None
    assert after["next_run_at"] == before["next_run_at"]
    tallies.fold()
    assert read(program.get("/api/scheduled-jobs"))["scheduled_jobs"] == [after]


def test_a_run_by_hand_has_the_parameters_that_the_list_shows(program: Program, job: Job) -> None:
    (item,) = read(program.get("/api/scheduled-jobs"))["scheduled_jobs"]
    body: dict[str, Any] = {"job_id": job.slug, "priority": "immediate"}
    assert read(program.post("/api/scheduled-jobs/trigger", body), 202)["parameters"] == item["parameters"]
    body["parameters"] = {"listing_type": "sold"}
    run = read(program.post("/api/scheduled-jobs/trigger", body), 202)
    assert run["parameters"] == {"locations": ["Indianapolis, IN"], "listing_type": "sold"}


def test_runs_by_hand_and_by_the_clock_are_one_history_newest_first(program: Program, job: Job) -> None:
    Trigger.objects.filter(name="nightly").update(next_run_at=timezone.now(), next_slot=timezone.now())
    fire_due(timezone.now())
    lifecycle.settle(
        [
            (
                claim_one(make_slot(), lane="default"),
                Failed(reason="error", type="E", message="m", traceback=""),
            )
        ]
    )
    by_hand = trigger(program, job)
    body = read(program.get(f"/api/scheduled-jobs/{job.slug}"))
    assert body.keys() == {"scheduled_job", "job_runs", "total_runs"}
    assert [run["trigger"] for run in body["job_runs"]] == ["manual", "schedule"]
    assert body["job_runs"][0]["id"] == by_hand
    assert body["job_runs"][0]["result"] == {"properties_saved": 95}
    assert body["total_runs"] == 2
    assert body["scheduled_job"]["success_rate"] == 0.5


def test_the_history_may_be_short_or_left_out(program: Program, job: Job) -> None:
    trigger(program, job)
    last = trigger(program, job)
    short = read(program.get(f"/api/scheduled-jobs/{job.slug}", {"limit": 1}))
    assert [run["id"] for run in short["job_runs"]] == [last]
    for no in ("false", "False"):
        without = read(program.get(f"/api/scheduled-jobs/{job.slug}", {"include_runs": no}))
        assert (without["job_runs"], without["total_runs"]) == ([], 2)


def test_the_list_is_filtered_by_the_status_people_see(program: Program, job: Job) -> None:
    over = make_schedule(make_job(status="paused", paused_until=timezone.now() - timedelta(seconds=1))).job
    paused = make_schedule(make_job(status="paused")).job
    inactive = make_schedule(make_job(status="inactive")).job

    def slugs(query: dict[str, str]) -> set[str]:
        body = read(program.get("/api/scheduled-jobs", query))
        found = {item["scheduled_job_id"]: item["status"] for item in body["scheduled_jobs"]}
        assert body["total"] == len(found)
        assert set(found.values()) <= {query.get("status", "")} or not query
        return set(found)

    assert slugs({"status": "active"}) == {job.slug, over.slug}
    assert slugs({"status": "paused"}) == {paused.slug}
    assert slugs({"status": "inactive"}) == {inactive.slug}
    assert slugs({}) == {job.slug, over.slug, paused.slug, inactive.slug}


@pytest.mark.parametrize(
    "query", [{"status": "broken"}, {"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"state": "active"}]
)
def test_an_unknown_filter_is_a_400(program: Program, query: dict[str, str]) -> None:
    problem(program.get("/api/scheduled-jobs", query), 400, "invalid_query")


def test_include_runs_is_true_or_false(program: Program, job: Job) -> None:
    body = problem(
        program.get(f"/api/scheduled-jobs/{job.slug}", {"include_runs": "maybe"}), 400, "invalid_query"
    )
    assert "true or false" in body["detail"]


def test_total_counts_beyond_the_limit(program: Program, job: Job) -> None:
    make_schedule()
    body = read(program.get("/api/scheduled-jobs", {"limit": 1}))
    assert (len(body["scheduled_jobs"]), body["total"]) == (1, 2)


def test_of_several_schedules_the_one_that_comes_next_speaks(program: Program) -> None:
    job = make_job()
    now = datetime.now(UTC)
    make_schedule(job, cron=f"0 {(now.hour + 5) % 24} * * *", name="later")
    soon = make_schedule(job, cron=f"0 {(now.hour + 2) % 24} * * *", name="soon")
    make_schedule(job, cron="* * * * *", name="off", enabled=False)
    (item,) = read(program.get("/api/scheduled-jobs"))["scheduled_jobs"]
    assert item["cron_expression"] == soon.cron
    fire_due(timezone.now())
    (planned,) = read(program.get("/api/scheduled-jobs"))["scheduled_jobs"]
    assert planned == item


def test_a_schedule_that_is_off_has_no_next_run(program: Program) -> None:
    make_schedule(enabled=False)
    (item,) = read(program.get("/api/scheduled-jobs"))["scheduled_jobs"]
    assert item["next_run_at"] is None


def test_a_job_without_schedule_and_one_that_is_hidden_are_404(new_key: NewKey, job: Job) -> None:
    plain = make_job()
    problem(new_key().get(f"/api/scheduled-jobs/{plain.slug}"), 404, "not_found")
    limited = new_key(jobs=(plain,))
    problem(limited.get(f"/api/scheduled-jobs/{job.slug}"), 404, "not_found")
    assert read(limited.get("/api/scheduled-jobs")) == {"scheduled_jobs": [], "total": 0}


def test_the_list_costs_the_same_number_of_queries_for_any_length(
    program: Program, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        make_schedule()
    program.get("/api/scheduled-jobs")
    with django_assert_max_num_queries(8):
        read(program.get("/api/scheduled-jobs"))

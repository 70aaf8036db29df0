"""runs.api.launching: every door launches the right kind of run, once, or says why not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import pausing
from jobs.models import Job
from runs.models import Run, RunLabel
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_schedule
from triggers.models import Kind, Trigger

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "password": {"type": "string", "writeOnly": True},
    },
}


def launch(program: Program, job: Job, body: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = read(program.post(f"/api/jobs/{job.slug}/run", body), 202)
    return answer


def test_the_run_door_makes_a_manual_run_that_names_the_key(program: Program) -> None:
    job = make_job()
    answer = program.post(f"/api/jobs/{job.slug}/run", {})
    run = read(answer, 202)
    assert (run["job"], run["trigger"], run["status"]) == (job.slug, "manual", "queued")
    assert run["api_key"] in run["cause"]
    assert "ci-bot" in run["cause"]
    assert run["created_by"] is None
    assert answer["Location"] == run["links"]["self"]
    assert run["links"]["self"].endswith(f"/api/runs/{run['id']}")


def test_no_body_at_all_is_a_launch_with_defaults(program: Program) -> None:
    job = make_job(schema=SCHEMA, defaults={"city": "Indianapolis"})
    assert launch(program, job)["parameters"] == {"city": "Indianapolis"}


def test_the_job_may_be_named_in_the_body(program: Program) -> None:
    job = make_job()
    run = read(program.post("/api/jobs/run", {"job": job.slug, "parameters": {}, "trigger": "manual"}), 202)
    assert (run["job"], run["trigger"]) == (job.slug, "manual")


def test_the_job_must_be_named_where_the_address_does_not(program: Program) -> None:
    body = problem(program.post("/api/jobs/run", {}), 400, "invalid_body")
    assert body["errors"][0]["pointer"] == "/job"


def test_the_trigger_door_makes_a_remote_run_of_the_remote_trigger(program: Program) -> None:
    job = make_job()
    run = read(program.post(f"/api/jobs/{job.slug}/trigger", {"trigger": "remote"}), 202)
    assert run["trigger"] == "remote"
    assert run["trigger_id"] == job.triggers.get(kind=Kind.REMOTE).pk


def test_each_launch_of_a_key_is_counted(program: Program) -> None:
    job = make_job()
    for _ in range(3):
        program.post(f"/api/jobs/{job.slug}/trigger", {})
    assert program.key is not None
    program.key.refresh_from_db()
    assert program.key.launches == 3


def test_a_last_slash_changes_nothing_and_redirects_nobody(program: Program) -> None:
    job = make_job()
    assert read(program.post(f"/api/jobs/{job.slug}/trigger/", {}), 202)["trigger"] == "remote"


@pytest.mark.parametrize(
    ("path", "forged"),
    [
        ("/api/jobs/run", {"trigger": "schedule"}),
        ("/api/jobs/{slug}/run", {"trigger": "remote"}),
        ("/api/jobs/{slug}/run", {"trigger": None}),
        ("/api/jobs/{slug}/trigger", {"trigger": "manual"}),
        ("/api/jobs/{slug}/run", {"slot": "2024-01-01T00:00:00Z"}),
        ("/api/jobs/{slug}/run", {"cause": "Started by the king"}),
        ("/api/jobs/{slug}/trigger", {"trigger_id": 1}),
        ("/api/scheduled-jobs/{slug}/trigger", {"trigger": "schedule"}),
    ],
)
def test_forged_provenance_is_refused(program: Program, path: str, forged: dict[str, Any]) -> None:
    job = make_schedule().job
    body = problem(
        program.post(path.format(slug=job.slug), {"job": job.slug, **forged}), 400, "forged_provenance"
    )
    assert body["errors"][0]["pointer"] == f"/{next(iter(forged))}"
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("given", "number", "lane"),
    [("immediate", 1, "high"), ("normal", 50, "default"), (100, 100, "bulk"), (7, 7, "high")],
)
def test_a_priority_is_a_number_or_a_name(program: Program, given: Any, number: int, lane: str) -> None:
    run = launch(program, make_job(), {"priority": given})
    assert (run["priority"], run["lane"]) == (number, lane)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 0),
        ("priority", 101),
        ("priority", "urgent"),
        ("priority", True),
        ("priority", 10**400),
        ("run_at", "tomorrow"),
        ("run_at", "2024-01-31T09:30:00"),
        ("run_at", 1700000000),
        ("run_at", "0000-01-01T00:00:00Z"),
        ("tags", "one"),
        ("tags", [""]),
        ("tags", ["x" * 61]),
        ("metadata", {"a": {"b": 1}}),
        ("metadata", {"a": [1]}),
        ("metadata", []),
        ("metadata", {"x" * 101: 1}),
        ("dedup_key", ""),
        ("dedup_key", 5),
        ("persistent", "yes"),
        ("retain_for_seconds", -1),
        ("retain_for_seconds", 10**30),
        ("target", ""),
        ("parameters", None),
        ("parameters", []),
        ("paramters", {}),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_a_400_that_names_it(
    program: Program, field: str, value: Any
) -> None:
    job = make_job()
    body = problem(program.post(f"/api/jobs/{job.slug}/run", {field: value}), 400, "invalid_body")
    (error,) = body["errors"]
    assert error["pointer"].startswith(f"/{field}")
    assert error["in"] == "body"
    assert "expected" in error["detail"] or "did you mean" in error["detail"]


def test_a_run_for_later_is_scheduled(program: Program) -> None:
    at = timezone.now() + timedelta(hours=1)
    run = launch(program, make_job(), {"run_at": at.isoformat()})
    assert run["status"] == "scheduled"
    assert run["run_at"].endswith("Z")
    assert datetime.fromisoformat(run["run_at"]) == at
    assert run["why_code"] == "not_due"
    assert at.astimezone(UTC).strftime("%H:%M") in run["why"]


def test_tags_metadata_and_the_rest_stay_on_the_run(program: Program) -> None:
    body = {
        "tags": ["nightly", "eu"],
        "metadata": {"order": 7, "paid": True},
        "target": "page-9",
        "retain_for_seconds": 60.0,
        "persistent": True,
    }
    run = launch(program, make_job(), body)
    assert {name: run[name] for name in body} == body
    assert RunLabel.objects.filter(run=run["id"], kind="metadata", key="order", value="7").exists()


def test_parameters_against_the_schema_are_a_422_naming_the_field(program: Program) -> None:
    job = make_job(schema=SCHEMA)
    given = {"parameters": {"count": 0, "town": "x"}}
    body = problem(program.post(f"/api/jobs/{job.slug}/run", given), 422, "invalid_parameters")
    assert {error["pointer"] for error in body["errors"]} == {"/parameters/count", "/parameters/town"}
    assert "'count' is 0; expected a whole number of at least 1." in body["detail"]


def test_secrets_are_masked_in_the_answer(program: Program) -> None:
    job = make_job(schema=SCHEMA)
    answer = program.post(f"/api/jobs/{job.slug}/run", {"parameters": {"password": "hunter22"}})
    assert read(answer, 202)["parameters"] == {"password": "••••••"}
    assert b"hunter22" not in answer.content
    assert Run.objects.get().parameters == {"password": "hunter22"}


def test_an_open_run_of_the_dedup_key_is_the_answer(program: Program) -> None:
    job = make_job()
    first = launch(program, job, {"dedup_key": "a"})
    assert first["deduplicated"] is False
    second = read(program.post(f"/api/jobs/{job.slug}/run", {"dedup_key": "a"}), 200)
    assert (second["id"], second["deduplicated"]) == (first["id"], True)
    assert f"#{first['id']}" in second["message"]


def test_an_unknown_job_is_a_404_by_every_door(program: Program) -> None:
    for path in ("/api/jobs/nothing/run", "/api/jobs/nothing/trigger", "/api/scheduled-jobs/nothing/trigger"):
        assert "'nothing'" in problem(program.post(path, {}), 404, "not_found")["detail"].replace('"', "'")
    problem(program.post("/api/jobs/run", {"job": "nothing"}), 404, "not_found")
    problem(program.post("/api/scheduled-jobs/trigger", {"job_id": "nothing"}), 404, "not_found")


def test_a_paused_job_refuses_a_launch_with_the_reason_and_until_when(program: Program) -> None:
    job = make_job()
    until = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    pausing.pause(job, by="ada", reason="maintenance", until=until)
    body = problem(program.post(f"/api/jobs/{job.slug}/run", {}), 409, "job_paused")
    assert (body["paused_by"], body["paused_reason"]) == ("ada", "maintenance")
    assert datetime.fromisoformat(body["paused_until"]) == until
    assert body["paused_until"].endswith("Z")


def test_an_inactive_and_a_broken_job_refuse_a_launch(program: Program) -> None:
    inactive, broken = make_job(status="inactive"), make_job()
    Job.objects.filter(pk=broken.pk).update(broken_reason="Its function is gone.")
    problem(program.post(f"/api/jobs/{inactive.slug}/run", {}), 409, "job_inactive")
    body = problem(program.post(f"/api/jobs/{broken.slug}/trigger", {}), 409, "job_broken")
    assert "Its function is gone." in body["detail"]


def test_a_disabled_remote_trigger_closes_only_the_remote_door(program: Program) -> None:
    job = make_job()
    Trigger.objects.filter(job=job).update(enabled=False)
    problem(program.post(f"/api/jobs/{job.slug}/trigger", {}), 409, "trigger_disabled")
    assert launch(program, job)["trigger"] == "manual"


def test_a_job_whose_remote_trigger_was_deleted_refuses_remote_launches(program: Program) -> None:
    job = make_job()
    Trigger.objects.filter(job=job).delete()
    problem(program.post(f"/api/jobs/{job.slug}/trigger", {}), 409, "trigger_disabled")


def test_launching_needs_the_scope_run(new_key: NewKey) -> None:
    job = make_job()
    body = problem(new_key(scopes=("read",)).post(f"/api/jobs/{job.slug}/run", {}), 403, "permission_denied")
    assert "'run'" in body["detail"]


def test_a_job_that_a_key_may_not_see_is_a_404_as_if_it_were_not_there(new_key: NewKey) -> None:
    mine, other = make_job(), make_job()
    limited = new_key(jobs=(mine,))
    launch(limited, mine)
    hidden = problem(limited.post(f"/api/jobs/{other.slug}/run", {}), 404, "not_found")
    absent = problem(limited.post("/api/jobs/absent/run", {}), 404, "not_found")
    assert hidden["detail"].replace(other.slug, "absent") == absent["detail"]
    problem(limited.post("/api/jobs/run", {"job": other.slug}), 404, "not_found")


def test_a_scheduled_job_is_triggered_by_hand_and_its_next_slot_stays(program: Program) -> None:
    schedule = make_schedule(make_job(name="Daily sold"))
    before = Trigger.objects.get(pk=schedule.pk).next_run_at
    path = f"/api/scheduled-jobs/{schedule.job.slug}/trigger"
    run = read(program.post(path, {"priority": "immediate"}), 202)
    assert run["message"] == "Triggered scheduled job 'Daily sold' to run immediately"
    assert (run["trigger"], run["priority"], run["slot"], run["trigger_id"]) == ("manual", 1, None, None)
    assert Trigger.objects.get(pk=schedule.pk).next_run_at == before


def test_a_scheduled_job_may_be_named_in_the_body(program: Program) -> None:
    job = make_schedule(make_job(name="Daily sold")).job
    run = read(
        program.post("/api/scheduled-jobs/trigger", {"job_id": job.slug, "priority": "immediate"}), 202
    )
    assert (run["job"], run["status"]) == (job.slug, "queued")
    assert run["message"] == "Triggered scheduled job 'Daily sold' to run immediately"


def test_an_earlier_run_named_in_place_of_the_scheduled_job_lends_its_parameters(program: Program) -> None:
    job = make_schedule(make_job(schema=SCHEMA)).job
    earlier = launch(program, job, {"parameters": {"city": "Gary"}})
    for text in (earlier["name"], str(earlier["id"])):
        run = read(program.post("/api/scheduled-jobs/trigger", {"job_id": text}), 202)
        assert (run["job"], run["parameters"]) == (job.slug, {"city": "Gary"})


def test_a_job_without_a_schedule_is_no_scheduled_job(program: Program) -> None:
    job = make_job()
    problem(program.post(f"/api/scheduled-jobs/{job.slug}/trigger", {}), 404, "not_found")


def test_a_body_in_chunks_is_refused_and_not_taken_for_an_empty_one(program: Program) -> None:
    job = make_job()
    answer = program.call(
        "POST", f"/api/jobs/{job.slug}/run", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH=""
    )
    problem(answer, 411, "length_required")

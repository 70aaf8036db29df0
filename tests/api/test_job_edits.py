"""Making, changing and removing jobs over the API, and holding them up."""

import json
from typing import Any

import pytest

from jobs.models import Job
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_run

pytestmark = pytest.mark.django_db

NEW = {
    "slug": "hello",
    "name": "Hello",
    "executor": "command",
    "configuration": {"argv": ["python", "-c", "print('{word}')"], "env": {"TOKEN": "s3cret"}},
    "schema": {"type": "object", "properties": {"word": {"type": "string"}}},
    "defaults": {"word": "hi"},
    "start_within_seconds": 30,
    "finish_within_seconds": 600,
    "priority": "immediate",
}


def send(program: Program, method: str, path: str, body: Any, **headers: str) -> Any:
    data = json.dumps(body).encode()
    return program.call(method, path, data=data, content_type="application/json", headers=headers)


def test_a_job_is_made_changed_and_removed(program: Program) -> None:
    answer = program.post("/api/jobs", NEW)
    made = read(answer, 201)
    assert answer["Location"].endswith("/api/jobs/hello")
    assert (made["priority"], made["start_within_seconds"], made["finish_within_seconds"]) == (1, 30, 600)
    assert made["owner"] == Job.objects.get().owner.username  # type: ignore[union-attr]
    assert "s3cret" not in str(made)
    changed = read(
        send(program, "PATCH", "/api/jobs/hello", {"max_attempts": 3, "configuration": made["configuration"]})
    )
    assert (changed["max_attempts"], changed["name"]) == (3, "Hello")
    job = Job.objects.get(slug="hello")
    assert job.configuration["env"] == {"TOKEN": "s3cret"}
    whole = {"name": "Bye", "configuration": {"argv": ["python", "-V"]}}
    again = read(send(program, "PUT", "/api/jobs/hello", whole))
    assert (again["name"], again["max_attempts"], again["schema"], again["priority"]) == ("Bye", 1, {}, None)
    assert program.post("/api/jobs/hello/trigger", {}).status_code == 202
    problem(program.call("DELETE", "/api/jobs/hello"), 409, "refused")
    make_job(slug="unused")
    assert program.call("DELETE", "/api/jobs/unused").status_code == 204
    assert not Job.objects.filter(slug="unused").exists()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"slug": "run"}, "reserved"),
        ({"slug": "A b"}, "slug"),
        ({"executor": "teleport"}, "'teleport' is not an executor"),
        ({"configuration": {"argv": []}}, "argv"),
        ({"schema": {"type": "nonsense"}}, "schema"),
        ({"defaults": {"word": 5}}, "word"),
        ({"start_within_seconds": 0}, "start_within_seconds"),
        ({"retry_first_delay_seconds": 90}, "shorter than the first delay"),
        ({"declared": {}}, "declared"),
        ({"slug": "taken"}, "already exists"),
    ],
)
def test_what_can_not_be_a_job_is_named(program: Program, body: dict[str, Any], told: str) -> None:
    make_job(slug="taken")
    found = problem(program.post("/api/jobs", NEW | body), 400, "invalid_body")
    assert told in str(found["errors"])


def test_a_lost_race_is_said(program: Program) -> None:
    make_job(slug="report")
    tag = program.get("/api/jobs/report")["ETag"]
    assert (
        send(program, "PATCH", "/api/jobs/report", {"name": "First"}, **{"If-Match": tag}).status_code == 200
    )
    late = send(program, "PATCH", "/api/jobs/report", {"name": "Second"}, **{"If-Match": tag})
    assert "The job is at version" in problem(late, 412, "precondition_failed")["detail"]


def test_a_job_is_paused_until_and_resumed(program: Program) -> None:
    make_job(slug="report")
    paused = read(
        program.post("/api/jobs/report/pause", {"reason": "stocktaking", "until": "2399-01-01T00:00:00Z"})
    )
    assert (paused["status"], paused["paused_reason"], paused["paused_until"]) == (
        "paused",
        "stocktaking",
        "2399-01-01T00:00:00Z",
    )
    problem(program.post("/api/jobs/report/trigger", {}), 409, "job_paused")
    assert read(program.post("/api/jobs/report/resume"))["status"] == "active"
    problem(program.post("/api/jobs/report/pause", {"until": "2001-01-01T00:00:00Z"}), 409, "refused")
    read(program.post("/api/jobs/report/pause"))
    assert read(send(program, "PATCH", "/api/jobs/report", {"status": "inactive"}))["status"] == "inactive"
    assert Job.objects.get().paused_by == ""


def test_who_may_do_it(new_key: NewKey) -> None:
    job, other = make_job(slug="mine"), make_job(slug="other")
    make_run(job)
    reader, bound = new_key(scopes=("read", "run")), new_key(jobs=(job,))
    problem(send(reader, "PATCH", "/api/jobs/mine", {"name": "x"}), 403, "permission_denied")
    problem(reader.post("/api/jobs/mine/pause"), 403, "permission_denied")
    problem(bound.post("/api/jobs", NEW), 403, "permission_denied")
    assert read(send(bound, "PATCH", "/api/jobs/mine", {"name": "x"}))["name"] == "x"
    problem(send(bound, "PATCH", f"/api/jobs/{other.slug}", {"name": "x"}), 404, "not_found")


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({}, "none is declared as 'nightly'; expected one of "),
        ({"function": ""}, "none is declared as 'nightly'"),
        ({"function": ["noop"]}, "expected the slug of a declared job"),
        ({"function": {"noop": 1}}, "expected the slug of a declared job"),
        ({"function": "gone"}, "No installed app declares a job function 'gone'"),
    ],
)
def test_a_job_of_a_function_that_there_is_not_is_refused(
    program: Program, configuration: dict[str, Any], told: str
) -> None:
    body = {"slug": "nightly", "name": "Nightly", "executor": "python", "configuration": configuration}
    assert told in problem(program.post("/api/jobs", body), 400, "invalid_body")["detail"]
    assert not Job.objects.filter(slug="nightly").exists()

"""Keys over the API: what a key is told of itself, rotation, revocation, and limits."""

import pytest
from django.test import Client

from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_owner, make_user
from triggers import keys
from triggers.models import ApiKey, Kind, Trigger

pytestmark = pytest.mark.django_db


def test_a_key_knows_itself_and_no_other(new_key: NewKey) -> None:
    job = make_job()
    mine, other = new_key(scopes=("read",), jobs=(job,)), new_key()
    assert mine.key is not None
    assert other.key is not None
    assert [key["id"] for key in read(mine.get("/api/keys"))["results"]] == [mine.key.public_id]
    found = read(mine.get(f"/api/keys/hw_{mine.key.public_id}"))
    assert (found["jobs"], found["scopes"], found["effective_scopes"]) == ([job.slug], ["read"], ["read"])
    assert len(found["calls_by_hour"]) == 24
    assert "secret" not in str(found)
    problem(mine.get(f"/api/keys/{other.key.public_id}"), 404, "not_found")


def test_a_person_knows_their_own_keys_and_a_superuser_all(client: Client) -> None:
    owner = make_user()
    keys.issue(name="theirs", owner=owner)
    client.force_login(make_owner())
    assert len(read(client.get("/api/keys"))["results"]) == 1
    client.force_login(owner)
    problem(client.get("/api/keys"), 403, "permission_denied")


def test_a_key_that_may_write_rotates_itself(program: Program) -> None:
    assert program.key is not None
    answer = program.post(f"/api/keys/{program.key.public_id}/rotate", {"overlap_hours": 2})
    renewed = Program(text=read(answer)["key"])
    assert answer["Cache-Control"] == "no-store"
    assert read(renewed.get("/api/keys"))["results"][0]["rotated_at"] is not None
    assert read(program.get("/api/keys"))["results"][0]["former_until"] is not None
    reader = f"/api/keys/{program.key.public_id}/rotate"
    problem(program.post(reader, {"overlap_hours": -1}), 400, "invalid_body")


def test_a_key_that_is_revoked_is_refused_at_once(new_key: NewKey) -> None:
    program, reader = new_key(), new_key(scopes=("read",))
    assert program.key is not None
    assert reader.key is not None
    problem(reader.post(f"/api/keys/{reader.key.public_id}/revoke"), 403, "permission_denied")
    assert read(program.post(f"/api/keys/{program.key.public_id}/revoke"))["valid"] is False
    problem(program.get("/api/keys"), 401, "not_authenticated")


def test_the_limit_of_a_key_is_a_429_that_names_it(program: Program) -> None:
    ApiKey.objects.update(rate_limit="2/hour")
    for _ in range(2):
        assert program.get("/api/jobs").status_code == 200
    answer = program.get("/api/jobs")
    body = problem(answer, 429, "throttled")
    assert (body["limit"], body["limit_of"]) == ("2/hour", f"the API key {program.key}")
    assert 1 <= int(answer["Retry-After"]) <= 1800


def test_the_limit_of_a_trigger_counts_its_launches_and_no_repetition_of_one(program: Program) -> None:
    job = make_job()
    trigger = Trigger.objects.get(job=job, kind=Kind.REMOTE)
    address = f"/api/jobs/{job.slug}/triggers/{trigger.pk}"
    changed = read(
        program.call("PATCH", address, data=b'{"rate_limit": "1/day"}', content_type="application/json")
    )
    assert changed["rate_limit"] == "1/day"
    assert program.post(f"/api/jobs/{job.slug}/trigger", {}, key="once").status_code == 202
    assert program.post(f"/api/jobs/{job.slug}/trigger", {}, key="once").status_code == 200
    answer = program.post(f"/api/jobs/{job.slug}/trigger", {})
    assert problem(answer, 429, "throttled")["limit_of"] == f"the trigger 'Remote' of the job '{job.slug}'"
    assert program.post(f"/api/jobs/{job.slug}/run", {}).status_code == 202
    wrong = program.call("PATCH", address, data=b'{"rate_limit": "fast"}', content_type="application/json")
    problem(wrong, 400, "invalid_body")


def test_a_key_loses_a_scope_with_its_owners_permission(new_key: NewKey) -> None:
    program = new_key()
    assert program.key is not None
    owner = program.key.owner
    owner.is_superuser = False
    owner.save(update_fields=["is_superuser"])
    body = problem(program.get("/api/jobs"), 403, "permission_denied")
    assert "lacks the permission runs.view_run now" in body["detail"]

"""runs.api.sources, and event triggers that sources are polled for."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from jobs.changes import Change
from runs import polling
from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.api.test_events import post
from tests.factories import make_event, make_job, make_source, make_user
from triggers import keys
from triggers.models import Delivery, Secret, Source, Trigger

pytestmark = pytest.mark.django_db


@pytest.fixture
def options(tmp_path: Path, settings: Settings) -> dict[str, Any]:
    """Of a folder that may be watched."""
    settings.WATCH_ROOTS = [str(tmp_path)]
    return {"path": str(tmp_path), "settle_seconds": 0}


def polled(program: Program) -> dict[str, Any]:
    """A trigger that sources may be polled for, made through the API."""
    job = make_job(slug="load")
    body = {"kind": "event", "name": "arrivals", "scheme": "poll"}
    return dict(read(program.post(f"/api/jobs/{job.slug}/triggers", body), 201))


def patch(program: Program, path: str, body: Any) -> Any:
    return program.call("PATCH", path, data=json.dumps(body).encode(), content_type="application/json")


def test_from_nothing_to_a_run_of_each_file(program: Program, options: dict[str, Any]) -> None:
    trigger = polled(program)
    assert (trigger["address"], trigger["secret"], trigger["secrets"]) == (None, None, [])
    body = {
        "kind": "folder",
        "name": "drop",
        "trigger": trigger["id"],
        "options": options,
        "begin": "beginning",
    }
    made = read(program.post("/api/sources", body), 201)
    assert made["options"]["pattern"] == "*"
    assert (made["job"], made["lag_seconds"], made["last_error"]) == ("load", None, None)
    (Path(options["path"]) / "a.csv").write_text("1")
    tried = read(program.post(f"/api/sources/{made['id']}/try"))
    assert (tried["count"], tried["found"][0]["payload"]["name"], tried["error"]) == (1, "a.csv", None)
    source = polling.claim()
    assert source is not None
    assert polling.poll(source).found == 1
    found = read(program.get(f"/api/sources/{made['id']}"))
    assert (found["found_count"], found["lag_seconds"] >= 0) == (1, True)
    assert read(program.post(f"/api/sources/{made['id']}/poll"), 202)["next_poll_at"] < found["next_poll_at"]
    assert Run.objects.get().job.slug == "load"
    assert [each["name"] for each in read(program.get("/api/sources"))["results"]] == ["drop"]


def test_what_is_wrong_is_said_with_its_place(program: Program, options: dict[str, Any]) -> None:
    trigger = polled(program)
    signed, _ = make_event()
    good = {"kind": "folder", "name": "drop", "trigger": trigger["id"], "options": options}
    for change, place, words in (
        ({"kind": "ftp"}, "/kind", '"ftp"'),
        ({"trigger": signed.pk}, "/trigger", "scheme poll"),
        ({"trigger": 999_999}, "/trigger", "There is no event trigger 999999"),
        ({"options": {}}, "/options", "path"),
        ({"options": {"path": "/etc"}}, "/options/path", "not inside HEADWAY_WATCH_ROOTS"),
        ({"options": {**options, "pattern": "../*"}}, "/options/pattern", "no pattern"),
        ({"options": {**options, "settle_seconds": -1}}, "/options/settle_seconds", "-1"),
        ({"interval_seconds": 0}, "/interval_seconds", "0"),
        ({"begin": "yesterday"}, "/begin", '"yesterday"'),
        ({"secret": "hush hush"}, "/secret", "has no secret"),
        ({"colour": "red"}, "/colour", "colour"),
    ):
        errors = problem(program.post("/api/sources", {**good, **change}), 400, "invalid_body")["errors"]
        assert any(each["pointer"].startswith(place) and words in each["detail"] for each in errors), errors
    assert Source.objects.count() == 0
    read(program.post("/api/sources", good), 201)
    problem(program.post("/api/sources", good), 400, "invalid_body")  # the name is taken


def test_a_source_is_changed_and_removed_and_that_is_on_record(
    program: Program, options: dict[str, Any]
) -> None:
    source = make_source(options=options)
    changed = read(patch(program, f"/api/sources/{source.pk}", {"enabled": False, "interval_seconds": 5}))
    assert (changed["enabled"], changed["interval_seconds"]) == (False, 5)
    change = Change.objects.of(source).first()
    assert change is not None
    assert (sorted(change.fields), change.noun, change.facts["door"]) == (
        ["enabled", "interval_seconds"],
        "source",
        "API",
    )
    assert program.call("DELETE", f"/api/sources/{source.pk}").status_code == 204
    problem(program.get(f"/api/sources/{source.pk}"), 404, "not_found")
    count = Change.objects.count()
    other = make_source(options=options)
    polling.poll(polling.claim() or other)
    assert Change.objects.of(other).count() == 1
    assert Change.objects.count() >= count


def test_a_look_that_fails_is_the_answer(program: Program, options: dict[str, Any]) -> None:
    source = make_source(options={**options, "path": f"{options['path']}/later"})
    tried = read(program.post(f"/api/sources/{source.pk}/try"))
    assert (tried["count"], tried["found"]) == (0, [])
    assert "is not there" in tried["error"]


def test_keys_see_only_sources_of_their_jobs_and_can_no_more_than_their_owners(
    new_key: NewKey, options: dict[str, Any]
) -> None:
    source = make_source(options=options)
    bound = new_key(jobs=(make_job(),))
    problem(bound.get(f"/api/sources/{source.pk}"), 404, "not_found")
    assert read(bound.get("/api/sources"))["results"] == []
    body = {"kind": "folder", "name": "x", "trigger": source.trigger_id, "options": options}
    problem(bound.post("/api/sources", body), 400, "invalid_body")
    problem(new_key(scopes=("read",)).post("/api/sources", body), 403, "permission_denied")


def test_nobody_can_post_to_a_trigger_that_is_polled(program: Program) -> None:
    trigger = Trigger.objects.get(pk=polled(program)["id"])
    answer = post(
        f"/api/events/{trigger.public_id}", b"{}", {"headway-event": "file", "headway-delivery": "1"}
    )
    assert answer.status_code == 401
    assert "takes no messages" in Delivery.objects.get().reason
    assert Run.objects.count() == 0
    path = f"/api/jobs/load/triggers/{trigger.pk}"
    problem(program.post(f"{path}/rotate-secret", {}), 400, "invalid_body")
    problem(patch(program, path, {"secret": "long enough"}), 400, "invalid_body")
    taken = read(program.post(f"{path}/test", {"payload": {"name": "b.csv"}}), 202)
    assert [each["job"] for each in taken["runs"]] == ["load"]
    assert Delivery.objects.get(verdict="accepted").is_test


def test_a_trigger_with_sources_keeps_its_scheme(program: Program, options: dict[str, Any]) -> None:
    source = make_source(options=options)
    path = f"/api/jobs/{source.trigger.job.slug}/triggers/{source.trigger_id}"
    errors = problem(patch(program, path, {"scheme": "hmac"}), 400, "invalid_body")["errors"]
    assert "remove those first" in errors[0]["detail"] or "remove those before" in errors[0]["detail"]
    source.delete()
    assert read(patch(program, path, {"scheme": "hmac"}))["address"]
    assert Secret.objects.count() == 1


def test_who_may_write_but_not_set_up_sources_is_refused(options: dict[str, Any]) -> None:
    source = make_source(options=options)
    owner = make_user()
    _, text = keys.issue(name="weak", owner=owner, scopes=("read",))
    answer = Program(text=text).post(f"/api/sources/{source.pk}/try")
    assert answer.status_code == 403

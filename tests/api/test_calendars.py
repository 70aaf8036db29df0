"""/api/calendars: what schedules keep."""

import json
from typing import Any

import pytest

from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_schedule
from triggers.models import Calendar

pytestmark = pytest.mark.django_db

NIGHTS = {"name": "nights", "timezone": "Europe/Berlin", "closed": ["22:00 to 06:00 Backup", "12-25"]}


def send(program: Program, method: str, path: str, body: object) -> Any:
    return program.call(method, path, data=json.dumps(body).encode(), content_type="application/json")


def test_a_calendar_is_made_read_changed_and_deleted(program: Program) -> None:
    answer = program.post("/api/calendars", NIGHTS)
    made = read(answer, 201)
    assert answer["Location"].endswith(f"/api/calendars/{made['id']}")
    assert {name: made[name] for name in NIGHTS} == NIGHTS
    assert [each["id"] for each in read(program.get("/api/calendars"))["results"]] == [made["id"]]
    path = f"/api/calendars/{made['id']}"
    changed = read(send(program, "PATCH", path, {"closed": ["00:00 to 23:59 Always"]}))
    assert changed["name"] == "nights"
    assert changed["closing"] in ("blackout nights (00:00 to 23:59 Always)", None)
    whole = read(send(program, "PUT", path, {"name": "weekends", "closed": ["Sat", "Sun"]}))
    assert (whole["timezone"], whole["closed"]) == ("UTC", ["Sat", "Sun"])
    assert program.call("DELETE", path).status_code == 204
    problem(program.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"name": "x"}, "closed"),
        ({**NIGHTS, "closed": ["Someday"]}, "Line 1, 'Someday'"),
        ({**NIGHTS, "closed": ["Sat\nSun"]}, "closed"),
        ({**NIGHTS, "name": "a,b"}, "name"),
        ({**NIGHTS, "timezone": "Europe/Berln"}, "Did you mean Europe/Berlin"),
        ({**NIGHTS, "colour": "red"}, "colour"),
        ({**NIGHTS, "name": "taken"}, "already exists"),
    ],
)
def test_what_cannot_be_read_is_named(program: Program, body: dict[str, object], told: str) -> None:
    Calendar.objects.create(name="taken", closed="Sat")
    found = problem(program.post("/api/calendars", body), 400, "invalid_body")
    assert told in str(found["errors"])


def test_one_that_schedules_keep_names_them_and_stays(program: Program, new_key: NewKey) -> None:
    calendar = Calendar.objects.create(name="nights", closed="22:00 to 06:00")
    mine, other = make_schedule(make_job(slug="mine")), make_schedule()
    for schedule in (mine, other):
        schedule.calendars.add(calendar)
    path = f"/api/calendars/{calendar.pk}"
    assert len(read(program.get(path))["schedules"]) == 2
    found = problem(program.call("DELETE", path), 409, "refused")
    assert "Schedules keep the calendar 'nights'" in found["detail"]
    bound = new_key(jobs=(mine.job,))
    assert read(bound.get(path))["schedules"] == [{"id": mine.pk, "job": "mine", "name": "nightly"}]
    problem(send(bound, "PATCH", path, {"closed": []}), 403, "permission_denied")


def test_a_key_that_may_read_only_changes_nothing(new_key: NewKey) -> None:
    reader = new_key(scopes=("read",))
    assert read(reader.get("/api/calendars"))["results"] == []
    problem(reader.post("/api/calendars", NIGHTS), 403, "permission_denied")

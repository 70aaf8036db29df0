"""runs.api.trigger_pauses, and the calendars of a schedule: what holds it, as programs say and read it."""

from typing import Any

import pytest

from tests.api.conftest import NewKey, Program, problem, read
from tests.api.test_trigger_edits import NEW_YORK, address, send
from tests.factories import make_job, make_schedule
from triggers.models import Calendar

pytestmark = pytest.mark.django_db


def test_a_schedule_is_paused_with_reason_and_end_and_resumed(program: Program) -> None:
    url = address(make_schedule())
    body = {"reason": "stocktaking", "until": "2050-01-01T06:00:00Z"}
    paused = read(program.post(f"{url}/pause", body))
    assert (paused["paused_reason"], paused["paused_until"]) == ("stocktaking", "2050-01-01T06:00:00Z")
    assert paused["paused_by"].startswith("API key ci-bot")
    assert read(send(program, "PUT", url, read(program.get(url))))["paused_reason"] == "stocktaking"
    resumed = read(program.post(f"{url}/resume"))
    assert (resumed["paused_at"], resumed["paused_by"], resumed["paused_until"]) == (None, None, None)


def test_a_pause_that_cannot_be_is_refused(program: Program, new_key: NewKey) -> None:
    trigger = make_schedule()
    url = address(trigger)
    problem(program.post(f"{url}/pause", {"until": "2001-01-01T00:00:00Z"}), 409, "refused")
    problem(program.post(f"{url}/pause", {"until": "soon"}), 400, "invalid_body")
    remote = trigger.job.triggers.get(kind="remote")
    problem(program.post(f"{address(remote)}/pause"), 409, "refused")
    problem(new_key(scopes=("read",)).post(f"{url}/pause"), 403, "permission_denied")


def test_a_schedule_keeps_calendars_by_name(program: Program) -> None:
    Calendar.objects.create(name="Holidays", closed="12-25")
    Calendar.objects.create(name="Week", closed="Sat\nSun")
    url = f"/api/jobs/{make_job().slug}/triggers"
    made: Any = read(program.post(url, {**NEW_YORK, "calendars": ["Week", "Holidays"]}), 201)
    assert made["calendars"] == ["Holidays", "Week"]
    one = f"{url}/{made['id']}"
    before = program.get(one)["ETag"]
    assert read(send(program, "PATCH", one, {"calendars": ["Week"]}))["calendars"] == ["Week"]
    assert program.get(one)["ETag"] != before
    assert read(send(program, "PATCH", one, {"name": "x"}))["calendars"] == ["Week"]
    assert read(send(program, "PUT", one, {"cron": "0 2 * * *"}))["calendars"] == []
    answer = problem(send(program, "PATCH", one, {"calendars": ["Wekk"]}), 400, "invalid_body")
    assert answer["errors"][0]["pointer"] == "/calendars/0"


def test_the_preview_knows_calendars(program: Program) -> None:
    Calendar.objects.create(name="Week", closed="Sat\nSun")
    asked = {"cron": "0 2 * * *", "from": "2026-11-20T12:00:00Z", "calendars": "Week", "count": 3}
    found = read(program.get("/api/schedule/preview", asked))
    assert [run["note"] for run in found["next_runs"]] == [
        "skipped: blackout Week (Sat)", "skipped: blackout Week (Sun)", ""
    ]  # fmt: skip
    assert "blackout" in [warning["code"] for warning in found["warnings"]]
    problem(program.get("/api/schedule/preview", {**asked, "calendars": "Year"}), 400, "invalid_query")

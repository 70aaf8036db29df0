"""runs.api.trigger_slots and runs.api.deployments: slots and the scheduler, as programs ask and decide."""

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from runs import firing
from runs.models import Heartbeat, Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.api.test_trigger_edits import address, send
from tests.factories import make_schedule
from tests.runs.test_catching_up import down_since
from tests.runs.test_firing import at
from triggers.models import Trigger

pytestmark = pytest.mark.django_db

RANGE = {"from": "2026-03-10T02:00:00Z", "until": "2026-03-10T05:00:00Z"}


def test_a_range_is_listed_and_then_run(program: Program) -> None:
    trigger = down_since(1, overlap="allow")
    with time_machine.travel(at(5, 40)):
        listed = read(program.get(f"{address(trigger)}/slots", RANGE))
        assert [(slot["slot"][11:16], slot["outcome"], slot["runnable"]) for slot in listed["slots"]] == [
            ("02:00", "missed", True), ("03:00", "missed", True), ("04:00", "missed", True)
        ]  # fmt: skip
        assert read(program.post(f"{address(trigger)}/slots/run", RANGE), 202) == {"slots": 3}
        again = read(program.get(f"{address(trigger)}/slots", RANGE))["slots"]
        assert [slot["outcome"] for slot in again] == ["fired"] * 3
        assert again[0]["by"].startswith("API key ci-bot")
    assert Run.objects.filter(trigger_kind="schedule").count() == 3


def test_missed_slots_are_dismissed_and_run_singly_and_all_together(program: Program) -> None:
    trigger = down_since(1)
    url = f"{address(trigger)}/slots"
    with time_machine.travel(at(5, 40)):
        one = {"slots": ["2026-03-10T02:00:00Z"]}
        assert read(program.post(f"{url}/dismiss", one)) == {"slots": 1}
        assert read(program.post(f"{url}/run", one), 202) == {"slots": 1}
        assert read(program.post(f"{url}/run", {"missed": True}), 202) == {"slots": 3}
        assert read(program.post(f"{url}/dismiss", {"missed": True})) == {"slots": 0}


def test_what_cannot_be_is_refused(program: Program, new_key: NewKey) -> None:
    url = f"{address(down_since(1))}/slots"
    problem(program.post(f"{url}/run", {"slots": ["2026-03-10T02:30:00Z"]}), 409, "refused")
    problem(program.post(f"{url}/run", {"slots": ["soon"]}), 400, "invalid_body")
    problem(program.post(f"{url}/run", {}), 400, "invalid_body")
    problem(
        program.get(url, {"from": "2026-03-10T02:00:00Z", "until": "2026-03-10T02:00:00Z"}),
        400,
        "invalid_query",
    )
    problem(new_key(scopes=("read",)).post(f"{url}/run", {"missed": True}), 403, "permission_denied")


def test_sync_deployment_says_takes_out_and_puts_in(program: Program) -> None:
    trigger = make_schedule()
    url = f"{address(trigger)}/sync-deployment"
    assert read(program.get(url))["synced"] is False
    Heartbeat.objects.create(name="beat:1", at=timezone.now(), detail={"pid": 7, "hostname": "tower"})
    known = read(program.post(url))
    assert (known["synced"], known["beats"], known["lag_seconds"]) == (True, ["7@tower"], 0)
    assert known["next_slot"]
    assert known["last_tick"]
    assert send(program, "DELETE", url).status_code == 204
    gone = read(program.get(url))
    assert (gone["synced"], gone["next_slot"]) == (False, None)
    assert Trigger.objects.filter(pk=trigger.pk, enabled=False).exists()
    assert read(program.post(url))["synced"] is True
    firing.fire_due(timezone.now())
    assert not Run.objects.exists()
    remote = trigger.job.triggers.get(kind="remote")
    problem(program.get(f"{address(remote)}/sync-deployment"), 409, "refused")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "The body is {}; expected an object with 'slots' or an object with 'missed' or an object with 'from'"),
        ({"slots": "all"}, "'slots' is \"all\"; expected a list of 1 to 1000 items."),
        ({"slots": ["2026-01-01T00:00:00Z"] * 1001}, "expected a list of 1 to 1000 items."),
        ({"missed": False}, "'missed' is false; expected true."),
        ({"from": "2026-01-01T00:00:00Z"}, "until"),
        ({"missed": True, "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "The body is {"),
        ({"slots": ["2026-01-01T00:00:00Z"], "until": "2026-01-02T00:00:00Z"}, "from"),
    ],
)  # fmt: skip
def test_a_body_that_names_no_slots_is_told_what_it_can_be(
    program: Program, body: dict[str, Any], said: str
) -> None:
    url = f"/api/jobs/{(schedule := make_schedule()).job.slug}/triggers/{schedule.pk}/slots/run"
    assert said in problem(program.post(url, body), 400, "invalid_body")["detail"]

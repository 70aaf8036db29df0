"""Holding targets by the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runs.models import PausedTarget
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim, make_job, make_slot

NAME = "shop 7/ä"


def test_a_target_is_paused_with_a_reason_and_its_launches_wait_until_it_is_resumed(program: Program) -> None:
    make_job(slug="mail")
    slot = make_slot()
    until = timezone.now() + timedelta(hours=1)
    told = read(
        program.post("/api/targets/pause", {"target": NAME, "reason": "moving", "until": until.isoformat()})
    )
    assert (told["kind"], told["id"], told["reason"]) == ("target", NAME, "moving")
    assert "ci-bot" in told["paused_by"]
    assert told["paused_until"] is not None
    (listed,) = read(program.get("/api/pauses"))["results"]
    assert listed == told
    run = read(program.post("/api/jobs/mail/run", {"target": NAME}), 202)
    assert claim(slot) == []
    for told in (run, read(program.get(f"/api/runs/{run['id']}"))):
        assert (told["why_code"], "is paused by" in told["why"]) == ("target_paused", True)
    assert program.post("/api/targets/resume", {"target": NAME}).status_code == 204
    assert [each.id for each in claim(slot)] == [run["id"]]
    problem(program.post("/api/targets/resume", {"target": NAME}), 409, "refused")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"target": ""}, 400),
        ({"target": 7}, 400),
        ({"target": "x" * 201}, 400),
        ({"target": "a\0b"}, 400),
        ({"target": "a", "reason": "x" * 501}, 400),
        ({"target": "a", "until": "soon"}, 400),
        ({"target": "a", "until": "2001-01-01T00:00:00Z"}, 409),
        ({"target": "a", "who": "me"}, 400),
    ],
)
def test_what_can_be_no_pause_is_refused(program: Program, body: dict[str, object], status: int) -> None:
    answer = program.post("/api/targets/pause", body)
    assert answer.status_code == status, answer.content
    assert not PausedTarget.objects.exists()


def test_a_key_without_the_scope_or_bound_to_some_jobs_holds_no_target(new_key: NewKey) -> None:
    for caller in (new_key(scopes=("read", "run", "cancel")), new_key(jobs=(make_job(),))):
        problem(caller.post("/api/targets/pause", {"target": "a"}), 403, "permission_denied")

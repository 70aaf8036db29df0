"""runs.urgency: the priority of runs that have not started, through each door."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs.priority import InvalidPriority
from runs import lifecycle, urgency
from runs.models import Run, RunEvent
from tests.factories import claim, claim_one, make_job, make_owner, make_run, make_slot, make_user
from triggers import keys
from triggers.models import Scope

pytestmark = pytest.mark.django_db


def the(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def test_a_queued_run_changes_its_lane_and_its_place_at_once() -> None:
    first, second = make_run(priority=50), make_run(priority=50)
    (changed,) = urgency.change(Run.objects.filter(pk=second.pk), priority=2, by="ada")
    assert (changed.lane_before, changed.lane, changed.priority_before) == ("default", "high", 50)
    slot = make_slot()
    assert claim_one(slot, lane="high").id == second.pk
    assert claim_one(slot, lane="default").id == first.pk
    event = RunEvent.objects.get(run=second)
    assert (event.kind, event.actor, event.detail) == (
        "reprioritised",
        "ada",
        {"from": 50, "to": 2, "lane": "high"},
    )


def test_everything_else_of_the_run_stays() -> None:
    run = make_run(make_job(slug="kept"), run_at=timezone.now() + timedelta(hours=1), tags=["a"])
    before: dict[str, object] = dict(Run.objects.filter(pk=run.pk).values().get())
    urgency.change(Run.objects.filter(pk=run.pk), priority=77, by="ada")
    after: dict[str, object] = dict(Run.objects.filter(pk=run.pk).values().get())
    assert {name for name in before if before[name] != after[name]} == {"priority", "lane"}


def test_what_runs_and_what_has_ended_is_left_alone() -> None:
    running, ended = make_run(), make_run()
    lifecycle.cancel(Run.objects.filter(pk=ended.pk), by="ada")
    claim_one(make_slot())
    assert urgency.change(Run.objects.all(), priority=50, by="ada") == []
    assert urgency.refusal(the(running)) == (
        f"Run #{running.pk} is running: only a run that has not started has a priority to change."
    )


def test_a_run_held_by_its_key_keeps_its_turn_in_the_new_lane() -> None:
    job = make_job(schema={"additionalProperties": True}, concurrency_key_template="{customer}")
    slot = make_slot()
    make_run(job, parameters={"customer": "a"})
    first = claim_one(slot)
    held = make_run(job, parameters={"customer": "a"})
    assert claim(slot) == []
    urgency.change(Run.objects.filter(pk=held.pk), priority=50, by="ada")
    lifecycle.cancel(Run.objects.filter(pk=first.id), by="ada")
    lifecycle.give_back([(first.id, first.token)])
    assert claim_one(slot, lane="default").id == held.pk


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPriority, match="101 is not a priority"):
        urgency.change(Run.objects.all(), priority=101, by="ada")


def test_from_its_page_by_who_may(client: Client) -> None:
    ada = User.objects.create_superuser(username="ada")
    run = make_run()
    path = f"/runs/{run.pk}/priority/"
    client.force_login(make_user())
    assert client.post(path, {"priority": "50"}).status_code == 403
    client.force_login(ada)
    assert f'action="{path}"' in client.get(f"/runs/{run.pk}/").content.decode()
    answer = client.post(path, {"priority": "50"}, follow=True)
    assert f"Run #{run.pk} has priority 50 now, lane default." in answer.content.decode()
    refused = client.post(path, {"priority": "0"}, follow=True)
    assert "0 is not a priority" in refused.content.decode()
    assert (the(run).priority, RunEvent.objects.get().actor) == (50, "ada")


def test_in_the_admin_one_by_one_and_together(client: Client) -> None:
    client.force_login(User.objects.create_superuser(username="ada"))
    runs = [make_run(), make_run()]
    one = f"/admin/runs/run/{runs[0].pk}/prioritise/"
    assert "Change the priority" in client.get(one).content.decode()
    client.post(one, {"_confirmed": "yes", "priority": "30"})
    assert the(runs[0]).priority == 30
    action = {"action": "prioritise_selected", "_selected_action": [str(run.pk) for run in runs]}
    assert 'name="priority"' in client.post("/admin/runs/run/", action).content.decode()
    client.post("/admin/runs/run/", action | {"_confirmed": "yes", "priority": "100"})
    assert [the(run).lane for run in runs] == ["bulk", "bulk"]


def test_by_the_api_with_its_scope(client: Client) -> None:
    run = make_run()

    def post(priority: object, *scopes: str) -> int:
        _, text = keys.issue(name="ci", owner=make_owner(), scopes=scopes)
        answer = client.generic(
            "POST",
            f"/api/runs/{run.pk}/priority",
            json.dumps({"priority": priority}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {text}"},
        )
        return int(answer.status_code)

    assert post("normal", Scope.READ) == 403
    assert post("normal", Scope.RUN) == 200
    assert the(run).priority == 50
    assert post(0, Scope.RUN) == 400
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    assert post(1, Scope.RUN) == 409

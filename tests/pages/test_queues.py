"""The page /queues/: what each lane holds and who serves it, and pausing it by people who may."""

from datetime import timedelta
from functools import partial

import pytest
from celery import current_app
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import pausing
from jobs.models import Job
from runs import campaigns, lanes, orders, pinging, queues, sweep, tending
from runs.models import Circuit, Lane, PausedTarget, Worker
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot
from tests.pages.conftest import Visitor, words
from triggers import pausing as triggers_pausing

pytestmark = pytest.mark.django_db


def ready_slot(*served: str) -> None:
    slot = make_slot(lanes=served)
    Worker.objects.filter(pk=slot.worker_id).update(ready_at=sweep.database_now())
    if "high" in served:
        claim_one(slot)


def test_it_shows_lanes_workers_slots_and_whose_they_are(ada: Client) -> None:
    running, _ = make_run(), make_run(priority=100)
    make_run(run_at=timezone.now() + timedelta(hours=1))
    ready_slot("high")
    ready_slot("default", "bulk")
    with CaptureQueriesContext(connection) as queries:
        shown = words(ada.get("/queues/"))
    assert len(queries) <= 12
    assert "reserved for it" in shown
    assert "shared with bulk" in shown
    assert f'href="/runs/{running.pk}/"' in shown
    assert "1 of 1" in shown
    assert "HEADWAY_HIGH_SLOTS" in shown


def test_a_lane_that_nobody_serves_says_so(ada: Client) -> None:
    shown = words(ada.get("/queues/"))
    assert shown.count("unserved") == 3
    assert "No worker is alive" in shown


def test_a_long_lane_is_told_about(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "COUNTED", 1)
    make_run()
    make_run()
    assert "about 2" in words(ada.get("/queues/"))


def test_a_lane_is_paused_with_a_reason_and_resumed(ada: Client) -> None:
    answer = ada.post("/queues/bulk/pause/", {"reason": "the mail server is down"}, follow=True)
    assert "Paused the lane bulk." in words(answer)
    assert "by ada" in words(answer)
    assert "the mail server is down" in words(answer)
    assert Lane.objects.get(pk="bulk").paused_at is not None
    assert "Resumed the lane bulk." in words(ada.post("/queues/bulk/resume/", follow=True))
    assert Lane.objects.get(pk="bulk").paused_at is None


def test_a_reason_that_is_too_long_and_a_lane_that_is_none_are_refused(ada: Client) -> None:
    answer = ada.post("/queues/bulk/pause/", {"reason": "x" * (lanes.REASON_LENGTH + 1)}, follow=True)
    assert "expected at most 500" in words(answer)
    assert Lane.objects.get(pk="bulk").paused_at is None
    assert ada.post("/queues/express/pause/").status_code == 404
    assert ada.get("/queues/bulk/pause/").status_code == 405


def test_who_may_only_look_can_pause_nothing(reader: Client, visitor: Visitor) -> None:
    assert "Pause the lane" not in words(reader.get("/queues/"))
    assert reader.post("/queues/bulk/pause/").status_code == 403
    client = visitor("runs.view_run", "runs.change_lane", csrf=True)
    assert client.post("/queues/bulk/pause/").status_code == 403
    assert Lane.objects.get(pk="bulk").paused_at is None


def test_a_worker_is_drained_and_takes_work_again(ada: Client) -> None:
    ready_slot("default", "bulk")
    worker = Worker.objects.get()
    answer = words(ada.post(f"/workers/{worker.pk}/drain/", follow=True))
    assert "takes no more work" in answer
    assert "draining" in answer
    assert "unserved" in answer  # none of its lanes has another
    assert "drains already" in words(ada.post(f"/workers/{worker.pk}/drain/", follow=True))
    assert "takes work again" in words(ada.post(f"/workers/{worker.pk}/resume/", follow=True))
    assert "doesn't drain" in words(ada.post(f"/workers/{worker.pk}/resume/", follow=True))
    assert Worker.objects.get().draining_at is None
    assert ada.post("/workers/123456789/drain/").status_code == 404


def test_who_may_only_look_drains_nothing(reader: Client) -> None:
    ready_slot("bulk")
    worker = Worker.objects.get()
    assert "Drain" not in words(reader.get("/queues/"))
    assert reader.post(f"/workers/{worker.pk}/drain/").status_code == 403


def test_it_shows_what_came_and_went_how_busy_slots_are_and_how_the_broker_is(ada: Client) -> None:
    make_run()
    ready_slot("high")
    Worker.objects.update(memory_bytes=200 * 2**20)
    shown = words(ada.get("/queues/"))
    assert "Launched in each minute: 0 in all" in shown
    assert "1 of 1 slots busy" in shown
    assert "200.0\xa0MB" in ada.get("/queues/").content.decode()
    assert "redis+socket:" in shown
    assert "Hints unread" in shown


def test_a_broker_that_is_away_takes_nothing_else_from_the_page(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = partial(current_app.connection_for_write, "redis://:geheim@127.0.0.1:1/0")
    monkeypatch.setattr(current_app, "connection_for_write", dead)
    shown = words(ada.get("/queues/"))
    assert "doesn’t answer" in shown
    assert "redis://:**@127.0.0.1:1/0" in shown
    assert "geheim" not in shown
    assert "HEADWAY_HIGH_SLOTS" in shown


def test_a_worker_is_pinged_and_says_how_long_it_took(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ready_slot("bulk")
    worker = Worker.objects.get()
    monkeypatch.setattr("runs.pinging.time.sleep", lambda _: pinging.answer(worker.pk))
    assert "answered after" in words(ada.post(f"/workers/{worker.pk}/ping/", follow=True))
    assert "a ping took" in words(ada.get("/queues/"))


def test_a_worker_that_is_silent_is_said_to_be(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ready_slot("bulk")
    worker = Worker.objects.get()
    monkeypatch.setattr(pinging.ping, "__kwdefaults__", {"patience": 0.01})
    assert "did not answer" in words(ada.post(f"/workers/{worker.pk}/ping/", follow=True))
    assert "a ping got no answer" in words(ada.get("/queues/"))


def test_all_that_is_paused_is_listed_and_resumed_there(ada: Client) -> None:
    job = make_job(name="Nightly report", slug="nightly")
    schedule = make_schedule(make_job(), name="at two")
    campaign = orders.order(orders.Order(job=make_job(), name="spring"), [(1, {"key": "a"})]).campaign
    tending.at_once(campaign)
    lanes.pause(Lane.objects.get(pk="bulk"), by="eve", reason="the mail server is down")
    pausing.pause(job, by="eve", until=timezone.now() + timedelta(hours=1))
    triggers_pausing.pause(schedule, by="eve")
    campaigns.pause(campaign, by="eve", reason="a typo")
    shown = words(ada.get("/queues/"))
    for told in ("the mail server is down", "Nightly report", "at two", "a typo", "somebody resumes it"):
        assert told in shown
    for named in ("lane:bulk", "job:nightly", f"schedule:{schedule.pk}", f"campaign:{campaign.pk}"):
        assert f'value="{named}"' in shown
        assert "Resumed the" in words(ada.post("/pauses/end/", {"pause": named}, follow=True))
    assert "Nothing is paused." in words(ada.get("/queues/"))
    assert "There is no paused job" in words(ada.post("/pauses/end/", {"pause": "job:nightly"}, follow=True))
    assert ada.post("/pauses/end/", {"pause": "tag:x"}).status_code == 404


def test_a_pause_that_ended_by_itself_is_not_listed(ada: Client) -> None:
    job = make_job()
    pausing.pause(job, by="eve", until=timezone.now() + timedelta(hours=1))
    Job.objects.filter(pk=job.pk).update(paused_until=timezone.now() - timedelta(seconds=1))
    assert "Nothing is paused." in words(ada.get("/queues/"))


def test_who_may_only_look_ends_no_pause_and_resets_nothing(reader: Client) -> None:
    lanes.pause(Lane.objects.get(pk="bulk"), by="eve")
    circuit = Circuit.objects.create(target="host:api.example")
    assert "Resume" not in words(reader.get("/queues/"))
    assert reader.post("/pauses/end/", {"pause": "lane:bulk"}).status_code == 403
    assert reader.post(f"/circuits/{circuit.pk}/reset/").status_code == 403
    assert Lane.objects.get(pk="bulk").paused_at is not None


def test_a_circuit_breaker_of_a_host_is_reset_there(ada: Client) -> None:
    now = sweep.database_now()
    circuit = Circuit.objects.create(
        target="host:api.example", failures=5, calls=9, opened_at=now, open_until=now + timedelta(minutes=5)
    )
    shown = words(ada.get("/queues/"))
    assert "host:api.example" in shown
    assert "5 of 9" in shown
    assert "is closed" in words(ada.post(f"/circuits/{circuit.pk}/reset/", follow=True))
    assert "was closed already" in words(ada.post(f"/circuits/{circuit.pk}/reset/", follow=True))
    assert ada.post("/circuits/123456789/reset/").status_code == 404


def test_a_target_is_paused_there_until_a_time_and_resumed(ada: Client) -> None:
    run = make_run(target="shop-7")
    assert 'href="/queues/?target=shop-7#pauses"' in words(ada.get(f"/runs/{run.pk}/"))
    assert 'value="shop-7"' in words(ada.get("/queues/?target=shop-7"))
    asked = {"target": "shop-7", "reason": "moving house", "until": "2100-01-31T09:30"}
    shown = words(ada.post("/targets/pause/", asked, follow=True))
    assert "Paused the target shop-7." in shown
    assert "moving house" in shown
    assert "is paused by ada" in words(ada.get(f"/runs/{run.pk}/"))
    assert "Resumed the target shop-7." in words(
        ada.post("/pauses/end/", {"pause": "target:shop-7"}, follow=True)
    )
    assert claim_one(make_slot()).id == run.pk


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "expected 1 to 200"),
        ({"target": "a", "until": "soon"}, "is not a time"),
        ({"target": "a", "until": "2001-01-31T09:30"}, "is over"),
    ],
)
def test_what_can_be_no_pause_of_a_target_is_refused_there(
    ada: Client, asked: dict[str, str], said: str
) -> None:
    assert said in words(ada.post("/targets/pause/", asked, follow=True))
    assert not PausedTarget.objects.exists()


def test_who_may_only_look_pauses_no_target(reader: Client) -> None:
    assert "Pause a target" not in words(reader.get("/queues/"))
    assert reader.post("/targets/pause/", {"target": "a"}).status_code == 403

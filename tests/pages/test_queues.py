"""The page /queues/: what each lane holds and who serves it, and pausing it by people who may."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import lanes, queues, sweep
from runs.models import Lane, Worker
from tests.factories import claim_one, make_run, make_slot
from tests.pages.conftest import Visitor, words

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

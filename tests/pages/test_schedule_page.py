"""The page /schedules/<id>/: "did it run last Tuesday?", missed slots, backfills, and what the scheduler knows."""

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from runs import firing
from runs.models import Heartbeat, Run
from tests.factories import make_schedule
from tests.pages.conftest import text, words
from tests.runs.test_catching_up import down_since
from tests.runs.test_firing import at
from triggers.models import Occurrence

pytestmark = pytest.mark.django_db


def test_it_says_whether_it_ran_on_a_day(ada: Client) -> None:
    trigger = down_since(3)
    firing.fire_due(at(6, 0, 5))
    run = Run.objects.get()
    page = words(ada.get(f"/schedules/{trigger.pk}/?on=2026-03-10"))
    assert f'href="/runs/{run.pk}/">#{run.pk}</a>' in page
    assert "Tue 2026-03-10 06:00 UTC" in page
    assert "5.0 s after" in page
    assert "misfire policy" in page
    assert page.count("The ledger does not know it") == 4  # before it was made at 03:00
    assert page.count("It has come and was not fired yet") == 17  # after 06:00


def test_missed_slots_are_run_and_dismissed_on_the_page(ada: Client) -> None:
    trigger = down_since(1)
    url = f"/schedules/{trigger.pk}/"
    with time_machine.travel(at(5, 40)):
        assert "Missed slots" in words(ada.get(url))
        ada.post(f"{url}slots/", {"act": "run", "slot": ["2026-03-10T03:00:00+00:00"]})
        assert Run.objects.get().slot == at(3)
        ada.post(f"{url}slots/", {"act": "dismiss", "slot": ["2026-03-10T02:00:00+00:00"]})
        ada.post(f"{url}slots/", {"act": "run", "all": "yes"})
        answer = ada.post(f"{url}slots/", {"act": "run", "slot": ["soon"]}, follow=True)
        assert "is not an instant" in words(answer)
        assert "Missed slots" not in words(ada.get(url))
    found = Occurrence.objects.order_by("slot").values_list("outcome", flat=True)
    assert list(found) == ["dismissed", "fired", "due", "due"]


def test_a_backfill_lists_its_slots_before_it_runs_them(ada: Client) -> None:
    trigger = make_schedule(cron="0 2 * * *", overlap="allow")
    url = f"/schedules/{trigger.pk}/"
    page = ada.get(f"{url}?from=2026-03-10&to=2026-03-12")
    assert "Run the 3 that did not run" in words(page)
    assert not Run.objects.exists()
    slots = [f"2026-03-{day}T02:00:00+00:00" for day in (10, 11, 12)]
    assert all(f'value="{slot}"' in text(page) for slot in slots)
    ada.post(f"{url}slots/", {"act": "run", "slot": slots})
    assert [run.slot for run in Run.objects.order_by("pk")] == [at(2, day=day) for day in (10, 11, 12)]
    assert "choose a shorter one" in words(ada.get(f"{url}?from=1990-01-01&to=2026-03-12"))
    assert "before the first one" in words(ada.get(f"{url}?from=2026-03-12&to=2026-03-10"))
    assert ada.get(f"{url}?from=nonsense&to=2026-99-99&on=0001-01-01").status_code == 200


def test_slots_are_shown_by_the_clock_of_the_schedule(ada: Client) -> None:
    trigger = make_schedule(timezone="America/New_York")
    for day, outcome in ((10, "missed"), (11, "skipped")):
        Occurrence.objects.create(trigger=trigger, slot=at(6, day=day), outcome=outcome)
    page = words(ada.get(f"/schedules/{trigger.pk}/"))
    assert page.count("Tue 2026-03-10 02:00 EDT") == 2, "among the missed ones and in the ledger"
    assert "Wed 2026-03-11 02:00 EDT" in page


def test_a_schedule_is_paused_and_run_on_its_page(ada: Client) -> None:
    trigger = make_schedule()
    url = f"/schedules/{trigger.pk}/"
    assert "Turn off" in words(ada.get(url))
    page = words(ada.post("/schedules/acts/", {"only": f"pause:{trigger.pk}", "next": url}, follow=True))
    assert "by ada" in page
    assert "Resume" in page
    ada.post("/schedules/acts/", {"only": f"fire:{trigger.pk}", "next": url})
    assert Run.objects.get().trigger_kind == "manual"


def test_it_says_what_the_scheduler_knows(ada: Client) -> None:
    trigger = make_schedule()
    assert "changed just now" in words(ada.get(f"/schedules/{trigger.pk}/"))
    firing.fire_due(timezone.now())
    assert "No beat ticks" in words(ada.get(f"/schedules/{trigger.pk}/"))
    Heartbeat.objects.create(name="beat:1", at=timezone.now(), detail={"pid": 7, "hostname": "tower"})
    assert "7@tower" in words(ada.get(f"/schedules/{trigger.pk}/"))


def test_only_those_who_may_fire_decide_about_slots(reader: Client) -> None:
    trigger = down_since(1)
    assert "Run chosen" not in words(reader.get(f"/schedules/{trigger.pk}/"))
    assert reader.post(f"/schedules/{trigger.pk}/slots/", {"act": "run", "all": "yes"}).status_code == 403
    assert reader.get("/schedules/0/").status_code == 404
    assert f'href="/schedules/{trigger.pk}/#missed-title">missed slots' in words(reader.get("/schedules/"))

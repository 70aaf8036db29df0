"""The page /schedules/."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import firing
from tests.factories import make_job, make_run, make_schedule
from tests.pages.conftest import Visitor, text, words
from triggers.models import Occurrence

pytestmark = pytest.mark.django_db


def test_a_schedule_shows_its_sentence_zone_next_and_last_slot(ada: Client) -> None:
    trigger = make_schedule(make_job(name="Report"), name="nightly", timezone="Europe/Berlin")
    firing.fire_due(timezone.now())
    run = make_run(trigger.job)
    now = timezone.now()
    Occurrence.objects.create(trigger=trigger, slot=now - timedelta(days=2), outcome="missed", reason="down")
    Occurrence.objects.create(trigger=trigger, slot=now - timedelta(days=1), outcome="fired", run_id=run.pk)
    page = words(ada.get("/schedules/"))
    for shown in ("Report", "nightly", "Daily at 2:00 AM", "Europe/Berlin", f'href="/runs/{run.pk}/"'):
        assert shown in page
    assert "Last 2 slots: 1 queued, 1 missed; the newest queued" in page
    assert re.search(r'data-label="Next"[^>]*><time ', page)


def test_a_slot_that_led_to_no_run_says_why(ada: Client) -> None:
    trigger = make_schedule()
    Occurrence.objects.create(
        trigger=trigger, slot=timezone.now(), outcome="skipped", reason="The job was paused."
    )
    page = words(ada.get("/schedules/"))
    assert '<span title="The job was paused.">skipped</span>' in page


def test_what_is_off_or_paused_is_marked_and_comes_last(ada: Client) -> None:
    make_schedule(make_job(slug="off-job"), enabled=False)
    make_schedule(make_job(slug="paused-job", status="paused"))
    page = words(ada.get("/schedules/"))
    assert re.findall(r'<a class="name" href="/jobs/([a-z-]+)/', page) == ["paused-job", "off-job"]
    assert page.count('class="held"') == 2
    assert '<span class="badge">off</span>' in page


def test_schedules_are_found_by_job_and_name_and_two_texts_say_nothing(ada: Client) -> None:
    assert "No schedules yet." in words(ada.get("/schedules/"))
    make_schedule(make_job(slug="one"), name="nightly")
    make_schedule(make_job(slug="two"), name="hourly")
    assert "/jobs/one/" in text(ada.get("/schedules/?q=NIGHT"))
    assert "/jobs/two/" not in text(ada.get("/schedules/?q=NIGHT"))
    assert "/jobs/two/" in text(ada.get("/schedules/?q=two"))
    assert "No schedule matches “zzz”." in words(ada.get("/schedules/?q=zzz"))


def test_the_page_costs_few_queries_however_many_schedules_there_are(visitor: Visitor) -> None:
    for _ in range(30):
        trigger = make_schedule()
        Occurrence.objects.create(trigger=trigger, slot=timezone.now(), outcome="missed")
    client = visitor("runs.view_run")
    with CaptureQueriesContext(connection) as queries:
        client.get("/schedules/")
    assert len(queries) <= 12

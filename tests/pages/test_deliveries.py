"""The pages /deliveries/, and what the pages of jobs and runs say of events."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.models import Run
from tests.api.test_events import send
from tests.factories import make_event, make_job
from tests.pages.conftest import Visitor, words
from triggers.models import Delivery, Trigger

pytestmark = pytest.mark.django_db


def test_the_inbox_says_what_became_of_each_delivery(ada: Client) -> None:
    trigger, secret = make_event(make_job(name="Ship"))
    Trigger.objects.create(job=make_job(name="Bill"), kind="event", source=trigger, events=["order.lost"])
    send(trigger, secret)
    send(trigger, "another secret")
    page = words(ada.get("/deliveries/"))
    run = Run.objects.get()
    for part in (
        f'Ship: started <a href="/runs/{run.pk}/">#{run.pk}</a>',
        "Bill (Event): not started",
        "The event is 'order.paid'; expected one of order.lost.",
        "The signature is none that a valid secret makes of this body.",
    ):
        assert part in page
    only = words(ada.get("/deliveries/", {"verdict": "refused", "trigger": str(trigger.pk)}))
    assert "Ship: started" not in only
    assert "refused" in only


def test_the_list_costs_as_much_for_many_as_for_one(ada: Client) -> None:
    trigger, secret = make_event()
    for _ in range(3):
        send(trigger, secret)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ada.get("/deliveries/")
    assert len(queries) <= 8


def test_empty_and_nothing_matches_are_told_apart(ada: Client) -> None:
    assert "Nothing has come yet." in words(ada.get("/deliveries/"))
    assert "No delivery matches." in words(ada.get("/deliveries/", {"verdict": "refused"}))
    for odd in ("trigger=x", "trigger=99999999999999999999", "after=-1", "verdict=nice"):
        assert ada.get(f"/deliveries/?{odd}").status_code == 200
    page = words(ada.get("/deliveries/?verdict=nice&trigger=x"))
    assert "'nice' is not a known verdict: expected one of" in page
    assert "'x' is no address" in page


def test_a_delivery_shows_headers_and_body_without_secrets(ada: Client) -> None:
    trigger, secret = make_event(scheme="token")
    send(trigger, secret, {"token": "hunter2", "n": "<b>"})
    page = words(ada.get(f"/deliveries/{Delivery.objects.get().pk}/"))
    assert '"n": "<b>"' in page
    assert "hunter2" not in page
    assert secret not in page
    assert ada.get("/deliveries/99999999/").status_code == 404
    assert ada.get("/deliveries/99999999999999999999999/").status_code == 404


def test_a_delivery_is_replayed_by_who_may(ada: Client, visitor: Visitor) -> None:
    trigger, secret = make_event()
    send(trigger, secret)
    number = Delivery.objects.get().pk
    page = words(ada.post(f"/deliveries/{number}/replay/", follow=True))
    again = Run.objects.latest("pk")
    assert f"Replayed delivery {number}: started #{again.pk}." in page
    assert again.cause.endswith("replayed by ada")
    assert "replayed by ada" in page
    page = words(ada.post(f"/deliveries/{number}/replay/", {"trigger": str(trigger.pk + 1)}, follow=True))
    assert "None of these triggers hears" in page
    reader = visitor("triggers.view_delivery")
    assert "Replay" not in words(reader.get(f"/deliveries/{number}/"))
    assert reader.post(f"/deliveries/{number}/replay/").status_code == 403
    assert visitor("runs.view_run").get("/deliveries/").status_code == 403


def test_the_job_and_the_run_lead_to_the_delivery(ada: Client) -> None:
    trigger, secret = make_event(events=["order.paid"], debounce_seconds=0)
    job_page = f"/jobs/{trigger.job.slug}/"
    assert "Nothing has come yet." in words(ada.get(job_page))
    send(trigger, secret)
    page = words(ada.get(job_page))
    assert f"/api/events/{trigger.public_id}" in page
    assert "order.paid" in page
    assert "Last: fired" in page
    run, delivery = Run.objects.get(), Delivery.objects.get()
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert f'<a href="/deliveries/{delivery.pk}/">Delivery {delivery.pk}</a>' in page
    assert f"Event order.paid at orders, delivery {delivery.pk}." in page

"""The admin of event triggers: a secret is shown once, deliveries are told, tests are sent."""

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from runs.models import Run
from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.api.test_events import send
from tests.factories import make_event, make_job
from triggers.models import Delivery, Secret, Trigger

ADD = "triggers_eventtrigger_add"
CHANGE = "triggers_eventtrigger_change"
pytestmark = pytest.mark.django_db


def test_a_secret_that_was_made_is_shown_once(boss: Client) -> None:
    job = make_job()
    sent = form_of(boss, address(ADD)) | {"job": job.pk, "name": "orders", "scheme": "hmac"}
    page = boss.post(address(ADD), sent | {"events": "order.paid\norder.lost"})
    trigger = Trigger.objects.get(kind="event")
    found = re.search(r'id="new-secret"[^>]*>([^<]+)<', page.content.decode())
    assert found
    assert "no-store" in page["Cache-Control"]
    assert trigger.events == ["order.paid", "order.lost"]
    assert send(trigger, found[1], {"type": "order.paid"}).status_code == 202
    again = boss.get(address(CHANGE, trigger.pk)).content.decode()
    assert found[1] not in again
    assert str(trigger.public_id) in again
    assert f"#{Run.objects.get().pk}" in again


def test_a_secret_that_was_typed_is_never_shown(boss: Client) -> None:
    sent = form_of(boss, address(ADD)) | {"job": make_job().pk, "scheme": "github", "secret": "open sesame"}
    assert boss.post(address(ADD), sent).status_code == 302
    trigger = Trigger.objects.get(kind="event")
    assert "sesame" not in boss.get(address(CHANGE, trigger.pk)).content.decode()
    assert send(trigger, "open sesame").status_code == 202


def test_what_is_wrong_is_said_at_its_field_and_no_secret_is_repeated(boss: Client) -> None:
    sent = form_of(boss, address(ADD)) | {"job": make_job().pk, "scheme": "hmac", "secret": "tiny"}
    page = boss.post(address(ADD), sent | {"filter": '{"at": "x"}', "mapping": '{"x": 5}'})
    told = text_of(page)
    for part in ("expected 8 to 500", "expected 'at' with one of", "expected a JSON Pointer"):
        assert part in told
    assert "tiny" not in page.content.decode()
    assert not Trigger.objects.filter(kind="event").exists()
    told = text_of(
        boss.post(address(ADD), form_of(boss, address(ADD)) | {"job": make_job().pk, "scheme": ""})
    )
    assert "expected one of standard" in told


def test_without_the_vault_s_key_the_form_says_so(boss: Client, settings: Settings) -> None:
    settings.VAULT_KEYS = []
    page = boss.post(address(ADD), form_of(boss, address(ADD)) | {"job": make_job().pk, "scheme": "hmac"})
    assert "HEADWAY_VAULT_KEYS is not set" in text_of(page)


def test_saving_a_trigger_as_it_is_keeps_its_secret(boss: Client) -> None:
    trigger, secret = make_event(filter={"at": "/type", "exists": True})
    url = address(CHANGE, trigger.pk)
    assert boss.post(url, form_of(boss, url) | {"name": "renamed"}).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.name, trigger.filter) == ("renamed", {"at": "/type", "exists": True})
    assert Secret.objects.count() == 1
    assert send(trigger, secret).status_code == 202


def test_buttons_send_a_test_and_make_a_new_secret(boss: Client, login: Login) -> None:
    trigger, old = make_event()
    page = boss.post(address("triggers_eventtrigger_send_test", trigger.pk), follow=True)
    assert f"run #{Run.objects.get().pk}" in text_of(page)
    assert Delivery.objects.get().is_test
    shown = boss.post(address("triggers_eventtrigger_rotate", trigger.pk)).content.decode()
    found = re.search(r'id="new-secret"[^>]*>([^<]+)<', shown)
    assert found
    for secret in (old, found[1]):
        assert send(trigger, secret).status_code == 202
    reader = login("triggers.view_trigger")
    assert reader.post(address("triggers_eventtrigger_rotate", trigger.pk)).status_code == 403


def test_a_trigger_whose_address_others_hear_of_is_not_deleted(boss: Client) -> None:
    trigger, _ = make_event()
    Trigger.objects.create(job=make_job(), kind="event", source=trigger)
    url = address("triggers_eventtrigger_delete", trigger.pk)
    assert "hears of its address" in text_of(boss.get(url))
    boss.post(url, {"post": "yes"})
    assert Trigger.objects.filter(pk=trigger.pk).exists()


def test_lists_and_deliveries_can_be_read_and_not_changed(boss: Client) -> None:
    trigger, secret = make_event()
    send(trigger, secret)
    send(trigger, "another secret")
    assert "HMAC" in text_of(boss.get(address("triggers_eventtrigger_changelist")))
    assert "Refused The signature" in text_of(boss.get(address("triggers_delivery_changelist")))
    entry = Delivery.objects.filter(verdict="accepted").get()
    page = boss.get(address("triggers_delivery_change", entry.pk))
    assert json.dumps(entry.headers, ensure_ascii=False, indent=2)[:10] in page.content.decode().replace(
        "&quot;", '"'
    )
    assert boss.post(address("triggers_delivery_change", entry.pk), {}).status_code == 403
    assert boss.get(address("triggers_delivery_add")).status_code == 403


def test_the_list_of_deliveries_counts_nothing_and_pages_by_id(boss: Client) -> None:
    trigger, _ = make_event()
    for number in range(60):
        Delivery.objects.create(trigger=trigger, key=f"d-{number}", verdict="accepted", headers={})
    with CaptureQueriesContext(connection) as queries:
        page = boss.get(address("triggers_delivery_changelist"))
    assert not [query for query in queries if "COUNT(" in query["sql"]]
    older = re.search(r'<a href="(\?before=\d+)" rel="next">', page.content.decode())
    assert older
    assert "10 on this page" in boss.get(address("triggers_delivery_changelist") + older[1]).content.decode()

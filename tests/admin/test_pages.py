"""Every page of the admin opens, for those who may see it, without anything the site's policy forbids."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications import sending
from runs import bulk, deliveries, lists, orders, targets
from runs.models import Circuit, Run
from tests.admin.conftest import Login
from tests.factories import (
    make_dependency,
    make_event,
    make_job,
    make_rule,
    make_run,
    make_schedule,
    make_slot,
    make_source,
    make_user,
)
from triggers import keys
from triggers.models import Calendar, Occurrence

OURS = ("jobs", "triggers", "notifications", "runs")


def cast() -> None:
    job = make_job()
    entry = {"trigger": make_schedule(job), "slot": timezone.now(), "outcome": "missed"}
    Occurrence.objects.create(**entry)
    make_dependency(job)
    deliveries.send_test(make_event(job)[0])
    make_source("queue", options={"stream": "orders"}, secret="redis://localhost/0")
    make_run(job)
    bulk.order(Run.objects.all(), act="cancel", words="all runs", user=None)
    orders.order(orders.Order(job=job, name="spring"), [(1, {"key": "a"})])
    Circuit.objects.create(target="job:calls")
    targets.pause("shop-7", by="ada")
    lists.save("all", [(1, {"key": "a"})], is_text=False, by="ada")
    make_slot()
    keys.issue(name="ci", owner=make_user())
    Calendar.objects.create(name="holidays", closed="2026-12-25")
    rule = make_rule("failed", job=job)
    sending.send_test(rule.channel, by="ada")


def panels() -> list[Any]:
    return [found for found in admin.site._registry.values() if found.opts.app_label in OURS]


def pages() -> list[str]:
    found = [reverse("admin:index")]
    for panel in panels():
        name = f"admin:{panel.opts.app_label}_{panel.opts.model_name}"
        found.append(reverse(f"{name}_changelist"))
        one = panel.model.objects.order_by("-pk").filter(**_of(panel)).first()
        assert one, f"the cast has no {panel.opts.model_name}"
        found += [reverse(f"{name}_{view}", args=[one.pk]) for view in ("change", "history")]
    return found


def _of(panel: Any) -> dict[str, Any]:
    return {"kind": panel.kind} if hasattr(panel, "kind") else {}


def test_every_page_opens_for_a_superuser_without_inline_code(boss: Client) -> None:
    cast()
    for url in pages():
        page = boss.get(url)
        assert page.status_code == 200, url
        body = page.content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=", body), url


def test_nothing_is_shown_to_people_without_permissions(login: Login) -> None:
    cast()
    client = login()
    for url in pages()[1:]:
        hidden = client.get(url)
        # Somebody else's key is not even known to be there.
        assert hidden.status_code == 403 or hidden.headers["Location"] == reverse("admin:index"), url


def test_strangers_are_sent_to_the_login() -> None:
    assert reverse("admin:login") in Client().get(reverse("admin:index")).headers["Location"]


@pytest.mark.parametrize("number", ["0", "abc", "1%00", "99999999999999999999999", "-1", "1/2"])
def test_an_address_of_nothing_is_no_error(boss: Client, number: str) -> None:
    cast()
    for panel in panels():
        root = reverse(f"admin:{panel.opts.app_label}_{panel.opts.model_name}_changelist")
        assert boss.get(f"{root}{number}/change/", follow=True).status_code in (200, 404)
        for button in ("run", "pause", "cancel", "revoke", "enable"):
            assert boss.post(f"{root}{number}/{button}/", follow=True).status_code in (200, 404)

"""runs.deliveries, from several connections at once."""

import threading
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from runs import deliveries
from runs.models import Run
from tests.factories import make_event
from triggers.events.base import Received
from triggers.events.schemes import SCHEMES
from triggers.models import Batch, Delivery, Trigger

BODY = b'{"type": "order.paid"}'


def at_once(trigger: Trigger, secret: str, keys: list[str]) -> list[Any]:
    """Takes deliveries with these ids at the same moment; returns what came of them."""
    together, taken = threading.Barrier(len(keys)), []

    def send(key: str) -> None:
        now = timezone.now()
        headers = SCHEMES["standard"].sign(BODY, secret=secret, key=key, at=now, options={})
        together.wait(30)
        taken.append(deliveries.take(trigger, Received(headers=headers, body=BODY, at=now)))
        connections.close_all()

    threads = [threading.Thread(target=send, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return taken


@pytest.mark.usefixtures("own_database", "broker")
def test_deliveries_at_the_same_moment_are_taken_once_and_gathered_once() -> None:
    trigger, secret = make_event(scheme="standard")
    taken = at_once(trigger, secret, ["msg_1"] * 4)
    assert sorted(each.is_new for each in taken) == [False, False, False, True]
    assert all(each.answer == taken[0].answer for each in taken)
    assert (Run.objects.count(), Delivery.objects.get().repeats) == (1, 3)
    Trigger.objects.filter(pk=trigger.pk).update(debounce_seconds=60, debounce_limit=3)
    trigger.refresh_from_db()
    at_once(trigger, secret, ["a", "b", "c", "d"])
    assert Run.objects.count() == 2
    assert Batch.objects.get().count == 1

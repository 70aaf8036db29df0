"""runs.beat and runs.sending: of several beats one sends the ordinary entries, and another takes over."""

import json
from datetime import timedelta

import pytest
import redis
from celery import current_app
from django.db.models import F
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from runs import sending
from runs.beat import Scheduler
from runs.models import Heartbeat
from tests.factories import make_job

# The scheduler ends and begins transactions and connections as it likes.
pytestmark = pytest.mark.usefixtures("own_database")


def beat() -> Scheduler:
    """A beat whose entries are looked at when the test says so."""
    return Scheduler(app=current_app, lazy=True)


def sent(broker: redis.Redis) -> int:
    return int(broker.llen("high") + broker.llen("default") + broker.llen("bulk"))


def fall_silent() -> None:
    """As if the sender had not renewed its lease for longer than it lasts."""
    old = timedelta(seconds=sending.LEASE_SECONDS + 1)
    Heartbeat.objects.filter(name=sending.NAME).update(at=F("at") - old)


def make_entry() -> PeriodicTask:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    return PeriodicTask.objects.create(
        name="hourly",
        task="runs.launch_job",
        interval=hourly,
        queue="default",
        kwargs=json.dumps({"job": make_job().slug}),
        last_run_at=timezone.now() - timedelta(hours=2),
    )


def test_of_two_beats_one_sends_an_entry(broker: redis.Redis) -> None:
    make_entry()
    beats = [beat(), beat()]
    for _ in range(3):
        for each in beats:
            each.tick()
    assert sent(broker) == 1
    assert [each.is_sender for each in beats] == [True, False]


def test_another_beat_takes_over_and_repeats_nothing(broker: redis.Redis) -> None:
    entry = make_entry()
    first, second = beat(), beat()
    first.tick()
    second.tick()
    fall_silent()
    second.tick()
    first.tick()
    assert (first.is_sender, second.is_sender) == (False, True)
    assert sent(broker) == 1
    fall_silent()
    entry.refresh_from_db()
    assert entry.total_run_count == 1
    PeriodicTask.objects.filter(pk=entry.pk).update(last_run_at=timezone.now() - timedelta(hours=2))
    first.tick()
    second.tick()
    assert sent(broker) == 2


def test_a_beat_that_ends_hands_over_at_once() -> None:
    first, second = beat(), beat()
    first.tick()
    first.close()
    assert sending.sender() is None
    second.tick()
    assert second.is_sender

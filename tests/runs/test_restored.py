"""runs.restored: a database that was restored or copied fires nothing of another day, and forgets no schedule."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from runs import firing, restored
from runs.models import Run
from tests.factories import make_schedule
from tests.servers import Servers
from triggers.models import Occurrence, Trigger

DAYS_AGO = timedelta(days=3)


@pytest.fixture
def copied(own_database: str, servers: Servers) -> Iterator[Trigger]:
    """A schedule in a copy of its database, in which its last slots came three days ago."""
    trigger = make_schedule(cron="* * * * *", misfire="run_each")
    assert restored.look() == 0
    firing.fire_due(timezone.now())
    long_ago = timezone.now().replace(second=0, microsecond=0) - DAYS_AGO
    Trigger.objects.update(next_slot=long_ago, next_run_at=long_ago)
    Occurrence.objects.create(trigger=trigger, slot=long_ago - DAYS_AGO, outcome="waiting", until=long_ago)
    connection.close()
    copy = f"{own_database}_copy"
    with psycopg.connect(servers.postgres.url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{own_database}" STRATEGY FILE_COPY')
        connection.settings_dict["NAME"] = copy
        yield trigger
        connection.close()
        connection.settings_dict["NAME"] = own_database
        admin.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def test_a_restored_schedule_fires_its_next_slot_and_none_of_another_day(copied: Trigger) -> None:
    assert restored.look() == 1
    assert restored.look() == 0
    now = timezone.now()
    firing.fire_due(now)
    assert not Run.objects.exists()
    copied.refresh_from_db()
    assert copied.next_slot is not None
    assert now - timedelta(minutes=1) < copied.next_slot <= now + timedelta(minutes=2)
    entries = Occurrence.objects.filter(trigger=copied)
    assert [entry.outcome for entry in entries] == ["missed", "missed"]
    assert all("restored" in entry.reason for entry in entries)
    firing.fire_due(copied.next_slot)
    assert Run.objects.get().slot == copied.next_slot

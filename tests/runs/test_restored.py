"""runs.restored: a database that was restored or copied fires nothing of another day, and forgets no schedule."""

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from config.embedded import postgres_binaries
from config.postgres import ROLE
from runs import firing, restored
from runs.models import Run
from tests.factories import make_schedule
from tests.servers import Servers
from triggers.models import Occurrence, Trigger

DAYS_AGO = timedelta(days=3)


MISSING = not all((postgres_binaries() / name).exists() for name in ("pg_dump", "pg_restore"))
DUMPED = pytest.param(
    "pg_dump", marks=pytest.mark.skipif(MISSING, reason="pg_dump and pg_restore are not beside the server")
)


@pytest.fixture(params=[DUMPED, "template"])
def copied(request: pytest.FixtureRequest, own_database: str, servers: Servers) -> Iterator[Trigger]:
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
        if request.param == "template":
            admin.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{own_database}" STRATEGY FILE_COPY')
        else:
            admin.execute(f'CREATE DATABASE "{copy}" TEMPLATE template0')
            dump_and_restore(servers, own_database, copy)
        connection.settings_dict["NAME"] = copy
        yield trigger
        connection.close()
        connection.settings_dict["NAME"] = own_database
        admin.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def dump_and_restore(servers: Servers, source: str, copy: str) -> None:
    """As an operator does it: PostgreSQL's own `pg_dump`, and its `pg_restore` into an empty database."""
    dump, restore = (servers.postgres.binaries / name for name in ("pg_dump", "pg_restore"))
    server = {"PGHOST": str(servers.postgres.sockets), "PGUSER": ROLE}
    run = partial(subprocess.run, env={**os.environ, **server}, check=True, capture_output=True)
    dumped = run([dump, "--format=custom", source]).stdout
    run([restore, "--exit-on-error", f"--dbname={copy}"], input=dumped)


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

"""runs.sweep: what stood between two stops too long is put back, one sweep at a time, and not too early."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from jobs.models import Job
from runs import dispatch, lifecycle, sweep
from runs.models import Heartbeat, Idempotency, Run, Worker
from runs.status import Status
from tests.factories import claim_one, make_run, make_slot
from tests.servers import Servers

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=settings.LEASE_SECONDS)
BETWEEN = timedelta(seconds=settings.SWEEP_SECONDS)


def lose_a_run() -> Run:
    run = make_run()
    claim_one(make_slot())
    Worker.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    return run


def test_a_sweep_rescues_enqueues_and_skips() -> None:
    now = sweep.database_now()
    sweep.run(now - BETWEEN)
    Heartbeat.objects.update(detail={"grace_until": (now - LEASE).isoformat()})
    lost = lose_a_run()
    due = make_run(run_at=now + timedelta(hours=1))
    Run.objects.filter(pk=due.pk).update(due_at=now - timedelta(seconds=1))
    unwanted = make_run()
    Job.objects.filter(pk=unwanted.job_id).update(status="inactive")
    assert sweep.run(now)
    assert Run.objects.get(pk=lost.pk).status == Status.QUEUED
    assert Run.objects.get(pk=due.pk).status == Status.QUEUED
    assert Run.objects.get(pk=unwanted.pk).status == Status.SKIPPED


def test_a_second_sweep_at_the_same_moment_does_nothing() -> None:
    now = sweep.database_now()
    assert sweep.run(now)
    assert not sweep.run(now)
    assert sweep.run(now + BETWEEN)


@pytest.mark.parametrize("failure", ["SELECT 1 / 0", "SELECT pg_sleep(600)", None])
def test_a_repair_that_fails_keeps_none_of_the_others_from_being_done(
    failure: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '20ms'")
            cursor.execute(failure or "SELECT 1")
            raise KeyError("what a repair did not expect")

    now = sweep.database_now()
    due = make_run(run_at=now + timedelta(hours=1))
    Run.objects.filter(pk=due.pk).update(due_at=now - timedelta(seconds=1))
    monkeypatch.setattr(lifecycle, "rescue", fail)
    Heartbeat.objects.create(name=sweep.NAME, at=now - BETWEEN, detail={"grace_until": now.isoformat()})
    assert sweep.run(now)
    assert Run.objects.get(pk=due.pk).status == Status.QUEUED


def test_after_a_silence_of_the_sweep_the_living_get_one_lease_to_show_up() -> None:
    now = sweep.database_now()
    sweep.run(now - LEASE * 10)
    run = lose_a_run()
    sweep.run(now)
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING
    sweep.run(now + LEASE / 4)
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING
    for step in (2, 3, 4, 5):
        sweep.run(now + LEASE * step / 4)
    assert Run.objects.get(pk=run.pk).status == Status.QUEUED


def test_old_idempotency_keys_and_long_gone_workers_are_forgotten() -> None:
    run = make_run()
    slot = make_slot()
    now = sweep.database_now()
    Idempotency.objects.create(
        credential="key:1", key="a", fingerprint="f", run=run, created_at=now - timedelta(hours=25)
    )
    Idempotency.objects.create(credential="key:1", key="b", fingerprint="f", run=run)
    Worker.objects.filter(pk=slot.worker_id).update(lease_until=now - timedelta(days=2))
    sweep.run(now)
    assert list(Idempotency.objects.values_list("key", flat=True)) == ["b"]
    assert not Worker.objects.exists()


def test_lost_hints_are_sent_again_and_never_pile_up(servers: Servers) -> None:
    import redis

    broker = redis.Redis(unix_socket_path=str(servers.valkey.socket))
    broker.flushall()
    for _ in range(3):
        make_run()
    sweep.refill()
    dispatch.publisher.flush(60)
    assert broker.llen("high") == 3
    for _ in range(50):
        sweep.refill()
        dispatch.publisher.flush(60)
    assert broker.llen("high") == 3
    broker.close()

"""runs.heartbeat: what the heartbeat process of a worker does after the database, the lease or itself was away."""

import os
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from config import health
from runs import lifecycle, workers
from runs.heartbeat import Charge, Heartbeat
from runs.models import Run, Worker, WorkerProcess
from runs.status import Status
from tests.factories import claim_one, make_run
from tests.site import SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing, as a worker without children or as a slot."""
    with subprocess.Popen(["sleep", "3600"]) as process:
        yield process
        process.kill()


def beating(parent: int) -> Heartbeat:
    return Heartbeat(name="high@test", parent=parent, lanes=["high"], concurrency=1)


def test_a_worker_whose_lease_had_passed_takes_hints_as_before(process: subprocess.Popen[bytes]) -> None:
    heartbeat = beating(process.pid)
    heartbeat.set_ready()
    heartbeat.beat(0.0)
    before = health.workers("high").get()
    Worker.objects.update(lease_until=Now())
    heartbeat.beat(3600.0)
    assert health.workers("high").get().pk > before.pk


def test_a_new_heartbeat_process_looks_after_what_the_one_before_it_left(
    process: subprocess.Popen[bytes],
) -> None:
    before, after = beating(os.getpid()), beating(os.getpid())
    before.beat(0.0)
    run = make_run()
    claim_one(WorkerProcess.objects.create(worker=Worker.objects.get(), pid=process.pid))
    after.beat(0.0)
    assert Worker.objects.get(lease_until__gt=Now()).pk == after.worker_id == before.worker_id
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="somebody")
    assert [charge.run_id for charge in after._charges()] == [run.pk]


def test_a_new_heartbeat_process_goes_on_with_the_stop_that_the_one_before_it_was_told_of(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    beating(process.pid).beat(0.0)
    monkeypatch.setattr(workers, "_stopping", bytearray(1))
    workers.tell_stopping()
    beating(process.pid).beat(0.0)
    assert Worker.objects.get().stopping_at is not None


def test_a_slot_that_was_to_be_looked_at_goes_on_if_the_database_is_away_then(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(lifecycle, "held", away)
    charge = Charge(run_id=1, token=1, pid=process.pid, cancelling=False, overdue=True)
    with pytest.raises(OperationalError):
        beating(os.getpid())._end(charge, timed_out=True)
    until = time.monotonic() + SECONDS
    while psutil.Process(process.pid).status() == psutil.STATUS_STOPPED:
        assert time.monotonic() < until
        time.sleep(0.01)

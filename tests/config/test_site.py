"""The processes of a site: they register, are seen as alive, carry out work and end when asked."""

import pytest

from config import health
from config.children import wait_until
from runs import dispatch
from runs.models import Run, Worker
from runs.status import Status
from tests.factories import make_run
from tests.site import SECONDS, Site


def test_a_worker_carries_out_a_run_and_leaves_when_asked(site: Site) -> None:
    run = make_run()
    site.start_worker("high", lanes="high,default,bulk")
    dispatch.hint(run.lane)
    assert wait_until(lambda: _status(run) == Status.SUCCEEDED, seconds=SECONDS), site.log("worker-high")
    assert health.workers("high").exists()
    site.stop("worker-high")
    assert not Worker.objects.filter(stopping_at__isnull=True).exists()


def test_a_killed_beat_is_missed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.start_beat()
    assert health.beat().ok
    site.kill("beat")
    monkeypatch.setattr(health, "BEAT_ALIVE", health.BEAT_ALIVE * 0)
    assert not health.beat().ok


def _status(run: Run) -> str:
    run.refresh_from_db()
    return run.status

"""runs.poller as a process of its own, and `manage.py poll_sources --once`."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from pytest_django import Settings

from config import health
from config.children import wait_until
from runs import polling
from runs.models import Heartbeat, Run
from runs.poller import Poller
from tests.factories import make_source
from tests.site import SECONDS, Site
from triggers.models import Source


def test_a_poller_finds_what_arrives_and_another_goes_on_when_it_is_killed(
    site: Site, tmp_path: Path, settings: Settings
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    settings.WATCH_ROOTS = [str(drop)]
    options = {"path": str(drop), "settle_seconds": 0}
    make_source(options=options, begin="beginning", interval_seconds=1, name="drop")
    assert "No poller lives" in health._sources().detail
    site.start_poller(HEADWAY_WATCH_ROOTS=str(drop))
    (drop / "a").touch()
    assert wait_until(lambda: Run.objects.count() == 1, seconds=SECONDS), site.log("poller")
    assert health._sources().ok
    site.kill("poller")
    # As if it had died while it looked: its claim is over when its lease is.
    Source.objects.update(claim=None, claimed_until=None, next_poll_at=Now())
    assert polling.claim() is not None
    Source.objects.update(claimed_until=Now())
    Heartbeat.objects.all().delete()
    (drop / "b").touch()
    site.start_poller()
    assert wait_until(lambda: Run.objects.count() == 2, seconds=SECONDS), site.log("poller")
    site.stop("poller")
    Source.objects.update(failing_since=Now() - timedelta(hours=1), last_error="It is away.")
    check = health._sources()
    assert (check.ok, check.vital) == (False, False)
    assert "drop: It is away." in check.detail


@pytest.mark.usefixtures("own_database", "broker")
def test_a_source_that_hangs_costs_one_thread_and_delays_no_other(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    (tmp_path / "a").touch()
    (tmp_path / "pipe").mkdir()
    options = {"path": str(tmp_path), "settle_seconds": 0}
    hanging = make_source(name="hanging", options={**options, "path": str(tmp_path / "pipe")})
    make_source(name="good", options=options, begin="beginning")
    released, real = threading.Event(), os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "pipe":
            released.wait(SECONDS)
        return real(path)

    monkeypatch.setattr("triggers.sources.folder.os.scandir", scandir)
    monkeypatch.setattr(polling, "LEASE", timedelta(seconds=0))  # long over
    poller = Poller(threads=2)
    running = threading.Thread(target=poller.run)
    running.start()
    try:
        assert wait_until(lambda: Run.objects.count() == 1, seconds=SECONDS)
        assert poller.busy >= {hanging.pk}
        polling.hurry(hanging)
        (tmp_path / "b").touch()
        Source.objects.filter(name="good").update(next_poll_at=Now())
        assert wait_until(lambda: Run.objects.count() == 2, seconds=SECONDS)
    finally:
        released.set()
        poller.stop()
        running.join(SECONDS)
    assert not running.is_alive()


@pytest.mark.django_db
def test_once_polls_what_is_due_and_says_what_came_of_it(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    (tmp_path / "a").touch()
    options = {"path": str(tmp_path), "settle_seconds": 0}
    make_source(name="good", options=options, begin="beginning")
    call_command("poll_sources", "--once")
    assert capsys.readouterr().out == "good: 1 new\n"
    make_source(name="bad", options={**options, "path": str(tmp_path / "away")})
    with pytest.raises(SystemExit):
        call_command("poll_sources", "--once", "--source", "bad")
    assert "bad: The folder" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no source 'x'; there are: bad, good"):
        call_command("poll_sources", "--once", "--source", "x")
    for wrong in (("--threads", "0"), ("--source", "good")):
        with pytest.raises(CommandError):
            call_command("poll_sources", *wrong)

"""What `doctor` says when things are missing, each with what to do."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from config import health
from runs import sweep
from runs.models import Heartbeat, Run
from tests.factories import make_run
from tests.servers import Servers
from tests.site import Site


def told(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--no-color")
    assert ended.value.code == 1
    return capsys.readouterr().out


def test_the_doctor_names_what_is_missing_and_the_command_that_helps(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys)
    assert "not ok  worker:high: No live worker takes the lane high." in said
    assert "celery -A config worker -Q high" in said
    assert "celery -A config beat" in said
    assert "ok      database: PostgreSQL 18" in said


def test_a_migration_that_was_not_applied_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(name for app, name in health._newest_migrations() if app == "runs")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'runs' AND name = %s", [name])
    said = told(capsys)
    assert f"not ok  migrations: Not applied: runs.{name}." in said
    assert "manage.py migrate" in said


def test_a_dead_broker_is_noticed(servers: Servers, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    servers.kill("valkey")
    try:
        assert "not ok  broker: The broker doesn't answer" in told(capsys)
    finally:
        servers.start_valkey()


def test_a_database_that_is_away_is_the_first_thing_said(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.close()
    options = dict(connection.settings_dict["OPTIONS"])
    connection.settings_dict["OPTIONS"]["host"] = "/nowhere"
    try:
        said = told(capsys)
    finally:
        connection.settings_dict["OPTIONS"] = options
    assert "not ok  database: PostgreSQL refused" in said
    assert "not ok  beat: Unknown until the checks above are ok." in said


def test_everything_alive_is_ready(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.start_worker("all", lanes="high,default,bulk")
    site.start_beat()
    call_command("doctor", "--no-color")
    call_command("doctor", "worker:bulk", "beat")
    assert "All is well." in capsys.readouterr().out


def test_a_check_that_does_not_exist_is_refused_with_the_names_there_are(site: Site) -> None:
    with pytest.raises(CommandError, match=r"no check worker:huge; expected some of database, .*broker"):
        call_command("doctor", "worker:huge")


def test_one_check_can_be_asked_for(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", "database")
    assert "worker" not in capsys.readouterr().out


def test_what_the_sweep_leaves_undone_is_noticed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(run_at=timezone.now() + timedelta(hours=1))
    Run.objects.filter(pk=run.pk).update(due_at=timezone.now() - timedelta(minutes=2))
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": timezone.now() - timedelta(minutes=2)})
    said = told(capsys)
    assert "not ok  sweep: Last begun" in said
    assert f"not ok  overdue: Due for more than 60 s, and not queued: #{run.pk}." in said
    sweep.run(timezone.now())
    call_command("doctor", "sweep", "overdue")


def test_a_clock_that_is_off_and_old_zone_data_are_noticed(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("doctor", "clock", "zones")
    assert f"Time zone data {health.zone_data()}." in capsys.readouterr().out
    monkeypatch.setattr(health, "database_now", lambda: sweep.database_now() + timedelta(seconds=90))
    monkeypatch.setattr(health, "zone_data", lambda: "2019c")
    said = told(capsys)
    assert "not ok  clock: The database's clock is 90 s ahead of this machine's." in said
    assert "not ok  zones: Time zone data 2019c." in said
    assert "pip install --upgrade tzdata" in said

"""/metrics: Prometheus can read it, what it says is what happened, and the dashboard asks for nothing else."""

import json
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config import health
from notifications import sending
from notifications.models import Message
from runs import metrics, sweep, tallies
from runs.models import Heartbeat
from tests.api.conftest import NewKey, Program, problem
from tests.factories import (
    claim_one,
    make_channel,
    make_job,
    make_run,
    make_schedule,
    make_slot,
    make_source,
)
from tests.runs.endings import ended_run, settle_failed
from triggers.models import Source

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).resolve().parents[2] / "docs"
# The text format 0.0.4, as Prometheus' documentation describes it.
LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-z_]+)(\{{{LABEL}(?:,{LABEL})*\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)")
ENDS = {"gauge": ("",), "counter": ("",), "summary": ("_sum", "_count")}


def samples(text: str) -> dict[str, float]:
    """Every sample of an exposition; fails unless it is one, with each metric described once and first."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    described: set[str] = set()
    name = kind = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in described
            described.add(name)
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == name
            kind = line.split(" ")[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in {name + end for end in ENDS[kind]}, line
            assert match[1] + (match[2] or "") not in found, line
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_it_says_what_happened_in_the_format_that_prometheus_reads(program: Program) -> None:
    trigger = make_schedule(make_job(slug="report"), name='nightly "two"\\\nlines')
    done = ended_run(trigger.job)
    tallies.fold()
    ended_run(trigger.job, settle_failed)
    make_run(priority=7)
    make_run(priority=100)
    make_run(priority=50)
    claim_one(make_slot(), lane="default")
    Heartbeat.objects.create(name="beat:x", at=timezone.now() - timedelta(seconds=3))
    answer = program.get("/metrics")
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = samples(answer.content.decode())
    assert told['headway_runs_total{kind="manual",lane="high",status="succeeded"}'] == 1
    assert told['headway_runs_total{kind="manual",lane="high",status="failed"}'] == 1
    assert told['headway_run_duration_seconds_count{kind="manual",lane="high"}'] == 2
    assert done.wait is not None
    assert told['headway_run_wait_seconds_sum{kind="manual",lane="high"}'] >= done.wait.total_seconds() * 0.99
    assert told['headway_queue_runs{lane="high",state="waiting"}'] == 1
    assert told['headway_queue_runs{lane="default",state="active"}'] == 1
    assert told['headway_queue_priority_runs{lane="high",priority="7"}'] == 1
    assert told['headway_queue_priority_runs{lane="bulk",priority="100"}'] == 1
    assert told['headway_lane_paused{lane="bulk"}'] == 0
    assert told["headway_beats"] == 1
    assert 2 < told["headway_beat_age_seconds"] < 60


def test_each_trigger_is_told_by_its_name_whatever_that_is(program: Program) -> None:
    trigger = make_schedule(make_job(slug="report"), name='a "b"\\c', next_run_at=None)
    run = ended_run(trigger.job)
    tallies.fold()
    type(run).objects.filter(pk=run.pk).update(trigger=trigger)
    tallies.count([type(run).objects.get(pk=run.pk)])
    tallies.fold()
    told = samples(program.get("/metrics").content.decode())
    labels = rf'{{job="report",trigger="a \"b\"\\c",trigger_id="{trigger.pk}",kind="schedule"'
    assert told[f'headway_trigger_runs_total{labels},status="succeeded"}}'] == 1
    assert told[f"headway_trigger_duration_seconds_count{labels}}}"] == 1


def test_a_schedule_that_is_overdue_is_told_as_lag(program: Program) -> None:
    trigger = make_schedule()
    type(trigger).objects.filter(pk=trigger.pk).update(next_run_at=timezone.now() - timedelta(minutes=5))
    assert samples(program.get("/metrics").content.decode())["headway_schedule_lag_seconds"] >= 299


def test_messages_that_were_given_up_and_sources_that_fail_are_told(
    program: Program, settings: Settings, tmp_path: Path
) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    message = sending.send_test(make_channel(name="ops", is_enabled=False), by="ada")
    sending.send_next()
    late = sending.send_test(message.channel, by="ada")
    Message.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(minutes=5))
    source = make_source(options={"path": str(tmp_path)}, name="inbox")
    Source.objects.filter(pk=source.pk).update(
        failures=3,
        found_count=7,
        last_poll_at=timezone.now(),
        caught_up_at=timezone.now() - timedelta(hours=1),
    )
    found = samples(program.get("/metrics").text)
    assert found['headway_messages_given_up{channel="ops"}'] == 1
    assert found["headway_message_lag_seconds"] >= 300
    label = '{source="inbox",kind="folder"}'
    assert found[f"headway_source_found_total{label}"] == 7
    assert found[f"headway_source_failures{label}"] == 3
    assert found[f"headway_source_lag_seconds{label}"] >= 3600
    assert found[f"headway_source_poll_age_seconds{label}"] < 3600
    check = next(each for each in health.look() if each.name == "notifications")
    assert not check.ok
    assert not check.vital
    assert "Given up: Test of ops (ops)." in check.detail


def test_strangers_and_keys_that_may_not_see_all_are_refused(new_key: NewKey, stranger: Program) -> None:
    problem(stranger.get("/metrics"), 401, "not_authenticated")
    problem(new_key(scopes=("run",)).get("/metrics"), 403, "permission_denied")
    refused = problem(new_key(jobs=(make_job(),)).get("/metrics"), 403, "permission_denied")
    assert "tell of all" in refused["detail"]


def test_a_network_of_the_settings_needs_no_key(settings: Settings) -> None:
    settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    client = Client()
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::ffff:10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.2.2.3").status_code == 401
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 401


def test_the_dashboard_and_the_documents_name_metrics_that_there_are() -> None:
    kinds = {metric.name: metric.kind for metric in metrics.metrics(sweep.database_now())}
    names = {name + end for name, kind in kinds.items() for end in ENDS[kind]}
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 20
    used = {name for text in expressions for name in re.findall(r"headway_[a-z_]+", text)}
    assert used <= names
    assert set(re.findall(r"headway_[a-z_]+", (DOCS / "monitoring.md").read_text())) == set(kinds)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for text in expressions:
        assert text.count("(") == text.count(")")
        assert text.count("{") == text.count("}")

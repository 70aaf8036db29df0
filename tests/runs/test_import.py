"""manage.py import_jobs: old definitions and runs, taken over whole or not at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from jobs.models import Job
from runs import tallies
from runs.models import HourlyTally, Run
from runs.status import Status
from tests.factories import make_job, make_schedule
from triggers.models import Trigger

pytestmark = pytest.mark.django_db

Import = Callable[..., str]

# The documents of S1, as its collections hold them.
SOLD_DAILY = {
    "scheduled_job_id": "sold_daily_indy",
    "name": "Daily Sold Properties - Indianapolis",
    "status": "active",
    "cron_expression": "0 2 * * *",
    "locations": ["Indianapolis, IN"],
    "listing_type": "sold",
    "run_count": 15,
    "last_run_at": "2025-01-13T02:00:00Z",
    "last_run_status": "completed",
    "last_run_job_id": "scheduled_sold_daily_indy_1736830800_def456",
    "next_run_at": "2025-01-14T02:00:00Z",
}
TRIGGERED = {
    "job_id": "triggered_sold_daily_indy_1736841234_abc123",
    "scheduled_job_id": "sold_daily_indy",
    "priority": "immediate",
    "status": "completed",
    "locations": ["Indianapolis, IN"],
    "listing_type": "sold",
    "created_at": "2025-01-13T15:30:00Z",
    "started_at": "2025-01-13T15:30:01Z",
    "completed_at": "2025-01-13T15:32:45Z",
    "properties_scraped": 120,
    "properties_saved": 95,
}
SCHEDULED = TRIGGERED | {
    "job_id": "scheduled_sold_daily_indy_1736830800_def456",
    "priority": "normal",
    "created_at": "2025-01-13T02:00:00Z",
    "started_at": "2025-01-13T02:00:01Z",
    "completed_at": "2025-01-13T02:05:23Z",
}
S1 = {"scheduled_jobs": [SOLD_DAILY], "jobs": [TRIGGERED, SCHEDULED]}
# Rows of S0's tables, as an export of them in JSON.
S0: dict[str, list[dict[str, Any]]] = {
    "jobs": [
        {
            "id": "0b2a7c9e-8f0e-4c2d-9d7e-1f6f2a1f0c11",
            "name": "Nightly E2E",
            "cronSchedule": "30 1 * * *",
            "status": "passed",
        }
    ],
    "runs": [
        {
            "id": "8a5b2c1d-0000-4000-8000-000000000001",
            "jobId": "0b2a7c9e-8f0e-4c2d-9d7e-1f6f2a1f0c11",
            "status": "passed",
            "trigger": None,
            "startedAt": "2025-05-01T10:00:00Z",
            "completedAt": "2025-05-01T10:01:00Z",
            "createdAt": "2025-05-01T09:59:58Z",
            "artifactPaths": {"report": "s3://reports/1"},
        },
        {
            "id": "8a5b2c1d-0000-4000-8000-000000000002",
            "jobId": "0b2a7c9e-8f0e-4c2d-9d7e-1f6f2a1f0c11",
            "status": "failed",
            "trigger": "remote",
            "startedAt": "2025-05-02T10:00:00Z",
            "completedAt": "2025-05-02T10:00:30Z",
            "errorDetails": "2 tests failed",
        },
    ],
}


@pytest.fixture
def importing(tmp_path: Path) -> Import:
    """Writes a document to a file, imports it and returns what was printed."""

    def run(document: Any, *arguments: str, suffix: str = "json") -> str:
        file = tmp_path / f"old.{suffix}"
        text = document if isinstance(document, str) else json.dumps(document)
        if suffix != "json" and not isinstance(document, str):
            text = yaml.safe_dump(document)
        file.write_text(text)
        printed = StringIO()
        call_command("import_jobs", str(file), *arguments, stdout=printed)
        return printed.getvalue()

    return run


def refusal(importing: Import, document: Any, *arguments: str) -> list[str]:
    with pytest.raises(CommandError) as refused:
        importing(document, *arguments)
    assert not Run.objects.exists()
    return str(refused.value).splitlines()


def imported(name: str) -> Run:
    return Run.objects.select_related("job").get(context__legacy_name=name)


def test_s1s_scheduled_job_becomes_a_job_with_a_schedule(importing: Import) -> None:
    assert "1 jobs, 1 schedules and 2 runs imported" in importing(S1)
    job = Job.objects.get(slug="sold-daily-indy")
    assert job.name == "Daily Sold Properties - Indianapolis"
    assert job.defaults == {"locations": ["Indianapolis, IN"], "listing_type": "sold"}
    schedule = Trigger.objects.schedules().get(job=job)
    assert (schedule.cron, str(schedule.timezone), schedule.enabled) == ("0 2 * * *", "UTC", True)
    assert job.triggers.filter(kind="remote").count() == 1


def test_s1s_runs_keep_their_times_counters_priority_and_name(importing: Import) -> None:
    importing(S1)
    run = imported("triggered_sold_daily_indy_1736841234_abc123")
    assert run.job.slug == "sold-daily-indy"
    assert (run.status, run.trigger_kind, run.priority) == (Status.SUCCEEDED, "manual", 1)
    assert run.result == {"properties_scraped": 120, "properties_saved": 95}
    assert run.parameters == {"locations": ["Indianapolis, IN"], "listing_type": "sold"}
    assert run.created_at == datetime(2025, 1, 13, 15, 30, tzinfo=UTC)
    assert run.duration is not None
    assert run.duration.total_seconds() == 164
    assert run.cause.startswith("Started by hand in an older system")
    assert imported("scheduled_sold_daily_indy_1736830800_def456").trigger_kind == "schedule"


def test_a_run_without_a_trigger_becomes_manual(importing: Import) -> None:
    importing(S0)
    first = imported("8a5b2c1d-0000-4000-8000-000000000001")
    assert (first.job.slug, first.trigger_kind, first.status) == ("nightly-e2e", "manual", Status.SUCCEEDED)
    assert first.context["legacy"] == {"artifactPaths": {"report": "s3://reports/1"}}
    second = imported("8a5b2c1d-0000-4000-8000-000000000002")
    assert (second.trigger_kind, second.status, second.failure_reason) == ("remote", Status.FAILED, "error")
    assert second.error is not None
    assert second.error["message"] == "2 tests failed"


def test_the_counters_include_imported_runs(importing: Import) -> None:
    importing(S1)
    job = Job.objects.get(slug="sold-daily-indy")
    counts = tallies.of_job(job.pk)
    assert (counts.run_count, counts.success_rate) == (2, 1.0)
    assert counts.average_duration_seconds == pytest.approx((164 + 322) / 2)
    assert counts.last_run_at == datetime(2025, 1, 13, 15, 32, 45, tzinfo=UTC)
    assert counts.last_run_id == imported("triggered_sold_daily_indy_1736841234_abc123").pk
    tallies.fold()
    assert set(HourlyTally.objects.values_list("hour__hour", "runs", "trigger_kind")) == {
        (15, 1, "manual"),
        (2, 1, "schedule"),
    }


def test_importing_again_adds_nothing(importing: Import) -> None:
    importing(S1)
    assert "0 jobs, 0 schedules and 0 runs imported; 1 jobs and 2 runs were here already" in importing(S1)
    more = SCHEDULED | {"job_id": "scheduled_sold_daily_indy_1736917200_aaa111"}
    assert "and 1 runs imported" in importing({"jobs": [TRIGGERED, more]})
    assert Run.objects.count() == 3
    assert tallies.of_job(Job.objects.get(slug="sold-daily-indy").pk).run_count == 3


def test_a_recurring_jobs_chain_to_its_parent_is_kept(importing: Import) -> None:
    root = {
        "job_id": "recurring_1700000000_aaa",
        "name": "Weekly Carmel",
        "cron_expression": "0 3 * * 1",
        "status": "completed",
        "locations": ["Carmel, IN"],
        "created_at": "2023-11-14T22:13:20Z",
    }
    second = {
        "job_id": "recurring_1700604800_bbb",
        "original_job_id": "recurring_1700000000_aaa",
        "status": "completed",
    }
    third = {
        "job_id": "recurring_1701209600_ccc",
        "original_job_id": "recurring_1700604800_bbb",
        "status": "failed",
    }
    importing({"jobs": [third, second, root]})
    first, middle, last = (
        imported(name)
        for name in ("recurring_1700000000_aaa", "recurring_1700604800_bbb", "recurring_1701209600_ccc")
    )
    assert {run.job.slug for run in (first, middle, last)} == {"weekly-carmel"}
    assert (middle.parent, last.parent, last.root) == (first, middle, first)
    assert last.context["original_job_id"] == "recurring_1700604800_bbb"
    assert Trigger.objects.schedules().get(job__slug="weekly-carmel").cron == "0 3 * * 1"
    assert last.created_at == datetime.fromtimestamp(1701209600, UTC)


def test_a_chain_goes_on_in_a_later_import(importing: Import) -> None:
    parent = TRIGGERED
    child = {
        "job_id": "immediate_1736850000_zzz",
        "original_job_id": parent["job_id"],
        "status": "completed",
    }
    importing(S1)
    importing({"jobs": [child]})
    run = imported("immediate_1736850000_zzz")
    assert (run.job.slug, run.parent) == ("sold-daily-indy", imported(str(parent["job_id"])))


def test_runs_of_no_job_get_a_job_of_their_own(importing: Import) -> None:
    importing({"jobs": [{"job_id": "immediate_1736850000_zzz", "status": "completed"}]})
    run = imported("immediate_1736850000_zzz")
    assert (run.job.slug, run.job.status, run.trigger_kind) == ("imported-runs", "inactive", "manual")


def test_runs_of_no_job_go_where_the_operator_says(importing: Import) -> None:
    make_job(slug="scraper")
    importing({"jobs": [{"job_id": "immediate_1736850000_zzz", "status": "completed"}]}, "--job", "scraper")
    assert imported("immediate_1736850000_zzz").job.slug == "scraper"
    assert not Job.objects.filter(slug="imported-runs").exists()


def test_what_was_open_when_it_was_exported_ends_with_the_truth(importing: Import) -> None:
    importing(
        {
            "jobs": [
                TRIGGERED | {"status": "running", "completed_at": None},
                SCHEDULED | {"status": "pending", "started_at": None, "completed_at": None},
            ]
        }
        | {"scheduled_jobs": [SOLD_DAILY]}
    )
    lost = imported(str(TRIGGERED["job_id"]))
    assert (lost.status, lost.failure_reason) == (Status.FAILED, "worker_lost")
    never = imported(str(SCHEDULED["job_id"]))
    assert (never.status, never.attempt) == (Status.SKIPPED, 0)
    assert "had not started" in never.skip_reason


def test_a_job_that_is_here_already_stays_as_it_is(importing: Import) -> None:
    job = make_job(slug="sold-daily-indy", name="Ours")
    make_schedule(job, cron="0 4 * * *")
    printed = importing(S1)
    assert "has a schedule here already" in printed
    job.refresh_from_db()
    assert job.name == "Ours"
    assert Trigger.objects.schedules().get(job=job).cron == "0 4 * * *"
    assert Run.objects.filter(job=job).count() == 2


def test_a_job_without_a_function_here_is_broken_until_there_is_one(importing: Import) -> None:
    importing(S0)
    job = Job.objects.get(slug="nightly-e2e")
    assert job.executor == "python"
    assert "nightly-e2e" in str(job.broken_reason)


def test_a_paused_job_stays_paused(importing: Import) -> None:
    importing({"scheduled_jobs": [SOLD_DAILY | {"status": "paused", "scheduled_job_id": "x_y"}]})
    assert Job.objects.get(slug="x-y").status == "paused"


def test_yaml_is_read_like_json(importing: Import) -> None:
    importing(yaml.safe_dump(S1).replace("'2025-01-13T15:30:00Z'", "2025-01-13 15:30:00"), suffix="yaml")
    assert imported(str(TRIGGERED["job_id"])).created_at == datetime(2025, 1, 13, 15, 30, tzinfo=UTC)


def test_an_exports_own_way_of_writing_times_is_understood(importing: Import) -> None:
    document = TRIGGERED | {"_id": {"$oid": "65a2"}, "created_at": {"$date": "2025-01-13T15:30:00Z"}}
    importing({"scheduled_jobs": [SOLD_DAILY], "jobs": [document]})
    assert imported(str(TRIGGERED["job_id"])).created_at == datetime(2025, 1, 13, 15, 30, tzinfo=UTC)


def test_a_dry_run_stores_nothing_and_says_what_it_would(importing: Import) -> None:
    assert "1 jobs, 1 schedules and 2 runs would be imported" in importing(S1, "--dry-run")
    assert not Run.objects.exists()
    assert not Job.objects.exists()


def test_every_wrong_field_is_named_and_nothing_is_stored(importing: Import) -> None:
    document = {
        "scheduled_jobs": [SOLD_DAILY, SOLD_DAILY | {"scheduled_job_id": "b", "cron_expression": "61 * * * *"}],
        "jobs": [
            TRIGGERED,
            SCHEDULED | {"status": "perhaps", "created_at": "yesterday"},
            {"scheduled_job_id": "sold_daily_indy", "status": "completed", "started_at": "2025-01-13"},
        ],
    }  # fmt: skip
    lines = refusal(importing, document)
    assert lines[0] == "Nothing was imported, because of this:"
    assert any(line.startswith("/scheduled_jobs/1/cron: ") and "61" in line for line in lines)
    assert any(line.startswith("/jobs/1/status: 'perhaps' is not a status") for line in lines)
    assert any(line.startswith("/jobs/1/created_at: 'yesterday' is not a time") for line in lines)
    assert any(line.startswith("/jobs/2/id: ") for line in lines)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trigger": "moon"}, "/runs/0/trigger: 'moon' is not a trigger"),
        ({"jobId": "nobody"}, "/runs/0: 'nobody' is neither a job of this file nor one of this site."),
        ({"completedAt": "2025-01-01T00:00:00Z"}, "/runs/0/completedAt: 2025-01-01T00:00:00+00:00 is before"),
        ({"priority": 200}, "/runs/0/priority: 200 is not a priority"),
        ({"id": "8a5b2c1d-0000-4000-8000-000000000002"}, "/runs/1: '8a5b2c1d-0000-4000-8000-000000000002' comes"),
        ({"createdAt": None, "startedAt": None, "completedAt": None}, "/runs/0/createdAt: The run has no time"),
        ({"parameters": ["a"]}, "/runs/0/parameters: ['a'] is not an object."),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_with_its_field_and_reason(
    importing: Import, change: dict[str, Any], expected: str
) -> None:
    document = S0 | {"runs": [S0["runs"][0] | change, S0["runs"][1]]}
    assert any(line.startswith(expected) for line in refusal(importing, document)), expected


def test_a_chain_without_an_end_is_refused(importing: Import) -> None:
    rows = [
        {"job_id": "recurring_1700000000_a", "original_job_id": "recurring_1700000001_b", "status": "completed"},
        {"job_id": "recurring_1700000001_b", "original_job_id": "recurring_1700000000_a", "status": "completed"},
    ]  # fmt: skip
    assert "leads back to itself" in refusal(importing, {"jobs": rows})[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "can't be read"),
        ('"hello"', "expected a list of rows"),
        ('{"surprise": []}', "/surprise: 'surprise' is unknown; expected one of jobs"),
        ('{"runs": [1]}', "/runs/0: The row is 1; expected an object."),
    ],
)
def test_what_is_no_export_is_refused(importing: Import, text: str, expected: str) -> None:
    assert expected in "\n".join(refusal(importing, text))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_jobs", str(tmp_path / "gone.json"))


def test_a_zone_that_is_none_is_refused(importing: Import) -> None:
    assert "Indianapolis" in refusal(importing, S1, "--timezone", "Indianapolis!")[0]


def test_a_long_history_is_imported_in_portions(importing: Import) -> None:
    rows = [
        TRIGGERED | {"job_id": f"triggered_sold_daily_indy_{1736841234 + number}_abc"}
        for number in range(1201)
    ]
    assert "1201 runs imported" in importing({"scheduled_jobs": [SOLD_DAILY], "jobs": rows})
    assert tallies.of_job(Job.objects.get().pk).run_count == 1201

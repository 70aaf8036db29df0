"""jobs.sync: what code declares reaches the table, and what people changed is not undone."""

import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from jobs import registry, sync
from jobs.models import Job
from jobs.retry import RetryPolicy
from tests.factories import make_job
from triggers.models import Kind

Declare = Callable[..., None]


@pytest.fixture(autouse=True)
def only_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with a code base that declares nothing."""
    monkeypatch.setattr(registry, "_definitions", {})
    monkeypatch.setattr(registry, "_import_errors", {})


def report_of_a_week(day: str = "monday") -> None:
    """Reports what a week brought."""


def declare(slug: str = "weekly-report", **policies: Any) -> None:
    registry._definitions.pop(slug, None)
    registry.job(slug, **policies)(report_of_a_week)


def weekly_report() -> Job:
    return Job.objects.get(slug="weekly-report")


@pytest.mark.django_db
def test_a_declared_job_gets_a_row_with_all_that_the_code_says() -> None:
    declare(
        name="Weekly",
        tags=("reports",),
        priority="normal",
        timeout_seconds=60,
        retry=RetryPolicy(max_attempts=3, first_delay_seconds=2, longest_delay_seconds=8, factor=3, jitter=0),
        on_lost="fail",
        max_concurrent_runs=1,
        dedup_key="{day}",
        retain_for_seconds=3600,
    )
    report = sync.sync()
    job = weekly_report()
    assert report.created == ["weekly-report"]
    assert (job.name, job.description, job.tags) == ("Weekly", "Reports what a week brought.", ["reports"])
    assert (job.executor, job.configuration, job.defaults) == ("python", {}, {"day": "monday"})
    assert (job.priority, job.timeout_seconds, job.on_lost) == (50, 60, "fail")
    assert (job.max_attempts, job.retry_first_delay_seconds, job.retry_longest_delay_seconds) == (3, 2, 8)
    assert (job.retry_factor, job.retry_jitter) == (3, 0)
    assert (job.max_concurrent_runs, job.dedup_key_template, job.retain_for_seconds) == (1, "{day}", 3600)
    job.full_clean()


@pytest.mark.django_db
def test_a_new_job_has_its_remote_trigger() -> None:
    declare()
    sync.sync()
    (trigger,) = weekly_report().triggers.all()
    assert trigger.kind == Kind.REMOTE
    assert trigger.enabled


@pytest.mark.django_db
def test_a_second_sync_changes_nothing() -> None:
    declare()
    sync.sync()
    before = weekly_report()
    report = sync.sync()
    assert report.unchanged == ["weekly-report"]
    assert (report.created, report.updated, report.differing) == ([], {}, {})
    assert weekly_report().version == before.version


@pytest.mark.django_db
def test_what_the_code_changes_reaches_the_row() -> None:
    declare(name="Weekly")
    sync.sync()
    declare(name="Every week", timeout_seconds=90)
    report = sync.sync()
    assert report.updated == {"weekly-report": ["name", "timeout_seconds"]}
    assert weekly_report().name == "Every week"


@pytest.mark.django_db
def test_what_an_operator_changed_stays_and_is_shown() -> None:
    declare(name="Weekly")
    sync.sync()
    Job.objects.update(name="Week in numbers")
    declare(name="Every week", timeout_seconds=90)
    report = sync.sync()
    job = weekly_report()
    assert (job.name, job.timeout_seconds) == ("Week in numbers", 90)
    assert report.differing == {
        "weekly-report": [sync.Difference(field="name", declared="Every week", current="Week in numbers")]
    }
    assert sync.differences(job) == report.differing["weekly-report"]


@pytest.mark.django_db
def test_a_field_that_says_again_what_the_code_says_is_no_difference() -> None:
    declare(name="Weekly")
    sync.sync()
    Job.objects.update(name="Every week")
    declare(name="Every week")
    report = sync.sync()
    assert report.differing == {}
    declare(name="Each week")
    sync.sync()
    assert weekly_report().name == "Each week"


@pytest.mark.django_db
def test_taking_over_gives_the_named_fields_the_codes_values() -> None:
    declare(name="Weekly", timeout_seconds=60)
    sync.sync()
    Job.objects.update(name="Mine", timeout_seconds=7)
    job = weekly_report()
    sync.take_over(job, ["name"])
    assert [each.field for each in sync.differences(weekly_report())] == ["timeout_seconds"]
    assert weekly_report().name == "Weekly"


@pytest.mark.django_db
def test_taking_over_a_field_that_the_code_is_silent_on_is_refused() -> None:
    declare()
    sync.sync()
    with pytest.raises(KeyError, match="paused_reason"):
        sync.take_over(weekly_report(), ["paused_reason"])


@pytest.mark.django_db
def test_a_row_that_was_there_before_the_function_keeps_all_it_says() -> None:
    make_job(slug="weekly-report", name="Mine", timeout_seconds=3600)
    declare(name="Weekly", timeout_seconds=60)
    report = sync.sync()
    job = weekly_report()
    assert (job.name, job.executor, job.timeout_seconds) == ("Mine", "command", 3600)
    assert {"name", "executor", "timeout_seconds"} <= {
        each.field for each in report.differing["weekly-report"]
    }
    declare(name="Weekly 2", timeout_seconds=61)
    sync.sync()
    assert weekly_report().timeout_seconds == 3600


@pytest.mark.django_db
def test_a_field_that_the_code_is_new_to_speak_of_follows_it_unless_it_was_changed() -> None:
    declare(max_concurrent_runs=2, timeout_seconds=60)
    sync.sync()
    job = weekly_report()
    assert job.declared is not None
    silent = {key: value for key, value in job.declared.items() if key != "max_concurrent_runs"}
    Job.objects.update(declared=silent, max_concurrent_runs=None)
    sync.sync()
    assert weekly_report().max_concurrent_runs == 2
    Job.objects.update(declared=silent, max_concurrent_runs=5)
    sync.sync()
    assert weekly_report().max_concurrent_runs == 5


@pytest.mark.django_db
def test_a_job_whose_function_vanished_is_broken_until_it_is_back() -> None:
    declare()
    sync.sync()
    registry._definitions.clear()
    report = sync.sync()
    assert "'weekly-report'" in report.broken["weekly-report"]
    assert weekly_report().broken_reason == report.broken["weekly-report"]
    declare()
    report = sync.sync()
    assert (report.mended, report.broken) == (["weekly-report"], {})
    assert weekly_report().broken_reason is None


@pytest.mark.django_db
def test_a_module_that_cannot_be_imported_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    declare()
    sync.sync()
    registry._definitions.clear()
    monkeypatch.setattr(registry, "_import_errors", {"shop.jobs": "SyntaxError: invalid syntax"})
    sync.sync()
    assert "shop.jobs: SyntaxError" in str(weekly_report().broken_reason)


@pytest.mark.django_db
def test_a_command_whose_program_is_not_allowed_is_broken() -> None:
    make_job(slug="rm", configuration={"argv": ["rm", "-rf", "/"]})
    make_job(slug="fine")
    report = sync.sync()
    assert list(report.broken) == ["rm"]
    assert "'rm' is not allowed" in report.broken["rm"]


@pytest.mark.django_db
def test_a_job_by_another_name_lives_by_the_function_it_names() -> None:
    declare()
    make_job(slug="friday", executor="python", configuration={"function": "weekly-report"})
    assert sync.sync().broken == {}


@pytest.mark.django_db
def test_the_command_prints_what_it_did() -> None:
    declare(name="Weekly")
    printed = StringIO()
    call_command("sync_jobs", stdout=printed)
    assert printed.getvalue().split() == ["created", "weekly-report"]
    Job.objects.update(name="Mine")
    printed = StringIO()
    call_command("sync_jobs", stdout=printed)
    assert "name: 'Mine', code says 'Weekly'" in printed.getvalue()


@pytest.mark.django_db
def test_checking_changes_nothing_and_fails_where_table_and_code_differ() -> None:
    declare(name="Weekly")
    with pytest.raises(CommandError, match="1 jobs differ"):
        call_command("sync_jobs", "--check", stdout=StringIO())
    assert not Job.objects.exists()
    sync.sync()
    call_command("sync_jobs", "--check", stdout=StringIO())
    declare(name="Every week")
    printed = StringIO()
    with pytest.raises(CommandError):
        call_command("sync_jobs", "--check", stdout=printed)
    assert "code says 'Every week'" in printed.getvalue()
    assert weekly_report().name == "Weekly"


def test_syncs_at_the_same_time_make_one_row(own_database: str) -> None:
    for number in range(20):
        registry.job(f"report-{number}")(_numbered(number))
    start, reports, errors = threading.Barrier(4), [], []

    def work() -> None:
        try:
            start.wait()
            reports.append(sync.sync())
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(len(report.created) for report in reports) == Job.objects.count() == 20


def _numbered(number: int) -> Callable[[], None]:
    def function() -> None: ...

    function.__qualname__ = f"function_{number}"
    return function

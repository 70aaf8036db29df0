"""runs.retention: what was kept long enough goes, with all that belongs to it; what is needed or persistent stays."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.models import Job
from runs import causes, followers, launch, retention, sweep, tallies
from runs.models import (
    Ending,
    Following,
    Heartbeat,
    HourlyTally,
    Idempotency,
    LogChunk,
    Run,
    RunEvent,
    RunLabel,
    Tally,
)
from tests.factories import make_dependency, make_job, make_run, make_schedule, make_user
from tests.runs.endings import ended_run, settle_failed
from triggers import ledger
from triggers.models import Occurrence

DAY = 86_400
transactional = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> Client:
    """Who may do everything."""
    client = Client()
    client.force_login(make_user(is_superuser=True, is_staff=True))
    return client


def aged(run: Run, *, days: float) -> Run:
    """The run as if everything about it had happened so many days earlier."""
    ago = timedelta(days=days)
    times = ("created_at", "queued_at", "started_at", "finished_at")
    moved = {name: getattr(run, name) - ago for name in times if getattr(run, name)}
    Run.objects.filter(pk=run.pk).update(**moved)
    run.refresh_from_db()
    return run


def old_run(job: Job, *, days: float = 40, **request: Any) -> Run:
    return aged(ended_run(job, **request), days=days)


def prune() -> int:
    """One whole way, in as many portions as it takes."""
    Heartbeat.objects.filter(name=retention.NAME).delete()
    pruned, now = retention.prune(sweep.database_now()), sweep.database_now()
    while not rests():
        pruned += retention.prune(now)
    return pruned


def rests() -> bool:
    """Whether the way has come to its end."""
    return "rests_until" in Heartbeat.objects.get(name=retention.NAME).detail


def left() -> set[int]:
    return set(Run.objects.values_list("pk", flat=True))


@transactional
def test_a_job_keeps_its_runs_as_long_as_it_says() -> None:
    month, forever = make_job(retain_for_seconds=30 * DAY), make_job()
    old, young = old_run(month), old_run(month, days=29)
    other, still_open = old_run(forever), aged(make_run(month), days=40)
    assert prune() == 1
    assert left() == {young.pk, other.pk, still_open.pk}
    assert old.pk not in left()
    assert prune() == 0


@transactional
def test_the_site_says_it_for_jobs_that_say_nothing(settings: Settings) -> None:
    settings.RETAIN_DAYS = 30
    gone, kept = old_run(make_job()), old_run(make_job(retain_for_seconds=90 * DAY))
    assert prune() == 1
    assert left() == {kept.pk}
    assert gone.pk not in left()
    assert retention.words(gone.job) == "30 days after their end, as everywhere"
    assert retention.words(kept.job) == "90 d after their end"


@transactional
def test_a_run_may_say_itself_how_long_it_is_kept() -> None:
    forever, month = make_job(), make_job(retain_for_seconds=30 * DAY)
    short = old_run(forever, days=2, retain_for_seconds=DAY)
    longer, persistent = old_run(month, retain_for_seconds=90 * DAY), old_run(month, persistent=True)
    both = old_run(forever, days=2, retain_for_seconds=DAY, persistent=True)
    assert prune() == 1
    assert left() == {longer.pk, persistent.pk, both.pk}
    assert short.pk not in left()


@transactional
def test_everything_that_belongs_to_a_run_goes_with_it_and_its_counts_stay() -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    run = old_run(job, tags=("nightly",), metadata={"customer": "c1"})
    RunEvent.objects.create(run=run, kind="rescued")
    LogChunk.objects.create(run=run, attempt=1, first_seq=1, last_seq=1, size=2, lines=[[0, "info", "hi"]])
    tallies.fold()
    before = tallies.of_job(job.pk)
    assert RunLabel.objects.filter(run=run).count() == 2
    assert prune() == 1
    for model in (RunEvent, LogChunk, RunLabel):
        assert not model._default_manager.exists(), model
    after = tallies.of_job(job.pk)
    assert (after.run_count, after.succeeded, after.last_run_id) == (before.run_count, 1, run.pk)
    assert (before.pruned, after.pruned) == (0, 1)
    assert after.pruned_at is not None
    assert HourlyTally.objects.get(job_id=job.pk).runs == 1


@transactional
def test_what_was_counted_but_not_folded_is_counted_once_all_the_same() -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    old_run(job)
    assert prune() == 1
    assert tallies.of_job(job.pk).run_count == 1
    tallies.fold()
    assert (tallies.of_job(job.pk).run_count, Tally.objects.get(job=job).pruned) == (1, 1)


@transactional
def test_a_run_that_an_open_run_came_of_is_kept_until_that_has_ended(ada: Client) -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    cause, retried = old_run(job), old_run(job, retain_for_seconds=DAY)
    child = make_run()
    Run.objects.filter(pk=child.pk).update(parent=cause, root=cause)
    again = launch.retry(retried, cause=causes.retry(retried)).run
    assert prune() == 0
    Run.objects.filter(pk__in=[child.pk, again.pk]).update(status="cancelled", finished_at=timezone.now())
    assert prune() == 2
    child.refresh_from_db()
    assert (child.parent_id, child.root_id) == (cause.pk, cause.pk)
    assert f"#{cause.pk}, which is no longer kept" in ada.get(f"/runs/{child.pk}/").content.decode()
    assert f"#{retried.pk}, which is no longer kept" in ada.get(f"/runs/{again.pk}/").content.decode()
    assert ada.get(f"/runs/{cause.pk}/").status_code == 410


@transactional
def test_an_end_that_was_not_followed_yet_or_waits_for_another_is_kept() -> None:
    upstream = make_job(retain_for_seconds=30 * DAY)
    both = make_dependency(upstream, make_job(), needs="all")
    run = old_run(upstream)
    assert Ending.objects.filter(run_id=run.pk).exists()
    assert prune() == 0
    followers.follow(run.pk)
    assert Following.objects.get(trigger=both).outcome == "pending"
    assert prune() == 0
    Following.objects.update(outcome="skipped")
    assert prune() == 1
    assert not Following.objects.exists()


@transactional
def test_as_long_as_a_program_may_repeat_its_call_the_run_that_answers_it_is_kept() -> None:
    run = old_run(make_job(retain_for_seconds=0))
    answer = Idempotency.objects.create(credential="key:1", key="k", fingerprint="f", run=run)
    assert prune() == 0
    answer.delete()
    assert prune() == 1


@transactional
def test_a_portion_ends_where_it_must_and_the_next_goes_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 2)
    jobs = [make_job(retain_for_seconds=30 * DAY) for _ in range(2)]
    kept = [old_run(jobs[0], persistent=True) for _ in range(2)]
    for job in jobs:
        for _ in range(3):
            old_run(job)
    now = sweep.database_now()
    steps: list[int] = []
    while not (steps and rests()):
        steps.append(retention.prune(now))
    assert (sum(steps), max(steps) <= 4, len(steps) > 2) == (6, True, True)
    assert left() == {run.pk for run in kept}
    old_run(jobs[0])
    assert retention.prune(now) == 0, "it rests"
    assert prune() == 1


def test_who_dies_in_the_middle_of_a_portion_leaves_it_undone_and_the_next_does_it(own_database: str) -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    runs = {old_run(job, tags=("a",)).pk for _ in range(3)}
    connection.close()
    if not (pid := os.fork()):
        with transaction.atomic():
            deleted = retention.prune(sweep.database_now())
            os._exit(deleted)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert left() == runs
    assert RunLabel.objects.count() == 3
    assert prune() == 3
    assert tallies.of_job(job.pk).pruned == 3


def test_a_run_that_somebody_holds_is_left_for_the_next_time(own_database: str) -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    held, free = old_run(job), old_run(job)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM runs_run WHERE id = %s FOR KEY SHARE", [held.pk])
        assert prune() == 1
        assert left() == {held.pk}
        assert free.pk not in left()
        other.rollback()  # a closed connection lets go of its locks only some time later
    finally:
        other.close()
    assert prune() == 1


@transactional
def test_the_command_says_what_it_would_delete_and_then_deletes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = make_job(slug="nightly", retain_for_seconds=30 * DAY)
    for _ in range(2):
        old_run(job)
    old_run(make_job(), days=2, retain_for_seconds=DAY)
    call_command("prune", "--dry-run")
    told = capsys.readouterr().out.split("\n")
    assert [" ".join(line.split()) for line in told if line] == [
        "1 with a time of their own, of any job",
        "2 nightly",
        "3 runs would be deleted in all",
    ]
    assert len(left()) == 3
    call_command("prune")
    assert "3  runs deleted in all" in capsys.readouterr().out
    assert not left()


@transactional
def test_statistics_older_than_the_site_keeps_them_go_and_the_totals_stay(settings: Settings) -> None:
    job = make_job()
    ended_run(job, settle_failed)
    tallies.fold()
    HourlyTally.objects.update(hour=timezone.now() - timedelta(days=401))
    settings.STATISTICS_DAYS = 0
    prune()
    assert HourlyTally.objects.exists()
    settings.STATISTICS_DAYS = 400
    prune()
    assert not HourlyTally.objects.exists()
    assert tallies.of_job(job.pk).failed == 1


@transactional
def test_the_job_page_says_how_long_runs_are_kept_and_how_many_were_not(ada: Client) -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    old_run(job)
    prune()
    page = " ".join(ada.get(f"/jobs/{job.slug}/").content.decode().split())
    assert "30 d after their end" in page
    assert "1 of them no longer kept" in page


@transactional
def test_the_sweep_prunes() -> None:
    job = make_job(retain_for_seconds=30 * DAY)
    old_run(job)
    assert sweep.run(sweep.database_now())
    assert not left()


# What is told of runs that are gone


@transactional
def test_the_page_and_the_api_say_that_a_run_was_deleted_and_not_that_it_never_was(
    ada: Client, settings: Settings
) -> None:
    job = make_job(name="Report", retain_for_seconds=30 * DAY)
    gone, kept = old_run(job), ended_run(make_job())
    name, after = gone.name, kept.pk + 1000
    assert ada.get(f"/runs/{gone.pk + 1000}/").status_code == 404
    prune()
    page = ada.get(f"/runs/{gone.pk}/")
    assert page.status_code == 410
    assert f"Run #{gone.pk} was deleted by retention." in page.content.decode()
    assert "runs of Report are kept 30 d after their end" in ada.get(f"/runs/{name}/").content.decode()
    told = ada.get(f"/api/runs/{gone.pk}/logs")
    assert (told.status_code, told.json()["code"]) == (410, "gone")
    assert ada.get(f"/runs/{after}/").status_code == ada.get(f"/api/runs/{after}").status_code == 404
    assert ada.get(f"/runs/{kept.name.replace(kept.job.slug, 'other')}/").status_code == 404


@transactional
def test_where_nothing_was_deleted_a_number_without_a_run_never_was_one(ada: Client) -> None:
    run = ended_run(make_job())
    Run.objects.filter(pk=run.pk).delete()
    assert ada.get(f"/runs/{run.pk}/").status_code == 404


# The ledger of slots


@transactional
def test_old_slots_are_forgotten_but_for_what_is_still_to_be_run() -> None:
    now = sweep.database_now()
    schedule = make_schedule()
    type(schedule).objects.filter(pk=schedule.pk).update(next_slot=now - timedelta(days=450))

    def slot(days: int, outcome: str = "fired") -> Occurrence:
        made = Occurrence.objects.create(trigger=schedule, slot=now - timedelta(days=days), outcome=outcome)
        Occurrence.objects.filter(pk=made.pk).update(created_at=made.slot)
        return made

    slot(500), slot(460, "missed")
    kept = {slot(401).pk, slot(470, "due").pk, slot(399).pk}  # not fired before, to be run, young
    assert retention.prune_slots(now) == 2
    assert set(Occurrence.objects.values_list("pk", flat=True)) == kept
    with pytest.raises(ledger.LedgerRefused, match="more than 400 days ago"):
        ledger.ask(schedule, slots=[now - timedelta(days=460)], by="ada", now=now)


@transactional
def test_the_ledger_is_kept_for_ever_where_the_site_says_so(settings: Settings) -> None:
    settings.LEDGER_DAYS = 0
    assert retention.prune_slots(sweep.database_now() + timedelta(days=9000)) == 0

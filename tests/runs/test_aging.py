"""Aging: what has waited long in the lane default comes earlier, at the claim and in what people are told."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pytest_django import Settings

from jobs.models import Job
from runs import lifecycle, urgency
from runs.models import Run, WorkerProcess
from runs.why import why
from tests.factories import claim, make_job, make_run, make_slot


@pytest.fixture(autouse=True)
def a_step_a_minute(settings: Settings) -> None:
    settings.AGING_SECONDS, settings.AGING_LIMIT = 60, 10


def waiting(priority: int, minutes: float, job: Job | None = None) -> Run:
    """A run that has been queued for so many minutes."""
    run = make_run(job, priority=priority)
    Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(minutes=minutes))
    return run


def order(slot: WorkerProcess, *, lane: str = "default", limit: int = 500) -> list[int]:
    return [claimed.id for claimed in claim(slot, lane=lane, limit=limit)]


@pytest.mark.django_db
def test_a_run_that_has_waited_overtakes_what_is_more_urgent_by_fewer_steps() -> None:
    old, fresh, urgent = waiting(90, 50.5), waiting(41, 0), waiting(39, 0)
    assert order(make_slot()) == [urgent.pk, old.pk, fresh.pk]


@pytest.mark.django_db
def test_it_gains_up_to_the_limit_and_then_age_decides(settings: Settings) -> None:
    settings.AGING_LIMIT = 30
    oldest, old = waiting(99, 600), waiting(35, 300)
    urgent = waiting(29, 0)
    assert order(make_slot()) == [urgent.pk, oldest.pk, old.pk]


@pytest.mark.django_db
def test_without_a_step_priority_decides_alone(settings: Settings) -> None:
    settings.AGING_SECONDS = 0
    old, fresh = waiting(90, 6000), waiting(89, 0)
    assert order(make_slot()) == [fresh.pk, old.pk]


@pytest.mark.django_db
def test_in_the_lane_high_nothing_is_overtaken() -> None:
    old, fresh = waiting(9, 6000), waiting(1, 0)
    assert order(make_slot(), lane="high") == [fresh.pk, old.pk]


@pytest.mark.django_db
def test_runs_of_one_job_age_too_and_its_limit_takes_the_most_urgent() -> None:
    job = make_job(max_concurrent_runs=1)
    waiting(50, 0, job)
    old = waiting(90, 60, job)
    assert order(make_slot()) == [old.pk]


@pytest.mark.django_db
def test_who_is_told_how_many_are_before_a_run_is_told_the_claims_order() -> None:
    old, fresh = waiting(90, 60), waiting(40, 0)
    make_slot()
    told = {run.pk: why(Run.objects.get(pk=run.pk)) for run in (old, fresh)}
    assert [reason.code for reason in told.values() if reason] == ["next", "in_line"]
    last = told[fresh.pk]
    assert last is not None
    assert last.sentence == "1 run is before it in the lane default."


@pytest.mark.django_db
def test_what_may_not_start_is_not_before_anybody() -> None:
    held = waiting(10, 60)
    run = waiting(50, 0)
    make_slot()
    Job.objects.filter(pk=held.job_id).update(status="paused")
    reason = why(Run.objects.get(pk=run.pk))
    assert reason is not None
    assert reason.code == "next"


@pytest.mark.django_db(transaction=True)
@hypothesis(max_examples=8, deadline=None)
@given(
    st.lists(st.tuples(st.integers(10, 99), st.integers(0, 120), st.integers(0, 2)), min_size=1, max_size=12)
)
def test_the_claim_the_place_and_the_rule_agree(queue: list[tuple[int, int, int]]) -> None:
    Run.objects.all().delete()
    jobs = [make_job() for _ in range(3)]
    runs = [(waiting(number, minutes + 0.5, jobs[job]), number, minutes) for number, minutes, job in queue]
    ruled = sorted((max(min(number, 10), number - minutes), run.pk) for run, number, minutes in runs)
    slot = make_slot()
    places: dict[int, Any] = {}
    for run, _, _ in runs:
        reason = why(Run.objects.get(pk=run.pk))
        assert reason is not None
        places[run.pk] = 0 if reason.code == "next" else int(reason.sentence.split()[0])
    assert sorted(places, key=places.__getitem__) == [pk for _, pk in ruled]
    assert order(slot) == [pk for _, pk in ruled]


@pytest.mark.django_db(transaction=True)
def test_a_claim_looks_at_the_heads_of_levels_only_however_many_wait() -> None:
    job, slot = make_job(), make_slot()
    first = waiting(50, 1, job)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO runs_run (job_id, job_version, group_id, status, priority, trigger_name, cause, context,
                   parameters, tags, metadata, persistent, attempt, max_attempts, failed_attempts, lost_attempts,
                   attempts, worker, cancelled_by, skip_reason, created_at, queued_at)
               SELECT job_id, 1, group_id, 'queued', 50 + n %% 3, '', '', '{}', '{}', '{}', '{}', false, 0, 1, 0, 0,
                   '[]', '', '', '', now(), now()
               FROM runs_run, generate_series(1, 20000) n WHERE id = %s""",
            [first.pk],
        )
        cursor.execute("ANALYZE runs_run")
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        assert [claimed.id for claimed in claim(slot, lane="default")] == [first.pk]
        cursor.execute(
            """SELECT coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) FROM pg_stat_xact_user_tables
               WHERE relname = 'runs_run'"""
        )
        assert cursor.fetchone()[0] < 300
        cursor.execute("ROLLBACK")


@pytest.mark.django_db
def test_the_priority_of_an_old_run_can_still_be_changed() -> None:
    old, other = waiting(90, 60), waiting(35, 0)
    urgency.change(Run.objects.filter(pk=other.pk), priority=12, by="ada")
    slot = make_slot()
    assert order(slot, limit=1) == [other.pk]
    lifecycle.cancel(Run.objects.filter(pk=old.pk), by="ada")
    assert order(slot) == []

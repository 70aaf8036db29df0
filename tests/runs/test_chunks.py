"""Chunks of bulk runs: claimed by several slots at once, and settled by columns."""

from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction

from jobs.executors import Failed, Outcome, Succeeded
from runs import lifecycle
from runs.claims import Claim
from runs.execution import Pace
from runs.models import Run
from runs.settlements import Span
from runs.status import Status
from tests.factories import claim, make_job, make_run, make_slot

# What PostgreSQL could take for a part of an array.
ODD: dict[str, Any] = {
    "text": 'a "b", \\ {c} NULL \\" ,',
    "umlaut": "ä €",
    "list": [[], {}, None, "NULL"],
    "nul": "a\0b",
}


@pytest.mark.parametrize("held", [3, 30])
@pytest.mark.usefixtures("own_database")
def test_a_claim_beside_others_under_way_gets_as_many_as_it_wanted(held: int) -> None:
    job = make_job()
    runs = [make_run(job, priority=100).pk for _ in range(held + 7)]
    mine, other = make_slot(), make_slot()
    given: list[Claim] = []

    def beside() -> None:
        given.extend(claim(other, lane="bulk", limit=5))
        connection.close()

    with transaction.atomic():
        first = claim(mine, lane="bulk", limit=held)
        thread = Thread(target=beside)
        thread.start()
        thread.join()
    assert [claimed.id for claimed in first] == runs[:held]
    assert [claimed.id for claimed in given] == runs[held : held + 5]


@pytest.mark.django_db
def test_the_runs_of_a_chunk_know_their_own_job_in_the_order_in_which_they_are_to_begin() -> None:
    jobs = [make_job(timeout_seconds=10 + number, configuration={"at": number}) for number in range(2)]
    runs = [make_run(jobs[number % 2], priority=100, parameters={}) for number in range(6)]
    claims = claim(make_slot(), lane="bulk", limit=10)
    assert [claimed.id for claimed in claims] == [run.pk for run in runs]
    assert [claimed.token for claimed in claims] == sorted(claimed.token for claimed in claims)
    assert [claimed.slug for claimed in claims] == [run.job.slug for run in runs]
    assert [claimed.timeout_seconds for claimed in claims] == [10, 11] * 3
    assert [claimed.configuration for claimed in claims] == [{"at": 0}, {"at": 1}] * 3


@pytest.mark.django_db
def test_each_of_a_chunk_gets_what_came_of_it() -> None:
    job = make_job(max_attempts=2, retry_first_delay_seconds=60, retry_longest_delay_seconds=60)
    runs = [make_run(job, priority=100) for _ in range(5)]
    error = Failed(
        reason="error", type="Odd", message=str(ODD["text"]), traceback='File "a\\b"\n', result=ODD
    )
    broken = Failed(reason="broken", type="Gone", message="", retryable=False)
    outcomes: list[Outcome] = [Succeeded(result=ODD), Succeeded(), error, broken, Succeeded(result=0)]
    claims = claim(make_slot(), lane="bulk", limit=10)
    spans = {
        claimed.id: Span(started_ago=2.5 + place, ended_ago=1e-7) for place, claimed in enumerate(claims)
    }
    # In whichever order they are told.
    lifecycle.settle(list(zip(claims, outcomes, strict=True))[::-1], spans=spans)
    kept = {**ODD, "nul": "a\N{REPLACEMENT CHARACTER}b"}
    for run in runs:
        run.refresh_from_db()
    assert [run.status for run in runs] == [
        *(Status.SUCCEEDED, Status.SUCCEEDED, Status.SCHEDULED, Status.FAILED, Status.SUCCEEDED)
    ]
    assert [run.result for run in runs] == [kept, None, None, None, 0]
    assert runs[2].attempts[0]["error"] == {
        "type": "Odd",
        "message": ODD["text"],
        "traceback": 'File "a\\b"\n',
    }
    assert runs[3].failure_reason == "broken"
    assert [
        round(run.duration.total_seconds(), 1) for run in (runs[0], runs[1], runs[4]) if run.duration
    ] == [*(2.5, 3.5, 6.5)]
    assert Run.objects.filter(error__isnull=False).count() == 2


def test_a_chunk_begins_as_few_as_the_slowest_job_allows_and_goes_on_by_each_its_own() -> None:
    """Slices are of 50 ms: what is announced and not settled is lost with its slot, and repeated."""
    pace = Pace()
    assert pace.fits_any(0.05) == 1
    pace.note(1, 0.01)
    pace.note(2, 0.0001)
    assert (pace.fits_any(0.05), pace.fits(0.05, job_id=1), pace.fits(0.05)) == (5, 5, 500)

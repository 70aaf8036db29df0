"""A slot's turn: one call that settles a run of which nothing comes but its success, and claims the next."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from jobs.executors import Succeeded, Waiting
from notifications.models import Failing, Notice, Occasion
from runs import lifecycle, orders, progress, tending
from runs.claims import Claim, Wish
from runs.models import ClaimGroup, Ending, Run, TallyDelta, WorkerProcess
from runs.moves import Moved
from runs.settlements import Span
from runs.status import Status
from tests.factories import (
    claim,
    claim_one,
    make_dependency,
    make_job,
    make_rule,
    make_run,
    make_schedule,
    make_slot,
)

pytestmark = pytest.mark.django_db

DONE = Succeeded(result={"rows": 3, "nul": "a\0b"})
# What two runs that fared alike differ in, as what was counted of them does.
OWN = (
    "id",
    "created_at",
    "queued_at",
    "started_at",
    "finished_at",
    "deadline_at",
    "claim_token",
    "last_run_id",
)
TIMED = ("last_run_at", "duration_seconds", "wait_seconds", "waits", "durations")


def turn(
    slot: WorkerProcess, held: Claim, *, lane: str = "high", ended_ago: float = 0.0
) -> tuple[list[Moved], list[Claim]]:
    wish = Wish(lane=lane, limit=1, begun=1, process_id=slot.pk, worker="w")
    return lifecycle.settle_and_claim([(held, DONE)], spans={held.id: Span(ended_ago=ended_ago)}, wish=wish)


def facts(model: Any, **where: Any) -> dict[str, Any]:
    (row,) = model.objects.filter(**where).values()
    return {name: value for name, value in row.items() if name not in (*OWN, *TIMED)}


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the short way was enough, each time that it was tried."""
    found: list[bool] = []
    real = lifecycle._turn

    def noted(*arguments: Any) -> Any:
        answer = real(*arguments)
        found.append(answer is not None)
        return answer

    monkeypatch.setattr(lifecycle, "_turn", noted)
    return found


def test_a_turn_leaves_what_a_settlement_leaves_and_claims_the_next_run(turned: list[bool]) -> None:
    schedule = make_schedule()
    first, second, third = (make_run(schedule.job) for _ in range(3))
    Run.objects.update(trigger=schedule)
    slot = make_slot()
    (moved,) = lifecycle.settle([(claim_one(slot), DONE)])
    (also,), (following,) = turn(slot, claim_one(slot))
    assert turned == [True]
    assert following.id == third.pk
    assert facts(Run, pk=second.pk) == facts(Run, pk=first.pk)
    assert facts(TallyDelta, last_run_id=second.pk) == facts(TallyDelta, last_run_id=first.pk)
    assert (moved.id, also.id) == (first.pk, second.pk)
    assert (moved.status, moved.lane, moved.attempt, moved.followed) == (
        also.status,
        also.lane,
        also.attempt,
        also.followed,
    )


def test_a_turn_counts_how_long_the_run_waited_and_took(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    turn(slot, claim_one(slot))
    run.refresh_from_db()
    delta = TallyDelta.objects.get()
    assert turned == [True]
    assert run.duration is not None
    assert run.wait is not None
    assert delta.duration_seconds == pytest.approx(run.duration.total_seconds())
    assert delta.wait_seconds == pytest.approx(run.wait.total_seconds())
    assert (len(delta.waits), len(delta.durations)) == (1, 1)


def test_a_turn_settles_a_run_as_of_when_it_ended(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    held = claim_one(slot)
    before = timezone.now() - timedelta(seconds=60)
    Run.objects.filter(pk=run.pk).update(started_at=before, queued_at=before)
    turn(slot, held, ended_ago=30)
    run.refresh_from_db()
    assert turned == [True]
    assert run.finished_at is not None
    assert run.finished_at < timezone.now() - timedelta(seconds=29)
    assert TallyDelta.objects.get().last_run_at == run.finished_at


def test_a_turn_leaves_nothing_of_a_wait_before(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    later = Waiting(resume_at=timezone.now(), next_step="second message", state={"at": 2})
    lifecycle.settle([(claim_one(slot), later)])
    lifecycle.enqueue()
    turn(slot, claim_one(slot))
    run.refresh_from_db()
    assert turned == [True]
    assert (run.status, run.next_step, run.state, run.due_at) == (Status.SUCCEEDED, None, None, None)


def test_a_run_that_something_follows_goes_the_longer_way(turned: list[bool]) -> None:
    job, slot = make_job(), make_slot()
    make_dependency(job)
    run = make_run(job)
    (moved,), _ = turn(slot, claim_one(slot))
    assert turned == [False]
    assert moved.followed
    assert Ending.objects.filter(pk=run.pk).exists()


def test_a_run_that_makes_up_for_a_failure_is_told_of(turned: list[bool]) -> None:
    job, slot = make_job(), make_slot()
    make_rule(Occasion.RECOVERED, job=job)
    Notice.objects.create(occasion=Occasion.FAILED, once="failed:1", job=job)
    run = make_run(job)
    turn(slot, claim_one(slot))
    assert turned == [False]
    assert Notice.objects.filter(occasion="succeeded", run_id=run.pk).exists()


def test_a_run_that_makes_up_for_a_failure_that_was_told_is_told_of_too(turned: list[bool]) -> None:
    job, slot = make_job(), make_slot()
    make_rule(Occasion.RECOVERED, job=job)
    Failing.objects.create(job=job, run_id=1, since=timezone.now())
    run = make_run(job)
    turn(slot, claim_one(slot))
    assert turned == [False]
    assert Notice.objects.filter(occasion="succeeded", run_id=run.pk).exists()


def test_a_run_with_a_concurrency_key_frees_it(turned: list[bool]) -> None:
    schema = {"type": "object", "properties": {"customer": {"type": "string"}}}
    job = make_job(schema=schema, concurrency_key_template="{customer}", max_concurrent_per_key=1)
    slot = make_slot()
    one, other = (make_run(job, parameters={"customer": "acme"}) for _ in range(2))
    held = claim_one(slot)
    assert claim(slot) == []
    turn(slot, held)
    assert turned == [False]
    assert [claimed.id for claimed in claim(slot)] == [other.pk]
    assert ClaimGroup.objects.filter(job=job, is_held=True).exists()
    assert Run.objects.get(pk=one.pk).status == Status.SUCCEEDED


def test_a_zombies_turn_settles_nothing_of_a_run_that_another_slot_holds(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    zombie = claim_one(slot)
    lifecycle.give_back([(zombie.id, zombie.token)])
    other = claim_one(make_slot())
    assert turn(slot, zombie) == ([], [])
    assert turned == [False]
    run.refresh_from_db()
    assert (run.status, run.claim_token) == (Status.RUNNING, other.token)
    assert not TallyDelta.objects.exists()


def test_a_run_of_a_campaign_goes_the_longer_way_and_is_counted_for_it(turned: list[bool]) -> None:
    recipients = [(number, {"key": str(number)}) for number in range(2)]
    campaign = orders.order(orders.Order(job=make_job(), name="spring"), recipients).campaign
    tending.at_once(campaign)
    slot = make_slot()
    (moved,), (following,) = turn(slot, claim_one(slot, lane="bulk"), lane="bulk")
    assert turned == [False]
    assert moved.lane == "bulk"
    assert following.id > moved.id
    (counted,) = progress.sums(campaign)
    assert (progress.of_campaign(campaign).succeeded, counted.field, counted.sum) == (1, "rows", 3)


def test_a_run_that_was_not_announced_is_given_its_attempt_by_the_longer_way(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    wish = Wish(lane="high", limit=1, begun=0, process_id=slot.pk, worker="w")
    (held,) = lifecycle.claim(wish)
    turn(slot, held)
    run.refresh_from_db()
    assert turned == [False]
    assert (run.status, run.attempt) == (Status.SUCCEEDED, 1)


def test_a_run_that_was_to_be_cancelled_is_told_of_when_it_succeeds_all_the_same(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    held = claim_one(slot)
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    (moved,), _ = turn(slot, held)
    assert turned == [False]
    assert (moved.status, moved.cancel_requested) == (Status.SUCCEEDED, True)


def test_a_turn_that_comes_twice_settles_and_counts_once() -> None:
    make_run()
    slot = make_slot()
    held = claim_one(slot)
    assert len(turn(slot, held)[0]) == 1
    assert turn(slot, held)[0] == []
    assert TallyDelta.objects.count() == 1


def test_a_turn_of_who_lost_the_claim_settles_nothing_and_claims(turned: list[bool]) -> None:
    run, slot = make_run(), make_slot()
    held = claim_one(slot)
    lifecycle.give_back([(held.id, held.token)])
    moved, (again,) = turn(slot, held)
    assert turned == [False]
    assert moved == []
    assert again.id == run.pk
    assert again.token > held.token


def test_beside_ordinary_runs_those_of_a_limited_or_paused_job_still_wait() -> None:
    limited, paused = make_job(max_concurrent_runs=1), make_job()
    ordinary = [make_run() for _ in range(2)]
    mine = [make_run(limited) for _ in range(2)]
    make_run(paused)
    paused.status = "paused"
    paused.save()
    assert {claimed.id for claimed in claim(make_slot(), limit=10)} == {
        mine[0].pk,
        *(run.pk for run in ordinary),
    }


@pytest.mark.parametrize("known", [0, 1, 8])
def test_a_claim_of_one_run_takes_one_whatever_way_the_planner_goes(known: int) -> None:
    """Looked for once for each job, each time the next run was found, because the one before was locked by then."""
    jobs = [make_job() for _ in range(2)]
    runs = []
    for number in range(8):
        if number == known:
            _plan_anew()
        runs.append(make_run(jobs[number % 2], priority=5))
    if known == len(runs):
        _plan_anew()
    slot = make_slot()
    assert [[each.id for each in claim(slot)] for _ in runs] == [[run.pk] for run in runs]


def _plan_anew() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runs_run, jobs_job, runs_claimgroup")
        cursor.execute("DISCARD PLANS")

"""runs.lifecycle: every move of the state machine, and who may not make it."""

from datetime import timedelta

import pgtrigger
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from jobs.executors import Cancelled, Failed, Succeeded, Waiting
from jobs.models import Job
from runs import lifecycle, tallies, workers
from runs.claims import Wish
from runs.models import Run, RunEvent, Worker
from runs.settlements import Span
from runs.status import FINAL, MOVES, OPEN, Status
from tests.factories import claim, claim_one, make_job, make_run, make_slot

pytestmark = pytest.mark.django_db

ERROR = Failed(reason="error", type="ValueError", message="no", traceback="")


def expire_all_leases() -> None:
    Worker.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_claim_gives_a_slot_all_it_needs_and_marks_the_run() -> None:
    run = make_run(tags=["a"])
    slot = make_slot()
    claimed = claim_one(slot)
    run.refresh_from_db()
    assert (claimed.id, claimed.attempt, claimed.slug) == (run.pk, 1, run.job.slug)
    assert claimed.configuration == run.job.configuration
    assert run.status == Status.RUNNING
    assert run.process_id == slot.pk
    assert run.wait is not None
    assert run.deadline_at is not None


def test_a_run_is_claimed_once() -> None:
    make_run()
    slot = make_slot()
    assert len(claim(slot)) == 1
    assert claim(slot) == []


def test_inside_a_lane_priority_decides_and_then_age() -> None:
    job = make_job()
    low, old, young, urgent = (make_run(job, priority=number) for number in (9, 5, 5, 1))
    slot = make_slot()
    assert [claim_one(slot).id for _ in range(4)] == [urgent.pk, old.pk, young.pk, low.pk]


def test_priority_decides_over_several_jobs_too() -> None:
    low, high, middle = make_run(priority=9), make_run(priority=1), make_run(priority=5)
    slot = make_slot()
    assert [claim_one(slot).id for _ in range(3)] == [high.pk, middle.pk, low.pk]


def test_lanes_are_claimed_apart() -> None:
    make_run(priority=100)
    slot = make_slot()
    assert claim(slot, lane="high") == []
    assert claim(slot, lane="default") == []
    assert len(claim(slot, lane="bulk")) == 1


@pytest.mark.parametrize(
    ("priority", "lane"), [(1, "high"), (9, "high"), (10, "default"), (99, "default"), (100, "bulk")]
)
def test_the_priority_decides_the_lane(priority: int, lane: str) -> None:
    run = make_run(priority=priority)
    run.refresh_from_db()
    assert run.lane == lane


def test_a_limited_job_starts_no_more_than_its_limit_and_blocks_no_other() -> None:
    limited = make_job(max_concurrent_runs=2)
    for _ in range(4):
        make_run(limited)
    other = make_run()
    slot = make_slot()
    claimed = claim(slot, limit=10)
    assert sorted(c.job_id for c in claimed) == sorted([limited.pk, limited.pk, other.job_id])
    assert claim(slot) == []
    lifecycle.settle([(claimed[0], Succeeded())])
    assert len(claim(slot, limit=10)) == 1


def test_runs_of_a_paused_job_wait_and_go_on_when_the_pause_has_ended() -> None:
    job = make_job()
    make_run(job)
    Job.objects.filter(pk=job.pk).update(status="paused", paused_until=timezone.now() + timedelta(hours=1))
    slot = make_slot()
    assert claim(slot) == []
    Job.objects.filter(pk=job.pk).update(paused_until=timezone.now() - timedelta(hours=1))
    assert len(claim(slot)) == 1


def test_a_paused_lane_starts_nothing() -> None:
    make_run()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE runs_lane SET paused_at = now() WHERE name = 'high'")
    assert claim(make_slot()) == []


def test_a_worker_without_a_lease_gets_nothing() -> None:
    make_run()
    slot = make_slot()
    expire_all_leases()
    assert claim(slot) == []


def test_a_stopping_worker_gets_nothing() -> None:
    make_run()
    slot = make_slot()
    workers.stop(slot.worker_id)
    assert claim(slot) == []


def test_success_ends_the_run_with_its_result() -> None:
    run = make_run()
    (moved,) = lifecycle.settle([(claim_one(make_slot()), Succeeded(result={"rows": 3, "nul": "a\0b"}))])
    run.refresh_from_db()
    assert moved.status == run.status == Status.SUCCEEDED
    assert run.result == {"rows": 3, "nul": "a\N{REPLACEMENT CHARACTER}b"}
    assert run.duration is not None
    assert run.error is None


def test_a_failure_is_retried_as_the_policy_says_and_then_final() -> None:
    run = make_run(make_job(max_attempts=2))
    slot = make_slot()
    lifecycle.settle([(claim_one(slot), ERROR)])
    run.refresh_from_db()
    assert run.status == Status.SCHEDULED
    assert run.retry_at is not None
    assert [(a["attempt"], a["outcome"]) for a in run.attempts] == [(1, "error")]
    lifecycle.enqueue()
    lifecycle.settle([(claim_one(slot), ERROR)])
    run.refresh_from_db()
    assert (run.status, run.failure_reason, run.attempt) == (Status.FAILED, "error", 2)
    assert [(a["attempt"], a["outcome"]) for a in run.history()] == [(1, "error"), (2, "error")]
    assert run.error is not None
    assert run.error["message"] == "no"


def test_a_broken_job_is_not_tried_again() -> None:
    run = make_run(make_job(max_attempts=5))
    broken = Failed(reason="broken", type="Gone", message="", traceback="", retryable=False)
    lifecycle.settle([(claim_one(make_slot()), broken)])
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (Status.FAILED, "broken")


def test_a_retry_that_was_cancelled_meanwhile_does_not_happen() -> None:
    run = make_run(make_job(max_attempts=5))
    claimed = claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    lifecycle.settle([(claimed, ERROR)])
    run.refresh_from_db()
    assert run.status == Status.CANCELLED
    assert run.cancelled_by == "ada"


def test_a_success_that_came_before_the_cancel_took_hold_is_a_success() -> None:
    run = make_run()
    claimed = claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    lifecycle.settle([(claimed, Succeeded())])
    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED


def test_waiting_keeps_its_step_and_state_and_resumes_when_due() -> None:
    run = make_run()
    due = timezone.now() - timedelta(seconds=1)
    lifecycle.settle([(claim_one(make_slot()), Waiting(resume_at=due, next_step="two", state={"n": 1}))])
    run.refresh_from_db()
    assert (run.status, run.next_step, run.state, run.resume_at) == (Status.WAITING, "two", {"n": 1}, due)
    lifecycle.enqueue()
    run.refresh_from_db()
    assert run.status == Status.QUEUED


def test_a_lost_claim_settles_nothing() -> None:
    run = make_run()
    slot = make_slot()
    zombie = claim_one(slot)
    expire_all_leases()
    lifecycle.rescue()
    assert lifecycle.settle([(zombie, Succeeded(result="of a zombie"))]) == []
    run.refresh_from_db()
    assert (run.status, run.result) == (Status.QUEUED, None)
    again = claim_one(make_slot())
    assert lifecycle.settle([(zombie, Succeeded(result="of a zombie"))]) == []
    assert again.token > zombie.token
    lifecycle.settle([(again, Succeeded(result="right"))])
    run.refresh_from_db()
    assert run.result == "right"


def test_a_run_is_settled_once_whoever_repeats_it() -> None:
    make_run()
    claimed = claim_one(make_slot())
    assert len(lifecycle.settle([(claimed, Succeeded())])) == 1
    assert lifecycle.settle([(claimed, Succeeded())]) == []
    assert tallies.of_job(claimed.job_id).run_count == 1


def test_rescue_leaves_the_living_alone() -> None:
    make_run()
    claim_one(make_slot())
    assert lifecycle.rescue() == []


def test_a_rescued_run_has_its_lost_attempt_on_record() -> None:
    run = make_run()
    claim_one(make_slot())
    expire_all_leases()
    lifecycle.rescue()
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    assert [(a["attempt"], a["outcome"]) for a in run.history()] == [(1, "lost")]
    assert "vanished" in run.attempts[0]["error"]["message"]
    assert RunEvent.objects.get(run=run).kind == "rescued"


def test_a_dead_slot_of_a_living_worker_loses_its_run() -> None:
    run = make_run()
    slot = make_slot()
    claim_one(slot)
    assert workers.end_processes(slot.worker_id, pids=workers.slot_pids(slot.worker_id)) == 1
    lifecycle.rescue()
    run.refresh_from_db()
    assert (run.status, run.lost_attempts) == (Status.QUEUED, 1)


def test_the_third_loss_poisons_and_lost_attempts_use_up_no_tries() -> None:
    run = make_run(make_job(max_attempts=1))
    for _ in range(3):
        claim_one(make_slot())
        expire_all_leases()
        lifecycle.rescue()
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (Status.FAILED, "poisoned")
    assert [a["outcome"] for a in run.history()] == ["lost", "lost", "poisoned"]


def test_a_job_may_say_that_a_lost_run_has_failed() -> None:
    run = make_run(make_job(on_lost="fail"))
    claim_one(make_slot())
    expire_all_leases()
    lifecycle.rescue()
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (Status.FAILED, "worker_lost")


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled() -> None:
    run = make_run()
    claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    expire_all_leases()
    lifecycle.rescue()
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


def test_what_is_given_back_counts_as_no_attempt() -> None:
    run = make_run()
    claimed = claim_one(make_slot())
    lifecycle.give_back([(claimed.id, claimed.token)])
    run.refresh_from_db()
    assert (run.status, run.attempt, run.started_at) == (Status.QUEUED, 0, None)
    assert [a["outcome"] for a in run.history()] == ["interrupted"]
    assert claim_one(make_slot()).attempt == 1


def test_who_lost_his_claim_gives_nothing_back() -> None:
    run = make_run()
    slot = make_slot()
    lost = claim_one(slot)
    workers.end_processes(slot.worker_id)
    lifecycle.rescue()
    claim_one(make_slot())
    assert lifecycle.give_back([(lost.id, lost.token)]) == []
    run.refresh_from_db()
    assert run.status == Status.RUNNING


@pytest.mark.parametrize("later", [False, True])
def test_an_open_run_that_does_not_run_is_cancelled_at_once(later: bool) -> None:
    run = make_run(run_at=timezone.now() + timedelta(hours=1)) if later else make_run()
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    run.refresh_from_db()
    assert (run.status, run.cancelled_by) == (Status.CANCELLED, "ada")
    assert claim(make_slot()) == []


def test_a_running_run_is_asked_to_stop_and_cancelled_when_it_has() -> None:
    run = make_run()
    claimed = claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    run.refresh_from_db()
    assert run.status == Status.RUNNING
    assert run.is_cancelling
    lifecycle.settle([(claimed, Cancelled())])
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


def test_final_is_final() -> None:
    run = make_run()
    lifecycle.settle([(claim_one(make_slot()), Succeeded())])
    assert lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada") == []
    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED
    assert run.cancel_requested_at is None


def test_what_waits_for_an_inactive_job_is_skipped_with_the_reason() -> None:
    run = make_run()
    Job.objects.filter(pk=run.job_id).update(status="inactive")
    lifecycle.skip()
    run.refresh_from_db()
    assert (run.status, run.skip_reason) == (Status.SKIPPED, "The job is inactive.")


def test_a_scheduled_run_is_queued_when_due_and_not_before() -> None:
    due = make_run(run_at=timezone.now() + timedelta(seconds=30))
    early = make_run(run_at=timezone.now() + timedelta(hours=1))
    Run.objects.filter(pk=due.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    assert [moved.id for moved in lifecycle.enqueue()] == [due.pk]
    early.refresh_from_db()
    assert early.status == Status.SCHEDULED


@pytest.mark.parametrize("old", Status.values)
@pytest.mark.parametrize("new", Status.values)
def test_the_database_refuses_every_move_that_the_machine_has_not(old: str, new: str) -> None:
    if old == new:
        return
    run = make_run()
    fields = {
        "status": old,
        "finished_at": timezone.now() if old in FINAL else None,
        "failure_reason": "error" if old == "failed" else None,
        "skip_reason": "x",
        "due_at": timezone.now(),
        "claim_token": 1,
    }
    with pgtrigger.ignore("runs.Run:moves"):
        Run.objects.filter(pk=run.pk).update(**fields)
    target = {
        "status": new,
        "finished_at": timezone.now() if new in FINAL else None,
        "failure_reason": "error" if new == "failed" else None,
    }
    allowed = Status(old) in OPEN and Status(new) in MOVES[Status(old)]
    if allowed:
        assert Run.objects.filter(pk=run.pk).update(**target) == 1
    else:
        with pytest.raises(ProgrammingError, match="cannot move from"), transaction.atomic():
            Run.objects.filter(pk=run.pk).update(**target)


def test_the_database_refuses_a_failed_run_without_a_reason() -> None:
    run = make_run()
    with pytest.raises(IntegrityError, match="run_failed_has_reason"), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(status="failed", finished_at=timezone.now())


def test_every_ending_is_counted_once_and_folding_changes_no_count() -> None:
    job = make_job()
    slot = make_slot()
    for outcome in (Succeeded(), Succeeded(), ERROR):
        make_run(job)
        lifecycle.settle([(claim_one(slot), outcome)])
    cancelled = make_run(job)
    lifecycle.cancel(Run.objects.filter(pk=cancelled.pk), by="ada")
    before = tallies.of_job(job.pk)
    assert (before.succeeded, before.failed, before.cancelled, before.run_count) == (2, 1, 1, 4)
    assert before.success_rate == pytest.approx(2 / 3)
    assert (before.last_run_id, before.last_run_status) == (cancelled.pk, "cancelled")
    tallies.fold()
    assert tallies.of_job(job.pk) == before
    tallies.fold()
    assert tallies.of_job(job.pk) == before


def test_what_a_dead_slot_had_not_begun_goes_back_without_an_attempt() -> None:
    job = make_job()
    begun, announced, untouched = (make_run(job, priority=100) for _ in range(3))
    slot = make_slot()
    claims = lifecycle.claim(Wish(lane="bulk", limit=3, begun=1, process_id=slot.pk, worker="w@test:1"))
    assert [c.attempt for c in claims] == [1, 1, 1]
    assert [c.id for c in claims] == [begun.pk, announced.pk, untouched.pk]
    live = workers.Slot(process_id=slot.pk, name="w@test:1")
    assert workers.announce(live, token=claims[1].token, run_ids=[announced.pk]) == set()
    workers.end_processes(slot.worker_id)
    lifecycle.rescue()
    outcomes = []
    for run in (begun, announced, untouched):
        run.refresh_from_db()
        outcomes.append((run.status, run.attempt, run.lost_attempts, [a["outcome"] for a in run.attempts]))
    assert outcomes == [("queued", 1, 1, ["lost"]), ("queued", 1, 1, ["lost"]), ("queued", 0, 0, [])]


def test_what_a_stopping_slot_had_announced_is_given_back_with_a_trace() -> None:
    job = make_job()
    begun, announced, untouched = (make_run(job, priority=100) for _ in range(3))
    slot = make_slot()
    claims = lifecycle.claim(Wish(lane="bulk", limit=3, begun=1, process_id=slot.pk, worker="w@test:1"))
    live = workers.Slot(process_id=slot.pk, name="w@test:1")
    workers.announce(live, token=claims[1].token, run_ids=[announced.pk])
    lifecycle.give_back([(claimed.id, claimed.token) for claimed in claims])
    outcomes = []
    for run in (begun, announced, untouched):
        run.refresh_from_db()
        outcomes.append((run.status, run.attempt, [(a["attempt"], a["outcome"]) for a in run.history()]))
    interrupted = ("queued", 0, [(1, "interrupted")])
    assert outcomes == [interrupted, interrupted, ("queued", 0, [])]


def test_a_run_of_a_chunk_that_is_ended_in_its_slots_place_shows_its_attempt() -> None:
    run = make_run(priority=100)
    slot = make_slot()
    (claimed,) = lifecycle.claim(Wish(lane="bulk", limit=1, begun=0, process_id=slot.pk, worker="w@test:1"))
    held = lifecycle.held(run.pk, token=claimed.token)
    assert held is not None
    lifecycle.settle([(held, Failed(reason="timeout", type="TimeoutError", message="Killed."))])
    run.refresh_from_db()
    (attempt,) = run.history()
    assert (run.attempt, run.failed_attempts, attempt["outcome"]) == (1, 1, "timeout")
    assert run.started_at is not None
    assert run.created_at <= run.started_at <= timezone.now()


def test_an_announced_run_that_was_lost_shows_that_attempt_and_no_other() -> None:
    run = make_run(priority=100)
    slot = make_slot()
    (claimed,) = lifecycle.claim(Wish(lane="bulk", limit=1, begun=0, process_id=slot.pk, worker="w@test:1"))
    live = workers.Slot(process_id=slot.pk, name="w@test:1")
    workers.announce(live, token=claimed.token, run_ids=[run.pk])
    workers.end_processes(slot.worker_id)
    lifecycle.rescue()
    run.refresh_from_db()
    assert [attempt["outcome"] for attempt in run.history()] == ["lost"]


def test_a_slice_learns_at_its_announcement_what_is_to_be_cancelled_and_whether_it_may_begin() -> None:
    run = make_run(priority=100)
    slot = make_slot()
    (claimed,) = lifecycle.claim(Wish(lane="bulk", limit=1, begun=0, process_id=slot.pk, worker="w@test:1"))
    live = workers.Slot(process_id=slot.pk, name="w@test:1")
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    assert workers.announce(live, token=claimed.token, run_ids=[run.pk]) == {run.pk}
    expire_all_leases()
    assert workers.announce(live, token=claimed.token, run_ids=[run.pk]) is None


def test_runs_settled_together_keep_their_own_times_and_count_their_attempt() -> None:
    run = make_run(priority=100)
    slot = make_slot()
    (claimed,) = lifecycle.claim(Wish(lane="bulk", limit=1, begun=0, process_id=slot.pk, worker="w@test:1"))
    span = Span(started_ago=3.0, ended_ago=1.0)
    lifecycle.settle([(claimed, Succeeded())], spans={run.pk: span})
    run.refresh_from_db()
    assert run.attempt == 1
    assert run.duration is not None
    assert run.duration.total_seconds() == pytest.approx(2.0, abs=0.01)


def test_a_failure_keeps_the_result_it_left_all_the_same() -> None:
    run = make_run()
    failed = Failed(reason="error", type="ExitCode", message="exited with 1", result={"failed": 2})
    lifecycle.settle([(claim_one(make_slot()), failed)])
    run.refresh_from_db()
    assert (run.status, run.result) == (Status.FAILED, {"failed": 2})

"""The state machine of a run, walked at random against PostgreSQL: nothing lost, nothing twice, nothing by a zombie.

High runs are claimed one by one and bulk runs in chunks, of which a slot announces what it begins. That this model
notices what it must was tried by breaking claim, settlement, rescue, cancel and the ways back, one line at a time.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.executors import Cancelled, Failed, Outcome, Succeeded, Waiting
from jobs.models import Job
from runs import lifecycle, tallies, workers
from runs.claims import Claim, Wish
from runs.models import Run, Worker, WorkerProcess
from runs.settlements import Span
from runs.status import FINAL, Status
from tests.factories import make_job, make_run, make_slot

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DELAYED = {"retry_first_delay_seconds": 3600, "retry_longest_delay_seconds": 3600}
OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "succeeded": Succeeded,
    "error": lambda: Failed(reason="error", type="ValueError", message="no"),
    "waiting": lambda: Waiting(resume_at=timezone.now() + HOUR, next_step="next", state={}),
    "cancelled": Cancelled,
}


@dataclass
class Seat:
    """What is true of one slot: whether its worker's lease holds, and what it said last that it begins."""

    pk: int
    holds: bool = True
    ended: bool = False
    stopping: bool = False
    announced: int = 0

    @property
    def is_alive(self) -> bool:
        return self.holds and not self.ended

    @property
    def may_claim(self) -> bool:
        return self.is_alive and not self.stopping


@dataclass
class Expected:
    """What must be true of one run."""

    job: Job
    priority: int
    status: Status = Status.QUEUED
    token: int | None = None
    slot: int = 0
    begun: bool = False  # of a chunk, what is not announced has not
    due: bool = False
    failed: int = 0
    lost: int = 0
    asked: bool = False
    outcomes: list[str] = field(default_factory=list)

    @property
    def lane(self) -> str:
        return "bulk" if self.priority == 100 else "high"

    @property
    def next_attempt(self) -> int:
        """What is interrupted by a stop does not count."""
        return 1 + sum(outcome != "interrupted" for outcome in self.outcomes)

    def ends(self, outcome: str) -> None:
        """The attempt under way ended like this."""
        self.failed += outcome == "error"
        again = outcome == "waiting" or (outcome == "error" and self.failed < self.job.max_attempts)
        if again and self.asked:
            outcome, again = "cancelled", False
        self.outcomes.append(outcome)
        next_status = Status.WAITING if outcome == "waiting" else Status.SCHEDULED
        ended = Status.FAILED if outcome == "error" else outcome
        self.status, self.due = next_status if again else Status(ended), False

    def is_lost(self) -> None:
        """Its slot is dead, and somebody has seen it."""
        self.status = Status.CANCELLED if self.asked else Status.QUEUED
        if not self.begun:
            return
        self.lost += 1
        outcome = "cancelled" if self.asked else "lost"
        poisoned = self.lost >= site.LOST_ATTEMPTS_LIMIT
        if not self.asked and (poisoned or self.job.on_lost == "fail"):
            self.status, outcome = Status.FAILED, "poisoned" if poisoned else "worker_lost"
        self.outcomes.append(outcome)

    def is_given_back(self) -> None:
        """Its worker stops before it has ended."""
        self.status = Status.CANCELLED if self.asked else Status.QUEUED
        if self.begun:
            self.outcomes.append("interrupted")

    def is_completed(self, status: str) -> None:
        """A program says how it ended."""
        # An attempt that waited was recorded when it began to wait, and one that had not begun is none.
        if self.status == Status.QUEUED or (self.status == Status.RUNNING and self.begun):
            self.outcomes.append("error" if status == "failed" else status)
        self.failed += status == "failed"
        self.status = Status(status)


class Machine(RuleBasedStateMachine):
    """Slots that claim, die and come back as zombies, people who launch and cancel, and the sweep."""

    @initialize()
    def begin(self) -> None:
        """Two jobs that take a loss differently, slots, and runs in the states that they come to late by themselves."""
        self.jobs = [make_job(max_attempts=2, **DELAYED), make_job(on_lost="fail", **DELAYED)]
        self.runs: dict[int, Expected] = {}
        self.slots: dict[int, Seat] = {}
        self.claims: list[Claim] = []
        self.owners: dict[int, int] = {}  # which slot was given a token
        self.newest_token = 0
        self.a_worker_starts()
        self.a_worker_starts()
        for number in range(8):
            self.somebody_launches(number % 2, 5 if number < 4 else 100)
        slot = min(self.slots)
        for outcome in ("error", "waiting"):
            claims = lifecycle.claim(_wish(slot))
            self._claimed(slot, claims)
            self._settle(claims[0], outcome, {})

    def __init__(self) -> None:
        super().__init__()
        self.around = transaction.atomic()
        self.around.__enter__()

    @rule(job=st.sampled_from([0, 1]), priority=st.integers(1, 9) | st.just(100))
    def somebody_launches(self, job: int, priority: int) -> None:
        run = make_run(self.jobs[job], priority=priority)
        self.runs[run.pk] = Expected(self.jobs[job], priority)

    @precondition(
        lambda self: len(self.slots) < 6 and not any(each.may_claim for each in self.slots.values())
    )
    @rule()
    def a_worker_starts(self) -> None:
        pk = make_slot().pk
        self.slots[pk] = Seat(pk)

    @rule(
        data=st.data(), later=st.booleans(), outcomes=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=4)
    )
    def a_slot_works(self, data: st.DataObject, later: bool, outcomes: list[str]) -> None:
        """It claims, and settles what it has as it claims what is next; the last claim it keeps."""
        if later:
            self.an_hour_passes()
        self.what_is_due_is_retried_or_resumed()
        slot = self._some_slot(data)
        claims = lifecycle.claim(_wish(slot))
        self._claimed(slot, claims)
        for outcome in outcomes:
            if later:
                self.an_hour_passes()
            if claims:
                claims = self._settle_and_claim(claims[0], outcome, slot)

    @rule(
        data=st.data(),
        limit=st.integers(2, 4),
        begun=st.integers(1, 3),
        place=st.integers(0, 3),
        then=st.sampled_from(["goes on", "dies", "stops", *OUTCOMES]),
    )
    def a_slot_takes_a_chunk(
        self, data: st.DataObject, limit: int, begun: int, place: int, then: str
    ) -> None:
        """Behind the first few, what it has claimed has not begun, until it says so; not all that begin end."""
        slot = self._some_slot(data)
        wish = replace(_wish(slot), lane="bulk", limit=limit, begun=begun)
        claims = lifecycle.claim(wish)
        self._claimed(slot, claims, wish)
        if begun <= place < len(claims):
            self._begin(claims[place])
        if then == "dies":
            self._end(slot)
            for claim in claims:
                self._begin(claim)
            self.the_sweep_rescues()
        elif then == "stops":
            for claim in claims:
                self._give_back(claim)
        elif then in OUTCOMES:
            for claim in claims:
                self._settle(claim, then, {claim.id: Span(started_ago=0.0)})

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def a_slot_begins_what_it_has_claimed(self, data: st.DataObject) -> None:
        self._begin(self._some_claim(data))

    def _begin(self, claim: Claim) -> None:
        seat = self.slots[self.owners[claim.token]]
        if claim.token <= seat.announced:
            return  # it never goes back
        cancelled = workers.announce(workers.Slot(seat.pk, ""), token=claim.token, run_ids=[claim.id])
        expected = self.runs[claim.id]
        assert cancelled == (({claim.id} if expected.asked else set()) if seat.is_alive else None)
        if seat.is_alive:
            seat.announced = claim.token
            for each in self._running():
                each.begun |= each.slot == seat.pk and (each.token or 0) <= claim.token

    @rule(data=st.data())
    def a_worker_beats(self, data: st.DataObject) -> None:
        slot = self._some_slot(data)
        assert workers.renew(_worker_of(slot)) is self.slots[slot].holds

    @rule(data=st.data(), how=st.sampled_from(["falls silent", "dies", "stops"]))
    def a_worker_falls_silent_for_longer_than_its_lease_or_dies_or_stops(
        self, data: st.DataObject, how: str
    ) -> None:
        slot = self._some_slot(data)
        worker = _worker_of(slot)
        if how == "falls silent":
            self.slots[slot].holds = False
            Worker.objects.filter(pk=worker).update(lease_until=timezone.now() - timedelta(seconds=1))
        elif how == "dies":
            self._end(slot)
        else:
            self.slots[slot].stopping = True
            workers.stop(worker)

    def _end(self, slot: int) -> None:
        self.slots[slot].ended = True
        workers.end_processes(_worker_of(slot))

    @rule()
    def the_sweep_rescues(self) -> None:
        lifecycle.rescue()
        for expected in self._running():
            if not self.slots[expected.slot].is_alive:
                expected.is_lost()

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)), by_watch=st.booleans())
    def a_claim_is_settled_be_it_by_a_zombie(self, data: st.DataObject, outcome: str, by_watch: bool) -> None:
        """By its slot, which knows when it began, or by whoever has killed the slot, if it still holds."""
        claim = self._some_claim(data)
        spans = {claim.id: Span(started_ago=0.0)}
        if by_watch:
            held = lifecycle.held(claim.id, token=claim.token)
            assert (held is not None) == self._holds(claim)
            claim, spans = held or claim, {}
        self._settle(claim, outcome, spans)

    def _settle(self, claim: Claim, outcome: str, spans: dict[int, Span]) -> None:
        moved = lifecycle.settle([(claim, OUTCOMES[outcome]())], spans=spans)
        assert len(moved) == self._settled(claim, outcome)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), is_begun=st.booleans())
    def a_worker_that_stops_gives_back(self, data: st.DataObject, is_begun: bool) -> None:
        self._give_back(self._some_claim(data), is_begun=is_begun)

    def _give_back(self, claim: Claim, *, is_begun: bool = True) -> None:
        """What a slot was to begin and has not leaves no trace."""
        moved = lifecycle.give_back([(claim.id, claim.token)], is_begun=is_begun)
        assert len(moved) == self._holds(claim)
        if moved:
            self.runs[claim.id].begun &= is_begun
            self.runs[claim.id].is_given_back()

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        number = self._some_run(data)
        lifecycle.cancel(Run.objects.filter(pk=number), by="a test")
        expected = self.runs[number]
        expected.asked = expected.asked or expected.status not in FINAL
        if expected.status not in (*FINAL, Status.RUNNING):
            expected.status = Status.CANCELLED

    @rule(data=st.data(), status=st.sampled_from(["succeeded", "failed"]))
    def a_program_says_how_a_run_ended(self, data: st.DataObject, status: str) -> None:
        number = self._some_run(data)
        expected = self.runs[number]
        moved = lifecycle.complete(number, status=status, result=None, error=None, by="a test")
        assert len(moved) == (expected.status in (Status.QUEUED, Status.RUNNING, Status.WAITING))
        if moved:
            expected.is_completed(status)

    def an_hour_passes(self) -> None:
        Run.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
        for expected in self.runs.values():
            expected.due = True
        self.what_is_due_is_retried_or_resumed()

    def what_is_due_is_retried_or_resumed(self) -> None:
        lifecycle.enqueue()
        for expected in self.runs.values():
            if expected.status in (Status.SCHEDULED, Status.WAITING) and expected.due:
                expected.status = Status.QUEUED

    @invariant()
    def every_run_is_where_it_must_be_with_each_attempt_recorded(self) -> None:
        rows = Run.objects.in_bulk(self.runs)
        assert set(rows) == set(self.runs)
        for number, expected in self.runs.items():
            row = rows[number]
            recorded = [each["outcome"] for each in row.history() if each["outcome"] != "running"]
            told: tuple[Any, ...] = (row.status, row.lost_attempts, row.failed_attempts, recorded)
            assert told == (expected.status, expected.lost, expected.failed, expected.outcomes)
            assert (row.cancel_requested_at is not None) == expected.asked
            if expected.status != Status.RUNNING:
                assert row.attempt == expected.next_attempt - 1

    def teardown(self) -> None:
        """Whatever happened: with one good worker all runs come to an end, and are counted."""
        try:
            if hasattr(self, "runs"):
                self._bring_to_an_end()
        finally:
            transaction.set_rollback(True)
            self.around.__exit__(None, None, None)

    def _bring_to_an_end(self) -> None:
        for seat in self.slots.values():
            seat.holds = False
        Worker.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        self.the_sweep_rescues()
        self.an_hour_passes()
        slot = make_slot().pk
        self.slots[slot] = Seat(slot)
        for lane in ("high", "bulk"):
            wish = replace(_wish(slot), lane=lane)
            claims = lifecycle.claim(wish)
            self._claimed(slot, claims, wish)
            while claims:
                claims = self._settle_and_claim(claims[0], "succeeded", slot, wish)
        self.every_run_is_where_it_must_be_with_each_attempt_recorded()
        assert all(expected.status in FINAL for expected in self.runs.values())
        counted = tallies.of_jobs([job.pk for job in self.jobs])
        for job in self.jobs:
            seen, ended = (
                counted[job.pk],
                Counter(each.status for each in self.runs.values() if each.job == job),
            )
            assert (seen.succeeded, seen.failed) == (ended[Status.SUCCEEDED], ended[Status.FAILED])
            assert (seen.cancelled, seen.skipped) == (ended[Status.CANCELLED], 0)

    def _settle_and_claim(
        self, claim: Claim, outcome: str, slot: int, wish: Wish | None = None
    ) -> list[Claim]:
        wish = wish or _wish(slot)
        moved, claims = lifecycle.settle_and_claim([(claim, OUTCOMES[outcome]())], spans={}, wish=wish)
        assert len(moved) == self._settled(claim, outcome)
        self._claimed(slot, claims, wish)
        return claims

    def _some_claim(self, data: st.DataObject) -> Claim:
        """One that holds, one whose run another holds, or any."""
        holding = [claim for claim in self.claims if self._holds(claim)]
        running = [claim for claim in self.claims if self.runs[claim.id].status == Status.RUNNING]
        zombies = [claim for claim in running if claim not in holding]
        kinds = [kind for kind in (holding, zombies, self.claims) if kind]
        return data.draw(st.sampled_from(data.draw(st.sampled_from(kinds))))

    def _some_run(self, data: st.DataObject) -> int:
        """One in any status that there is, however few there are of it."""
        by_status: dict[str, list[int]] = {}
        for number, expected in self.runs.items():
            by_status.setdefault(expected.status.value, []).append(number)
        return data.draw(st.sampled_from(by_status[data.draw(st.sampled_from(sorted(by_status)))]))

    def _some_slot(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.slots)))

    def _claimed(self, slot: int, claims: list[Claim], wish: Wish | None = None) -> None:
        wish = wish or _wish(slot)
        queued = [
            (each.priority, number)
            for number, each in self.runs.items()
            if each.status == Status.QUEUED and each.lane == wish.lane
        ]
        best = [number for _, number in sorted(queued)[: wish.limit]]
        assert [claim.id for claim in claims] == (best if self.slots[slot].may_claim else [])
        for place, claim in enumerate(claims):
            assert claim.token > self.newest_token
            assert claim.attempt == self.runs[claim.id].next_attempt
            self.newest_token = claim.token
            self.claims.append(claim)
            self.owners[claim.token] = slot
            expected = self.runs[claim.id]
            expected.status, expected.token, expected.slot = Status.RUNNING, claim.token, slot
            expected.begun = wish.begun is None or place < wish.begun

    def _settled(self, claim: Claim, outcome: str) -> bool:
        held = self._holds(claim)
        if held:
            self.runs[claim.id].ends(outcome)
        return held

    def _holds(self, claim: Claim) -> bool:
        expected = self.runs[claim.id]
        return expected.status == Status.RUNNING and expected.token == claim.token

    def _running(self) -> list[Expected]:
        return [expected for expected in self.runs.values() if expected.status == Status.RUNNING]


def _wish(slot: int) -> Wish:
    return Wish(lane="high", limit=1, process_id=slot, worker="worker@test:1")


def _worker_of(slot: int) -> int:
    return WorkerProcess.objects.get(pk=slot).worker_id


def test_whatever_happens_in_whatever_order_no_run_is_lost_or_moved_by_who_lost_his_claim() -> None:
    modest = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    # A lease ends when the machine says so, and not because the computer is busy.
    with override_settings(LEASE_SECONDS=86_400):
        run_state_machine_as_test(Machine, settings=modest)

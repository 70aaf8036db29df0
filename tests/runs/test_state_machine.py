"""The state machine of a run, walked at random against PostgreSQL: nothing lost, nothing twice, nothing by a zombie."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site
from django.db import transaction
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
from runs.status import FINAL, Status
from tests.factories import make_job, make_run, make_slot

pytestmark = pytest.mark.django_db

OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "succeeded": Succeeded,
    "error": lambda: Failed(reason="error", type="ValueError", message="no"),
    "waiting": lambda: Waiting(resume_at=timezone.now(), next_step="next", state={}),
    "cancelled": Cancelled,
}


@dataclass
class Expected:
    """What must be true of one run."""

    job: Job
    priority: int
    status: Status = Status.QUEUED
    token: int | None = None
    slot: int | None = None
    failed: int = 0
    lost: int = 0
    asked: bool = False
    outcomes: list[str] = field(default_factory=list)

    def ends(self, outcome: str) -> None:
        """The attempt under way ended like this."""
        self.failed += outcome == "error"
        again = outcome == "waiting" or (outcome == "error" and self.failed < self.job.max_attempts)
        if again and self.asked:
            outcome, again = "cancelled", False
        self.outcomes.append(outcome)
        next_status = Status.WAITING if outcome == "waiting" else Status.SCHEDULED
        ended = Status.FAILED if outcome == "error" else outcome
        self.status = next_status if again else Status(ended)

    def is_lost(self) -> None:
        """Its slot is dead, and somebody has seen it."""
        self.lost += 1
        poisoned = self.lost >= site.LOST_ATTEMPTS_LIMIT
        if self.asked:
            self.status, outcome = Status.CANCELLED, "cancelled"
        elif poisoned or self.job.on_lost == "fail":
            self.status, outcome = Status.FAILED, "poisoned" if poisoned else "worker_lost"
        else:
            self.status, outcome = Status.QUEUED, "lost"
        self.outcomes.append(outcome)


class Machine(RuleBasedStateMachine):
    """Slots that claim, die and come back as zombies, people who launch and cancel, and the sweep."""

    @initialize()
    def begin(self) -> None:
        """Two jobs that take a loss differently, and a slot."""
        self.jobs = [make_job(max_attempts=2), make_job(on_lost="fail")]
        self.runs: dict[int, Expected] = {}
        self.slots: dict[int, bool] = {}  # whether its worker's lease holds, by the slot's id
        self.claims: list[Claim] = []
        self.newest_token = 0
        self.a_worker_starts()
        self.a_worker_starts()
        for number in range(4):
            self.somebody_launches(number % 2, 5)

    def __init__(self) -> None:
        super().__init__()
        self.around = transaction.atomic()
        self.around.__enter__()

    @rule(job=st.sampled_from([0, 1]), priority=st.integers(1, 9))
    def somebody_launches(self, job: int, priority: int) -> None:
        run = make_run(self.jobs[job], priority=priority)
        self.runs[run.pk] = Expected(self.jobs[job], priority)

    @precondition(lambda self: len(self.slots) < 6 and not any(self.slots.values()))
    @rule()
    def a_worker_starts(self) -> None:
        self.slots[make_slot().pk] = True

    @rule(data=st.data(), outcomes=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=3))
    def a_slot_works(self, data: st.DataObject, outcomes: list[str]) -> None:
        """It claims, and settles what it has as it claims what is next; the last claim it keeps."""
        self.what_is_due_is_retried_or_resumed()
        slot = data.draw(st.sampled_from(sorted(self.slots)))
        claims = lifecycle.claim(_wish(slot))
        self._claimed(slot, claims)
        for outcome in outcomes:
            if claims:
                claims = self._settle_and_claim(claims[0], outcome, slot)

    @rule(data=st.data())
    def a_worker_beats(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.slots)))
        assert workers.renew(_worker_of(slot)) is self.slots[slot]

    @rule(data=st.data())
    def a_worker_falls_silent_for_longer_than_its_lease(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.slots)))
        self.slots[slot] = False
        past = timezone.now() - timedelta(seconds=1)
        Worker.objects.filter(pk=_worker_of(slot)).update(lease_until=past)

    @rule()
    def the_sweep_rescues(self) -> None:
        lifecycle.rescue()
        for expected in self._running():
            if not self.slots[expected.slot or 0]:
                expected.is_lost()

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)))
    def a_claim_is_settled_be_it_by_a_zombie(self, data: st.DataObject, outcome: str) -> None:
        claim = self._some_claim(data)
        moved = lifecycle.settle([(claim, OUTCOMES[outcome]())])
        assert len(moved) == self._settled(claim, outcome)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def a_worker_that_stops_gives_back(self, data: st.DataObject) -> None:
        claim = self._some_claim(data)
        moved = lifecycle.give_back([(claim.id, claim.token)])
        expected = self.runs[claim.id]
        assert len(moved) == self._holds(claim)
        if moved:
            expected.status = Status.CANCELLED if expected.asked else Status.QUEUED
            expected.outcomes.append("interrupted")

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.runs)))
        lifecycle.cancel(Run.objects.filter(pk=number), by="a test")
        expected = self.runs[number]
        expected.asked = expected.asked or expected.status not in FINAL
        if expected.status not in (*FINAL, Status.RUNNING):
            expected.status = Status.CANCELLED

    def what_is_due_is_retried_or_resumed(self) -> None:
        lifecycle.enqueue()
        for expected in self.runs.values():
            if expected.status in (Status.SCHEDULED, Status.WAITING):
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

    def teardown(self) -> None:
        """Whatever happened: with one good worker all runs come to an end, and are counted."""
        try:
            if hasattr(self, "runs"):
                self._bring_to_an_end()
        finally:
            transaction.set_rollback(True)
            self.around.__exit__(None, None, None)

    def _bring_to_an_end(self) -> None:
        for slot in self.slots:
            self.slots[slot] = False
        Worker.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        self.the_sweep_rescues()
        self.what_is_due_is_retried_or_resumed()
        slot = make_slot().pk
        self.slots[slot] = True
        claims = lifecycle.claim(_wish(slot))
        self._claimed(slot, claims)
        while claims:
            claims = self._settle_and_claim(claims[0], "succeeded", slot)
        self.every_run_is_where_it_must_be_with_each_attempt_recorded()
        assert all(expected.status in FINAL for expected in self.runs.values())
        counted = tallies.of_jobs([job.pk for job in self.jobs])
        assert sum(counts.run_count for counts in counted.values()) == len(self.runs)

    def _settle_and_claim(self, claim: Claim, outcome: str, slot: int) -> list[Claim]:
        settled = [(claim, OUTCOMES[outcome]())]
        moved, claims = lifecycle.settle_and_claim(settled, spans={}, wish=_wish(slot))
        assert len(moved) == self._settled(claim, outcome)
        self._claimed(slot, claims)
        return claims

    def _some_claim(self, data: st.DataObject) -> Claim:
        """The newest claim mostly, or one that may be long over."""
        return data.draw(st.just(self.claims[-1]) | st.sampled_from(self.claims))

    def _claimed(self, slot: int, claims: list[Claim]) -> None:
        queued = [number for number, each in self.runs.items() if each.status == Status.QUEUED]
        best = min(queued, key=lambda number: (self.runs[number].priority, number), default=None)
        wanted = [best] if best is not None and self.slots[slot] else []
        assert [claim.id for claim in claims] == wanted
        for claim in claims:
            assert claim.token > self.newest_token
            self.newest_token = claim.token
            self.claims.append(claim)
            expected = self.runs[claim.id]
            expected.status, expected.token, expected.slot = Status.RUNNING, claim.token, slot

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
        max_examples=12,
        stateful_step_count=15,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=modest)

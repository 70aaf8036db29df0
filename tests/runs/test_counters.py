"""Counters can't drift: whatever happens in whatever order, they say what the table says, or said before retention."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.executors import Cancelled, Failed, Succeeded
from jobs.models import Job
from runs import bulk, campaigns, launch, lifecycle, orders, progress, retention, sweep, tallies, tending
from runs.claims import Wish
from runs.models import (
    BulkOperation,
    Campaign,
    HourlyTally,
    LanePace,
    Run,
    TallyDelta,
    TriggerKind,
    TriggerTally,
)
from runs.status import FINAL
from tests.factories import claim, make_job, make_run, make_slot
from tests.runs.endings import lose_workers

pytestmark = pytest.mark.django_db

OUTCOMES = (
    Succeeded(result={"rows": 1}),
    Failed(reason="error", type="ValueError", message="no", traceback=""),
    Cancelled(),
)
KEYS = ("job_id", "trigger_id", "trigger_kind", "lane", "status")
Act = Callable[[Job, int], object]


def launches(job: Job, number: int) -> None:
    for _ in range(number):
        make_run(job, priority=1 if number % 2 else 100)


def is_skipped_at_launch(job: Job, number: int) -> None:
    Job.objects.filter(pk=job.pk).update(status="paused")
    cause = launch.Cause(kind=TriggerKind.EVENT, sentence="An event")
    launch.launch_or_skip(Job.objects.get(pk=job.pk), cause=cause)
    Job.objects.filter(pk=job.pk).update(status="active")


def orders_a_campaign(job: Job, number: int) -> None:
    people = [(line, {"key": f"user-{line}", "active": line != number}) for line in range(1, 4)]
    tending.at_once(orders.order(orders.Order(job=job, name="spring"), people).campaign)


def settles(job: Job, number: int) -> None:
    slot = make_slot()
    for lane in ("high", "bulk"):
        claims = claim(slot, lane=lane, limit=number)
        lifecycle.settle([(each, OUTCOMES[number % 3]) for each in claims])


def settles_one_by_one(job: Job, number: int) -> None:
    wish = Wish(
        lane="bulk" if number % 2 else "high", limit=1, process_id=make_slot().pk, worker="worker@test:1"
    )
    claims = lifecycle.claim(wish)
    while claims and number:
        _, claims = lifecycle.settle_and_claim([(claims[0], OUTCOMES[number % 2])], spans={}, wish=wish)
        number -= 1


def loses_its_workers(job: Job, number: int) -> None:
    claim(make_slot(), lane="bulk" if number % 2 else "high", limit=number)
    lose_workers()
    lifecycle.rescue()


def is_completed_from_outside(job: Job, number: int) -> None:
    for run in Run.objects.open()[:number]:
        if run.status in ("queued", "running"):
            lifecycle.complete(run.pk, status="succeeded", result={"rows": 1}, error=None, by="ada")


def is_acted_on_in_bulk(job: Job, number: int) -> None:
    act = BulkOperation.Act.CANCEL if number % 2 else BulkOperation.Act.RETRY
    try:
        bulk.order(Run.objects.filter(job=job), act=act, words="", user=None)
    except bulk.BulkRefused:
        return
    bulk.carry_on()


def is_inactive_for_a_while(job: Job, number: int) -> None:
    Job.objects.filter(pk=job.pk).update(status="inactive")
    lifecycle.skip()
    Job.objects.filter(pk=job.pk).update(status="active")


def ends_or_retries_campaigns(job: Job, number: int) -> None:
    for campaign in Campaign.objects.all():
        try:
            if number % 2:
                campaigns.cancel(campaign, by="ada")
            else:
                campaigns.retry_failed(campaign, by="ada")
        except campaigns.CampaignRefused:
            continue
    tending.tend()


def folds(job: Job, number: int) -> None:
    tallies.fold(limit=number)


def prunes(job: Job, number: int) -> None:
    for _ in retention.portions(sweep.database_now() + timedelta(days=5000), begin=retention.Place()):
        pass


ACTS: tuple[Act, ...] = (
    launches,
    is_skipped_at_launch,
    orders_a_campaign,
    settles,
    settles_one_by_one,
    loses_its_workers,
    is_completed_from_outside,
    is_acted_on_in_bulk,
    is_inactive_for_a_while,
    ends_or_retries_campaigns,
    folds,
    prunes,
)


class Memory:
    """Every ended run that the table ever held, by id."""

    def __init__(self) -> None:
        self.ended: dict[int, tuple[Any, ...]] = {}

    def look(self) -> None:
        ended = Run.objects.filter(status__in=FINAL)
        for number, campaign, *key in ended.values_list("pk", "campaign_id", *KEYS):
            self.ended[number] = (campaign, *key)

    def check(self) -> None:
        """Each counter, with what was not folded yet, against what was seen."""
        table = Counter(key[1:] for key in self.ended.values())
        assert self._counted(HourlyTally) == self._counted(TriggerTally) == table
        jobs = Counter(key[1] for key in self.ended.values())
        assert {pk: counts.run_count for pk, counts in tallies.of_jobs(list(jobs)).items()} == jobs
        lanes: Counter[str] = Counter()
        for tally, count in ((LanePace, "ended"), (TallyDelta, "runs")):
            for lane, runs in tally.objects.values_list("lane", count):
                lanes[lane] += runs
        assert +lanes == Counter(key[4] for key in self.ended.values())
        for campaign, seen in progress.of_campaigns(list(Campaign.objects.all())).items():
            mine = Counter(key[5] for key in self.ended.values() if key[0] == campaign)
            assert (seen.succeeded, seen.failed, seen.cancelled, seen.skipped) == tuple(
                mine[status] for status in ("succeeded", "failed", "cancelled", "skipped")
            )

    def _counted(self, model: Any) -> Counter[tuple[Any, ...]]:
        found: Counter[tuple[Any, ...]] = Counter()
        for tally in (model, TallyDelta):
            for *key, runs in tally.objects.values_list(*KEYS, "runs"):
                found[tuple(key)] += runs
        return found


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(ACTS), st.booleans(), st.integers(1, 3)), min_size=6, max_size=14
    )
)
def test_counters_say_what_the_table_says(steps: list[tuple[Act, bool, int]]) -> None:
    with transaction.atomic():
        jobs = [make_job(on_lost="fail"), make_job(max_attempts=2, retain_for_seconds=60)]
        memory = Memory()
        launches(jobs[0], 3)
        for act, second, number in steps:
            act(jobs[second], number)
            memory.look()
            memory.check()
        transaction.set_rollback(True)

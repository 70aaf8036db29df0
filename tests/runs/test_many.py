"""The engine beside very many runs: it finds what it looks for by the index that has it, whatever the planner knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

import pgtrigger
import pytest
from django.db import connection
from django.db.models import CharField
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils import timezone

from jobs.executors import Succeeded
from jobs.models import Job
from runs import (
    campaigns,
    circuits,
    failures,
    launch,
    levels,
    lifecycle,
    metrics,
    orders,
    queues,
    reports,
    sweep,
    targets,
    tending,
    why,
)
from runs.models import Campaign, Circuit, ClaimGroup, Run
from runs.views import campaign_recipients
from runs.views.filters import Filters
from tests.factories import claim, make_job, make_run, make_slot, make_user

pytestmark = pytest.mark.django_db

MANY = 5_000


@contextmanager
def reading(most: int, table: str = "runs_run") -> Iterator[None]:
    """Fails if what is done inside reads more rows of the table than that, by whatever way.

    Tables as small as a test's are read whole, or hashed, as the statistics of the moment say; larger ones are not.
    """
    with connection.cursor() as cursor:
        for way in ("seqscan", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    before = rows_read(table)
    yield
    assert rows_read(table) - before <= most


def rows_read(table: str) -> int:
    """How many rows of the table this transaction has read."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) FROM pg_stat_xact_user_tables
               WHERE relname = %s""",
            [table],
        )
        return int(cursor.fetchone()[0])


def queued(job: Job, *, priority: int = 50, count: int = MANY, **request: Any) -> None:
    """Many queued runs of the job, which are all that the planner has seen."""
    first = make_run(job, priority=priority, **request)
    columns = ", ".join(
        str(field.column)
        for field in Run._meta.concrete_fields
        if not field.primary_key and not field.generated
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO runs_run ({columns}) SELECT {columns} FROM runs_run, generate_series(2, %s) WHERE id = %s",
            [count, first.pk],
        )
        cursor.execute("ANALYZE runs_run, runs_claimgroup, jobs_job")
        cursor.execute("DISCARD PLANS")


@pytest.mark.parametrize("limit", [1, 50])
def test_a_claim_behind_the_many_runs_of_a_paused_job_does_not_read_them(limit: int) -> None:
    held, slot = make_job(), make_slot()
    queued(held)
    Job.objects.filter(pk=held.pk).update(status="paused")
    run = make_run(make_job(), priority=50)
    with reading(100):
        assert [claimed.id for claimed in claim(slot, lane="default", limit=limit)] == [run.pk]


def test_the_place_of_a_run_is_known_without_reading_the_queue_of_others() -> None:
    queued(make_job())
    Job.objects.update(status="paused")
    run = make_run(make_job(), priority=50)
    with reading(100):
        assert why.why(run) == why.Reason("no_worker", "No worker is alive on the lane default.")


@pytest.mark.parametrize("look", [queues.lengths, lambda: metrics.text(timezone.now())])
def test_how_full_the_lanes_are_is_known_without_reading_what_has_ended(look: Callable[[], object]) -> None:
    queued(make_job())
    end_all()
    run = make_run(make_job(), priority=5)
    with reading(200):
        look()
    assert queues.lengths()["high"].waiting_since == run.queued_at


def end_all() -> None:
    """Ends whatever is queued; the planner still takes it for queued."""
    Run.objects.filter(status="queued").update(status="cancelled", finished_at=timezone.now())


def test_a_sweep_skips_the_runs_of_inactive_jobs_without_reading_those_of_others() -> None:
    inactive = make_job()
    soon, run = make_run(inactive, run_at=timezone.now() + timedelta(days=1)), make_run(inactive)
    queued(make_job())
    Job.objects.filter(pk=inactive.pk).update(status="inactive")
    with reading(50):
        skipped = lifecycle.skip(limit=10)
    assert {moved.id for moved in skipped} == {run.pk, soon.pk}


def test_a_sweep_finds_the_runs_of_paused_targets_without_reading_those_of_others() -> None:
    job = make_job()
    campaign = Campaign.objects.create(job=job, name="spring", cause="ordered by ada")
    targets.pause("acme", by="ada")
    ClaimGroup.objects.create(job=job, campaign=campaign, target="acme")
    queued(job)
    with reading(50):
        assert lifecycle.skip_aimed(limit=10) == []


def test_a_sweep_finds_what_is_queued_without_reading_what_has_ended() -> None:
    queued(make_job(), priority=100)
    end_all()
    with reading(50):
        sweep.refill()
        assert not queues.waiting("bulk", most=10)


def test_who_wakes_lanes_for_a_job_does_not_read_the_runs_of_others() -> None:
    rated = make_job(max_starts=1, circuit_failure_rate=0.5)
    queued(make_job())
    make_run(rated, priority=5)
    with reading(50):
        assert levels.waiting([rated.pk], most=10) == {"high": 1}
        tending.wake(["high", "default"])


def test_a_breaker_that_is_closed_wakes_the_lanes_in_which_its_runs_wait() -> None:
    guarded = make_job(circuit_failure_rate=0.5)
    queued(make_job())
    make_run(guarded, priority=5)
    now = timezone.now()
    assert guarded.circuit_target is not None
    circuit = Circuit.objects.create(target=guarded.circuit_target, opened_at=now, open_until=now)
    with reading(50):
        assert circuits.reset(circuit, by="ada")


def test_a_portion_of_what_failed_is_retried_without_looking_at_what_was_retried_before() -> None:
    campaign = campaign_of(1_000)
    fail_all()
    campaigns.retry_failed(campaign, by="ada")
    for _ in range(20):
        launch.retry_recipients(campaign, limit=20)
    campaign.refresh_from_db()
    assert campaign.retried == 400
    with reading(150):
        launch.retry_recipients(campaign, limit=20)
    while launch.retry_recipients(campaign, limit=200):
        pass
    again = Run.objects.filter(retry_of__campaign=campaign)
    assert again.count() == again.values("retry_of").distinct().count() == 1_000


def test_a_group_of_errors_is_retried_without_looking_at_the_others() -> None:
    campaign = campaign_of(1_000)
    fail_all()
    some = list(Run.objects.filter(campaign=campaign).values_list("pk", flat=True)[::50])
    Campaign.objects.filter(pk=campaign.pk).update(retry_only=some, retry_upto=max(some))
    with reading(150):
        assert launch.retry_recipients(campaign, limit=1_000) == len(some)
    assert set(Run.objects.filter(retry_of__isnull=False).values_list("retry_of", flat=True)) == set(some)
    assert launch.retry_recipients(campaign, limit=1_000) == 0


def test_a_portion_of_a_canary_is_found_without_reading_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tending, "PORTION", 20)
    campaign = campaign_of(1_000, canary=50, invalid=True)
    with reading(200, "runs_recipient"):
        tending.carry_on(campaign.pk)
    campaign.refresh_from_db()
    assert (campaign.launched, campaign.status) == (50, "running")


def test_failures_are_taken_home_by_the_portion_and_no_cursor_waits_for_a_slow_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "PORTION", 20)
    campaign = campaign_of(1_000)
    fail_all()
    lines = reports.failures(campaign)
    assert [next(lines) for _ in range(2)][1].startswith("person-1,")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (0,)
    with reading(150):
        assert len(list(islice(lines, 100))) == 100
    assert len(list(lines)) == 899


def test_the_list_of_the_runs_of_a_job_is_found_without_reading_those_of_others() -> None:
    job = make_job(name="Rare")
    run = make_run(job, priority=50)
    queued(make_job())
    for query in (f"job={job.slug}", "q=rare&since=all"):
        with reading(50):
            assert [
                found.pk for found in Filters.read(QueryDict(query)).apply(Run.objects.order_by("-pk"))[:50]
            ] == [run.pk]


def test_a_claim_puts_some_of_very_many_runs_of_a_taken_key_aside_and_takes_what_others_have_behind_them() -> (
    None
):
    job, slot = keyed(), make_slot()
    queued(job, count=3_500, parameters={"customer": "acme"})
    (first,) = claim(slot, lane="default", limit=50)
    free, other = make_run(job, parameters={"customer": "zeta"}, priority=50), make_run(priority=50)
    aside = Run.objects.filter(group__is_held=True)
    assert [claimed.id for claimed in claim(slot, lane="default", limit=50)] == [other.pk]
    assert aside.count() == 3_000
    assert [claimed.id for claimed in claim(slot, lane="default", limit=50)] == [free.pk]
    assert aside.count() == 3_499
    lifecycle.settle([(first, Succeeded(result=None))])
    assert [claimed.id for claimed in claim(slot, lane="default", limit=50)] == [first.id + 1]


def test_a_claim_counts_what_runs_of_the_keys_that_it_looks_at_and_not_of_all() -> None:
    job, slot = keyed(), make_slot()
    queued(job, count=1_000, parameters={"customer": "acme"})
    Run.objects.update(concurrency_key=Cast("pk", CharField()))
    for _ in range(10):
        assert len(claim(slot, lane="default", limit=50)) == 50
    with reading(700):
        assert len(claim(slot, lane="default", limit=50)) == 50


def test_the_recipients_of_a_campaign_that_wait_are_found_without_reading_those_that_have_ended() -> None:
    campaign = campaign_of(3_000)
    ids = list(Run.objects.filter(campaign=campaign).order_by("pk").values_list("pk", flat=True))
    with pgtrigger.ignore("runs.Run:moves"):
        ended = Run.objects.filter(pk__in=ids[:2_900])
        ended.update(status="failed", failure_reason="error", finished_at=timezone.now())
    with reading(1_000):
        first = campaign_recipients.page(campaign, QueryDict("is=queued"))
        second = campaign_recipients.page(campaign, QueryDict(f"is=queued&after={first.last}"))
    assert [row.run.pk for page in (first, second) for row in page.rows if row.run] == ids[2_900:]
    assert second.last is None


def keyed() -> Job:
    return make_job(schema={"additionalProperties": True}, concurrency_key_template="{customer}")


def campaign_of(count: int, *, invalid: bool = False, **wanted: Any) -> Campaign:
    """A campaign of which nothing was begun; `invalid`: with a line that is none."""
    job = make_job()
    lines = [(number, {"key": f"person-{number}"}) for number in range(1, count + 1)]
    order = orders.Order(job=job, name="spring", user=make_user(), is_draft=invalid, **wanted)
    if not invalid:
        campaign = orders.order(order, lines).campaign
        tending.at_once(campaign)
    else:
        with pytest.raises(orders.InvalidRecipients) as refused:
            orders.order(order, [(0, {"key": ""}), *lines])
        campaign = refused.value.campaign
        campaigns.resume(campaign, by="ada", without_invalid=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runs_run, runs_recipient, runs_campaign, jobs_job")
    return campaign


def fail_all() -> None:
    """Lets all that is queued have failed."""
    with pgtrigger.ignore("runs.Run:moves"):
        Run.objects.filter(status="queued").update(
            status="failed",
            failure_reason="error",
            error={"type": "E", "message": "no"},
            finished_at=timezone.now(),
        )

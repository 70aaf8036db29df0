"""runs.targets: a paused target's runs wait, those of campaigns are skipped, and nothing else is held up."""

from datetime import datetime, timedelta
from threading import Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.changes import Change
from jobs.executors import Failed, Succeeded
from jobs.pausing import PauseRefused
from runs import campaigns, lifecycle, orders, targets, tending
from runs.models import Campaign, ClaimGroup, PausedTarget, Run
from runs.status import Status
from runs.why import why
from tests.factories import claim, claim_one, make_job, make_run, make_slot

FAILED = Failed(reason="error", type="X", message="no", traceback="")


def claimed(lane: str = "high") -> set[int]:
    return {each.id for each in claim(make_slot(), lane=lane, limit=9)}


def order(*keys: str) -> Campaign:
    rows = [(number, {"key": key}) for number, key in enumerate(keys, 1)]
    return orders.order(orders.Order(job=make_job(), name="spring"), rows).campaign


def statuses(campaign: Campaign) -> dict[str | None, tuple[str, str]]:
    runs = Run.objects.filter(campaign=campaign).order_by("pk")
    return {run.target: (run.status, run.skip_reason) for run in runs}


@pytest.mark.django_db
def test_what_is_queued_for_a_paused_target_waits_and_holds_nobody_up() -> None:
    job = make_job()
    for_shop, other, without = make_run(job, target="shop-7"), make_run(job, target="shop-8"), make_run(job)
    targets.pause("shop-7", by="ada", reason="moving house")
    assert claimed() == {other.pk, without.pk}
    for_shop.refresh_from_db()
    told = why(for_shop)
    assert told is not None
    assert told.code == "target_paused"
    assert told.sentence == "The target 'shop-7' is paused by ada (moving house)."


@pytest.mark.django_db
def test_what_is_launched_meanwhile_waits_until_somebody_resumes_it() -> None:
    targets.pause("shop-7", by="ada")
    run = make_run(target="shop-7")
    assert claimed() == set()
    targets.resume("shop-7", by="eve")
    assert claimed() == {run.pk}


@pytest.mark.django_db
def test_a_pause_that_has_an_end_needs_nobody_to_end_it() -> None:
    run = make_run(target="shop-7")
    targets.pause("shop-7", by="ada", until=timezone.now() + timedelta(hours=1))
    assert claimed() == set()
    # Long ago: `now()` is when this test began.
    PausedTarget.objects.update(paused_until=timezone.now() - timedelta(hours=1))
    assert claimed() == {run.pk}
    targets.tend()
    assert not PausedTarget.objects.exists()


@pytest.mark.django_db
def test_what_goes_on_goes_on_and_waits_only_if_it_is_tried_again() -> None:
    run = make_run(make_job(max_attempts=2), target="shop-7")
    held = claim_one(make_slot())
    targets.pause("shop-7", by="ada")
    lifecycle.settle([(held, FAILED)])
    lifecycle.enqueue()
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    assert claimed() == set()


@pytest.mark.django_db
def test_what_came_back_in_the_very_moment_of_the_pause_is_put_aside_by_the_sweep() -> None:
    run = make_run(target="shop-7")
    PausedTarget.objects.create(name="shop-7")
    assert targets.put_aside("another") == 0
    targets.tend()
    run.refresh_from_db()
    assert ClaimGroup.objects.get(pk=run.group_id).target == "shop-7"
    assert claimed() == set()


@pytest.mark.django_db
def test_a_campaign_skips_paused_targets_with_the_reason() -> None:
    targets.pause("b", by="ada")
    campaign = order("a", "b", "c")
    tending.at_once(campaign)
    assert statuses(campaign) == {
        "a": ("queued", ""),
        "b": ("skipped", "The target is paused."),
        "c": ("queued", ""),
    }


@pytest.mark.django_db
def test_what_a_campaign_has_queued_for_a_target_is_skipped_by_its_pause() -> None:
    campaign = order("a", "b")
    tending.at_once(campaign)
    targets.pause("a", by="ada")
    assert statuses(campaign)["a"] == ("skipped", "The target is paused.")
    lifecycle.settle([(each, Succeeded()) for each in claim(make_slot(), lane="bulk", limit=9)])
    tending.tend()
    campaign.refresh_from_db()
    assert campaign.status == "done"


@pytest.mark.django_db
def test_failed_recipients_that_are_paused_now_are_not_retried() -> None:
    campaign = order("a", "b")
    tending.at_once(campaign)
    lifecycle.settle([(each, FAILED) for each in claim(make_slot(), lane="bulk", limit=9)])
    tending.tend()
    targets.pause("a", by="ada")
    campaign.refresh_from_db()
    campaigns.retry_failed(campaign, by="ada")
    tending.at_once(campaign)
    retried = Run.objects.filter(campaign=campaign, retry_of__isnull=False)
    assert [run.target for run in retried] == ["b"]
    # And what was retried is found as well once its target is paused.
    targets.pause("b", by="ada")
    assert retried.get().status == Status.SKIPPED


@pytest.mark.django_db
def test_a_run_whose_concurrency_key_is_taken_waits_for_both() -> None:
    schema = {"type": "object", "properties": {"customer": {"type": "string"}}}
    job = make_job(schema=schema, concurrency_key_template="{customer}", max_concurrent_per_key=1)
    first, second = (make_run(job, parameters={"customer": "acme"}, target="shop-7") for _ in range(2))
    slot = make_slot()
    held = claim_one(slot)
    assert held.id == first.pk
    assert claim(slot) == []
    targets.pause("shop-7", by="ada")
    lifecycle.settle([(held, Succeeded())])
    assert claimed() == set()
    targets.resume("shop-7", by="ada")
    assert claimed() == {second.pk}


@pytest.mark.django_db
def test_a_pause_says_in_the_trail_of_changes_who_and_why() -> None:
    targets.pause("shop-7", by="ada", reason="moving house")
    targets.pause("shop-7", by="eve", reason="still moving")
    targets.resume("shop-7", by="ada")
    told = Change.objects.filter(model="runs.pausedtarget").order_by("pk")
    assert [(each.title, each.act) for each in told] == [
        ("shop-7", "insert"),
        ("shop-7", "update"),
        ("shop-7", "delete"),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "reason", "until", "said"),
    [
        ("", "", None, "expected 1 to 200"),
        ("x" * 201, "", None, "has 201 characters"),
        ("a\0b", "", None, "holds U"),
        ("a", "x" * 501, None, "expected at most 500"),
        ("a", "", timezone.now() - timedelta(hours=1), "is over"),
    ],
)
def test_what_can_be_no_pause_is_refused_with_a_sentence(
    name: str, reason: str, until: datetime | None, said: str
) -> None:
    with pytest.raises(PauseRefused, match=said):
        targets.pause(name, by="ada", reason=reason, until=until)
    assert not PausedTarget.objects.exists()


@pytest.mark.django_db
def test_who_resumes_what_is_not_paused_is_told_so() -> None:
    with pytest.raises(PauseRefused, match="'shop-7' is not paused"):
        targets.resume("shop-7", by="ada")


def test_a_launch_under_way_when_its_target_is_paused_waits_too(own_database: str) -> None:
    """The pause waits for the launch, which it could not see."""
    job = make_job()

    def pause() -> None:
        targets.pause("shop-7", by="ada")
        connection.close()

    with transaction.atomic():
        run = make_run(job, target="shop-7")
        pausing = Thread(target=pause)
        pausing.start()
    pausing.join()
    run.refresh_from_db()
    assert ClaimGroup.objects.get(pk=run.group_id).target == "shop-7"

"""runs.campaigns and runs.tending: a campaign's way from its recipients to its end, and who may hold it."""

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction
from django.utils import timezone

from jobs import pausing
from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import campaigns, dispatch, error_groups, lifecycle, orders, progress, tallies, tending, why
from runs.campaigns import CampaignRefused
from runs.launch import JobInactive, JobPaused
from runs.models import Campaign, CampaignStatus, ClaimGroup, Recipient, Run, WorkerProcess
from runs.models.campaign import CAMPAIGN_MOVES
from runs.orders import InvalidRecipients, Order
from runs.progress import Progress
from tests.factories import claim, make_job, make_run, make_slot, make_user

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "n": {"type": "integer", "minimum": 0}},
}
Capture = Callable[..., AbstractContextManager[list[Callable[[], object]]]]
ERROR = Failed(reason="error", type="ValueError", message="no", traceback="", retryable=False)


def lines(*given: Any) -> list[tuple[int, Any]]:
    return list(enumerate(given, 1))


def people(count: int) -> list[tuple[int, Any]]:
    return lines(*({"key": f"user-{number}", "parameters": {"n": number}} for number in range(count)))


def make_campaign(
    given: Iterable[tuple[int, Any]] | None = None,
    *,
    job: Job | None = None,
    expand: bool = True,
    **wanted: Any,
) -> Campaign:
    """A campaign for three people, expanded as far as it goes."""
    order = Order(job=job or make_job(schema=SCHEMA), **{"name": "spring", "user": make_user(), **wanted})
    made = orders.order(order, people(3) if given is None else given).campaign
    if expand:
        tending.at_once(made)
    return made


def carry_out(slot: WorkerProcess, *, failing: int = 0, limit: int = 100, result: Any = None) -> int:
    """Carries out what may start now; the first `failing` fail. Returns how many."""
    claims = claim(slot, lane="bulk", limit=limit)
    lifecycle.settle(
        [(one, ERROR if number < failing else Succeeded(result=result)) for number, one in enumerate(claims)]
    )
    return len(claims)


def tended(campaign: Campaign) -> Campaign:
    tending.tend()
    campaign.refresh_from_db()
    return campaign


def numbers(campaign: Campaign) -> dict[str, int]:
    """What the counters say, after what is in the table was found to be the same."""
    campaign.refresh_from_db()
    seen = progress.of_campaign(campaign)
    counted = dict.fromkeys(("running", "succeeded", "failed", "cancelled", "skipped"), 0)
    for status in Run.objects.filter(campaign=campaign).values_list("status", flat=True):
        if status in counted:
            counted[status] += 1
    assert {name: getattr(seen, name) for name in counted} == counted
    return {name: number for name, number in counted.items() if number}


def test_a_campaign_makes_a_bulk_run_of_each_recipient_and_says_whose_it_is() -> None:
    job = make_job(schema=SCHEMA, defaults={"city": "Bonn", "n": 9}, tags=["mail"])
    user = make_user(username="ada")
    campaign = make_campaign(job=job, user=user, parameters={"city": "Köln"})
    assert (campaign.status, campaign.total, campaign.launched) == (CampaignStatus.RUNNING, 3, 3)
    runs = list(Run.objects.filter(campaign=campaign).order_by("pk"))
    assert [(run.target, run.parameters) for run in runs] == [
        (f"user-{number}", {"city": "Köln", "n": number}) for number in range(3)
    ]
    assert {(run.status, run.lane, run.trigger_kind, run.priority) for run in runs} == {
        ("queued", "bulk", "campaign", 100)
    }
    assert runs[0].cause == f"Campaign #{campaign.pk} spring: ordered by ada"
    assert runs[0].tags == ["mail"]
    assert runs[0].name.startswith(f"bulk_{job.slug}_")


def test_its_runs_are_carried_out_and_then_it_is_done() -> None:
    campaign = make_campaign()
    slot = make_slot()
    assert carry_out(slot, failing=1) == 3
    assert numbers(campaign) == {"succeeded": 2, "failed": 1}
    assert tended(campaign).status == CampaignStatus.DONE
    assert campaign.finished_at is not None


def test_counters_are_the_same_before_and_after_the_fold() -> None:
    campaign = make_campaign()
    slot = make_slot()
    carry_out(slot, failing=1, limit=2)
    before = numbers(campaign)
    tallies.fold()
    assert numbers(campaign) == before == {"succeeded": 1, "failed": 1}
    carry_out(slot)
    assert numbers(campaign) == {"succeeded": 2, "failed": 1}
    assert [pace.succeeded for pace in progress.paces(campaign, limit=5)] == [1]


def test_numbers_of_results_are_summed_up() -> None:
    campaign = make_campaign()
    slot = make_slot()
    carry_out(slot, limit=1, result={"saved": 3, "name": "x", "share": 0.5})
    progress.fold_sums()
    carry_out(slot, limit=1, result={"saved": 4})
    carry_out(slot, limit=1, result=["saved", 4])
    found = {one.field: (one.sum, one.runs) for one in progress.sums(campaign)}
    assert found == {"saved": (7.0, 2), "share": (0.5, 1)}
    progress.fold_sums()
    assert {one.field: (one.sum, one.runs) for one in progress.sums(campaign)} == found


def test_an_inactive_recipient_gets_a_skipped_run_with_the_reason() -> None:
    campaign = make_campaign(lines({"key": "a", "active": False}, {"key": "b"}))
    skipped = Run.objects.get(target="a")
    assert (skipped.status, skipped.skip_reason) == ("skipped", "The recipient is inactive.")
    assert numbers(campaign) == {"skipped": 1}
    carry_out(make_slot())
    assert tended(campaign).status == CampaignStatus.DONE
    assert numbers(campaign) == {"skipped": 1, "succeeded": 1}


def test_a_recipient_that_is_named_twice_gets_one_run_by_the_first() -> None:
    given = lines(
        {"key": "a", "parameters": {"n": 1}}, {"key": "b"}, {"key": "a", "parameters": {"n": 2}}, {"key": "a"}
    )
    campaign = make_campaign(given)
    assert (campaign.total, campaign.duplicates) == (2, 2)
    assert list(Run.objects.order_by("pk").values_list("target", "parameters")) == [
        ("a", {"n": 1}),
        ("b", {}),
    ]


def test_invalid_recipients_start_nothing_and_are_told_apart() -> None:
    given = lines(
        {"key": "a", "parameters": {"n": -1}},
        {"key": "b", "parameters": {"town": "x"}},
        {"key": ""},
        {"key": "c", "active": "perhaps", "extra": 1},
        "d",
        {"key": "e", "parameters": {"city": "nul\0"}},
        {"key": "f"},
    )
    with pytest.raises(InvalidRecipients, match="6 of the recipients are invalid") as refused:
        make_campaign(given)
    campaign = refused.value.campaign
    assert (campaign.status, campaign.total, campaign.invalid) == (CampaignStatus.DRAFT, 1, 6)
    assert not Run.objects.exists()
    faults = Recipient.objects.filter(campaign=campaign, fault__isnull=False)
    assert list(faults.values_list("line", flat=True)) == [1, 2, 3, 4, 5, 6]
    found = [fault or [] for fault in faults.values_list("fault", flat=True)]
    assert [len(fault) for fault in found] == [1, 1, 1, 2, 1, 1]
    assert found[0][0]["detail"] == "'n' is -1; expected a whole number of at least 0."


def test_a_draft_with_invalid_recipients_starts_without_them_only_when_told_so() -> None:
    with pytest.raises(InvalidRecipients) as refused:
        make_campaign(lines({"key": "a"}, {"key": 1.5}))
    campaign = refused.value.campaign
    with pytest.raises(CampaignRefused, match="1 recipients of campaign"):
        campaigns.resume(campaign, by="ada")
    campaigns.resume(campaign, by="ada", without_invalid=True)
    tending.at_once(campaign)
    assert [run.target for run in Run.objects.all()] == ["a"]
    carry_out(make_slot())
    assert tended(campaign).status == CampaignStatus.DONE


def test_nobody_to_send_to_is_refused() -> None:
    with pytest.raises(CampaignRefused, match="no recipient"):
        make_campaign(lines())
    assert not Campaign.objects.exists()


def test_a_paused_or_inactive_job_refuses_a_campaign() -> None:
    job = make_job()
    pausing.pause(job, by="ada")
    with pytest.raises(JobPaused):
        make_campaign(job=job)
    with pytest.raises(JobInactive):
        make_campaign(job=make_job(status=Job.Status.INACTIVE))


def test_a_draft_starts_when_it_is_resumed() -> None:
    campaign = make_campaign(is_draft=True)
    assert campaign.status == CampaignStatus.DRAFT
    campaigns.resume(campaign, by="ada")
    tending.at_once(campaign)
    assert (campaign.status, campaign.launched) == (CampaignStatus.RUNNING, 3)


def test_a_campaign_for_later_is_started_by_the_sweep_when_due() -> None:
    campaign = make_campaign(start_at=timezone.now() + timedelta(hours=1))
    assert tended(campaign).status == CampaignStatus.SCHEDULED
    Campaign.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    assert tended(campaign).status == CampaignStatus.RUNNING
    assert campaign.launched == 3


def test_a_paused_campaign_starts_nothing_and_says_so_until_it_is_resumed() -> None:
    campaign = make_campaign()
    slot = make_slot()
    campaigns.pause(campaign, by="ada", reason="wrong text")
    assert claim(slot, lane="bulk") == []
    reason = why.why(Run.objects.filter(campaign=campaign)[0])
    assert reason is not None
    assert reason.code == "campaign_paused"
    assert reason.sentence == f"The campaign #{campaign.pk} spring is paused by ada (wrong text)."
    campaigns.resume(campaign, by="ada")
    assert carry_out(slot) == 3


def test_other_campaigns_of_a_job_go_on_while_one_is_paused() -> None:
    job = make_job(schema=SCHEMA)
    campaigns.pause(make_campaign(job=job), by="ada")
    other = make_campaign(job=job)
    assert carry_out(make_slot()) == 3
    assert numbers(other) == {"succeeded": 3}


def test_expansion_goes_on_where_it_was_without_gaps_or_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tending, "PORTION", 7)
    campaign = make_campaign(people(20), expand=False)
    assert tending._step(campaign.pk)
    campaign.refresh_from_db()
    assert (campaign.status, campaign.launched) == (CampaignStatus.EXPANDING, 7)
    with transaction.atomic():
        tending._step(campaign.pk)
        transaction.set_rollback(True)  # whoever expands dies behind the statement and before the commit
    assert Run.objects.count() == 7
    assert tended(campaign).status == CampaignStatus.RUNNING
    assert {run.target for run in Run.objects.all()} == {f"user-{number}" for number in range(20)}
    assert Run.objects.count() == 20


def test_pausing_in_the_middle_of_the_expansion_stops_it_and_resuming_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tending, "PORTION", 2)
    campaign = make_campaign(people(5), expand=False)
    tending._step(campaign.pk)
    campaigns.pause(campaign, by="ada")
    assert tended(campaign).launched == 2
    campaigns.resume(campaign, by="ada")
    assert tended(campaign).launched == 5


def test_cancel_ends_what_is_queued_and_asks_what_runs() -> None:
    campaign = make_campaign()
    (running,) = claim(make_slot(), lane="bulk")
    campaigns.cancel(campaign, by="ada")
    assert tended(campaign).status == CampaignStatus.CANCELLING
    assert numbers(campaign) == {"running": 1, "cancelled": 2}
    assert Run.objects.get(pk=running.id).cancel_requested_at is not None
    lifecycle.settle([(running, Succeeded(result=None))])
    assert tended(campaign).status == CampaignStatus.CANCELLED
    assert numbers(campaign) == {"succeeded": 1, "cancelled": 2}


def test_a_campaign_cancelled_before_its_expansion_launches_nothing() -> None:
    campaign = make_campaign(is_draft=True)
    campaigns.cancel(campaign, by="ada")
    assert tended(campaign).status == CampaignStatus.CANCELLED
    assert progress.of_campaign(campaign).not_launched == 3
    with pytest.raises(CampaignRefused, match="is cancelled"):
        campaigns.resume(campaign, by="ada")


def test_a_rate_gives_permits_as_time_goes_by() -> None:
    campaign = make_campaign(people(10), rate_per_second=2.0)
    slot = make_slot()
    assert carry_out(slot) == 2
    assert carry_out(slot) == 0
    reason = why.why(Run.objects.filter(campaign=campaign, status="queued")[0])
    assert reason is not None
    assert reason.code == "campaign_rate"
    assert "no more than 2 runs a second" in reason.sentence
    ClaimGroup.objects.update(paced_until=timezone.now() + timedelta(seconds=0.4))
    assert carry_out(slot) == 1


def test_a_new_rate_holds_from_the_next_claim_on() -> None:
    campaign = make_campaign(people(10), rate_per_second=0.001)
    slot = make_slot()
    assert (carry_out(slot), carry_out(slot)) == (1, 0)
    campaigns.change(campaign, by="ada", rate_per_second=3.0)
    assert carry_out(slot) == 3
    campaigns.change(campaign, by="ada", rate_per_second=None)
    assert carry_out(slot) == 6


def test_outside_its_hours_nothing_starts() -> None:
    now = timezone.now()
    later, latest = ((now + timedelta(hours=hours)).time() for hours in (2, 3))
    campaign = make_campaign(window_from=later, window_to=latest)
    slot = make_slot()
    assert carry_out(slot) == 0
    reason = why.why(Run.objects.filter(campaign=campaign)[0])
    assert reason is not None
    assert reason.code == "campaign_window"
    campaigns.change(campaign, by="ada", window_from=latest, window_to=later)
    assert carry_out(slot) == 3


def test_a_window_is_in_its_own_zone() -> None:
    here = timezone.now()
    begin, end = ((here + timedelta(hours=hours)).time() for hours in (-1, 1))
    make_campaign(window_zone="Pacific/Kiritimati", window_from=begin, window_to=end)  # 14 hours ahead
    assert carry_out(make_slot()) == 0


def test_a_canary_goes_first_and_then_somebody_is_asked() -> None:
    campaign = make_campaign(people(10), canary=2)
    slot = make_slot()
    assert (campaign.launched, carry_out(slot, failing=1)) == (2, 2)
    assert tended(campaign).status == CampaignStatus.PAUSED
    assert campaign.paused_by == "the canary"
    assert campaign.paused_reason == (
        "The first 2 runs have ended: 1 succeeded, 1 failed. Go on with the other 8?"
    )
    campaigns.resume(campaign, by="ada")
    tending.at_once(campaign)
    assert (campaign.launched, carry_out(slot)) == (10, 8)
    assert tended(campaign).status == CampaignStatus.DONE


def test_a_canary_that_is_paused_by_hand_is_not_passed_by_resuming() -> None:
    campaign = make_campaign(people(10), canary=2)
    campaigns.pause(campaign, by="ada")
    campaigns.resume(campaign, by="ada")
    tending.at_once(campaign)
    assert campaign.launched == 2


def test_it_stops_by_itself_when_too_much_fails_and_can_be_let_go_on() -> None:
    campaign = make_campaign(people(60), stop_on_failure_rate=0.25)
    slot = make_slot()
    carry_out(slot, failing=5, limit=20)
    assert tended(campaign).status == CampaignStatus.RUNNING
    carry_out(slot, failing=6, limit=20)
    assert tended(campaign).status == CampaignStatus.PAUSED
    assert campaign.paused_reason == "11 of 40 runs failed, which is more than 25.0%."
    campaigns.resume(campaign, by="ada")
    assert tended(campaign).status == CampaignStatus.RUNNING
    carry_out(slot)
    assert tended(campaign).status == CampaignStatus.DONE


def test_a_campaign_that_is_over_does_not_ask_whether_to_go_on() -> None:
    campaign = make_campaign(people(20), stop_on_failure_rate=0.25)
    carry_out(make_slot(), failing=20)
    assert tended(campaign).status == CampaignStatus.DONE


def test_only_the_failed_ones_are_retried_each_once() -> None:
    campaign = make_campaign(people(5))
    slot = make_slot()
    carry_out(slot, failing=2)
    assert tended(campaign).status == CampaignStatus.DONE
    failed = list(Run.objects.filter(status="failed").order_by("pk"))
    campaigns.retry_failed(campaign, by="ada")
    tending.at_once(campaign)
    again = list(Run.objects.filter(retry_of__isnull=False).order_by("pk"))
    assert [run.retry_of_id for run in again] == [run.pk for run in failed]
    assert [run.target for run in again] == [run.target for run in failed]
    assert {(run.campaign_id, run.trigger_kind, run.lane) for run in again} == {
        (campaign.pk, "manual", "bulk")
    }
    assert again[0].cause == f"Retry of #{failed[0].pk} in the campaign spring by ada"
    assert progress.of_campaign(campaign).runs == 7
    carry_out(slot, failing=1)
    assert tended(campaign).status == CampaignStatus.DONE
    assert numbers(campaign) == {"succeeded": 4, "failed": 3}
    campaigns.retry_failed(campaign, by="ada")
    tending.at_once(campaign)
    carry_out(slot)
    assert tended(campaign).status == CampaignStatus.DONE
    with pytest.raises(CampaignRefused, match="No failed run"):
        campaigns.retry_failed(campaign, by="ada")


def test_a_recipient_whose_dedup_key_has_an_open_run_is_skipped() -> None:
    job = make_job(schema=SCHEMA, dedup_key_template="{n}")
    given = lines(
        *({"key": key, "parameters": {"n": number}} for key, number in (("a", 1), ("b", 2), ("c", 1)))
    )
    make_campaign(given, job=job)
    make_campaign(lines({"key": "d", "parameters": {"n": 2}}, {"key": "e"}), job=job)
    found = dict(Run.objects.values_list("target", "skip_reason"))
    busy = "A run with the same dedup key is open."
    assert found == {"a": "", "b": "", "c": busy, "d": busy, "e": ""}


def test_a_limited_job_is_limited_over_its_campaigns() -> None:
    job = make_job(schema=SCHEMA, max_concurrent_runs=2)
    make_campaign(job=job)
    make_campaign(job=job, rate_per_second=100.0)
    slot = make_slot()
    assert len(claim(slot, lane="bulk", limit=10)) == 2
    assert claim(slot, lane="bulk", limit=10) == []


@pytest.mark.parametrize("old", CampaignStatus)
def test_the_database_refuses_every_other_move(old: CampaignStatus) -> None:
    campaign = make_campaign(is_draft=True)
    for new in set(CampaignStatus) - {old, *CAMPAIGN_MOVES.get(old, ())}:
        with pgtrigger.ignore("runs.Campaign:moves"):
            Campaign.objects.filter(pk=campaign.pk).update(status=old)
        with pytest.raises((InternalError, ProgrammingError), match="cannot move"), transaction.atomic():
            Campaign.objects.filter(pk=campaign.pk).update(status=new)


def test_how_far_a_campaign_is_and_until_when() -> None:
    campaign = make_campaign(people(10), rate_per_second=2.0)
    seen = progress.of_campaign(campaign)
    assert (seen.runs, seen.queued, seen.running, seen.rate) == (10, 10, 0, 0.0)
    assert seen.eta is not None
    assert seen.assumption == "if it goes as fast as it may: 2 runs a second"
    carry_out(make_slot())
    seen = progress.of_campaign(campaign)
    assert seen.rate > 0
    assert isinstance(seen, Progress)
    assert "as in the last half minute" in seen.assumption
    campaigns.pause(campaign, by="ada")
    assert progress.of_campaign(campaign).eta is None


def test_a_slot_tends_a_portion_after_the_other_and_asks_for_another_turn(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Capture
) -> None:
    monkeypatch.setattr(tending, "PORTION", 2)
    monkeypatch.setattr(tending, "CANCEL_PORTION", 2)
    told: list[int] = []
    monkeypatch.setattr(dispatch.publisher, "tend", told.append)
    with django_capture_on_commit_callbacks(execute=True):
        campaign = make_campaign(people(5), expand=False)
    assert told == [campaign.pk], "who orders leaves it to a slot"
    with django_capture_on_commit_callbacks(execute=True):
        tending.carry_on(campaign.pk, seconds=-1)
    campaign.refresh_from_db()
    assert (campaign.launched, told) == (2, [campaign.pk] * 2), "a turn is over, and there is more to be done"
    tending.carry_on(campaign.pk)
    with django_capture_on_commit_callbacks(execute=True):
        campaigns.cancel(campaign, by="ada")
    assert len(told) == 3
    tending.carry_on(campaign.pk)
    assert numbers(campaign) == {"cancelled": 5}
    assert campaign.status == CampaignStatus.CANCELLED


def test_a_portion_of_a_campaign_that_is_cancelled_is_found_without_reading_the_others() -> None:
    campaign = make_campaign(people(200))
    campaigns.pause(campaign, by="ada")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runs_run, runs_claimgroup")
        # A table that is as small as this one is read whole without being asked to.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    queued, *_ = tending._open_runs(campaign)
    (plan,) = json.loads(queued[:5].explain(analyze=True, format="json"))
    assert rows_read(plan["Plan"]) == 5


def rows_read(node: dict[str, Any]) -> float:
    """How many rows of the runs the plan's scans have found."""
    own = node["Actual Rows"] * node["Actual Loops"] if node.get("Relation Name") == "runs_run" else 0
    return float(own + sum(rows_read(part) for part in node.get("Plans", ())))


def test_the_database_refuses_runs_without_a_group_of_their_job() -> None:
    run = make_run()
    other = ClaimGroup.objects.create(job=make_job())
    for fields in ({"group_id": other.pk}, {"group_id": 10**9}, {"job_id": 10**9}):
        copy = Run.objects.get(pk=run.pk)
        copy.pk = None
        for name, value in fields.items():
            setattr(copy, name, value)
        with pytest.raises(IntegrityError, match="no claim group"), transaction.atomic():
            copy.save(force_insert=True)


def test_the_database_keeps_the_group_of_a_run() -> None:
    run = make_run()
    with (
        pytest.raises(IntegrityError, match="There are runs of the claim group"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM runs_claimgroup WHERE id = %s", [run.group_id])


def timeline(campaign: Campaign) -> list[tuple[str, str, str]]:
    return list(campaign.events.order_by("pk").values_list("act", "actor", "detail"))


def test_the_timeline_says_who_did_what() -> None:
    campaign = make_campaign(people(10), canary=2, user=make_user(username="ada"), rate_per_second=100.0)
    slot = make_slot()
    carry_out(slot, failing=1)
    tended(campaign)
    campaigns.resume(campaign, by="bob")
    campaigns.change(campaign, by="bob", rate_per_second=None, window_zone="UTC")
    tending.at_once(campaign)
    carry_out(slot)
    tended(campaign)
    campaigns.retry_failed(campaign, by="eve")
    assert timeline(campaign) == [
        ("ordered", "ada", "10 recipients"),
        (
            *("paused", "the canary"),
            "The first 2 runs have ended: 1 succeeded, 1 failed. Go on with the other 8?",
        ),
        ("resumed", "bob", ""),
        ("changed", "bob", "runs a second: 100 → none"),
        ("ended", "", "done"),
        ("retried", "eve", "all that failed"),
    ]


def test_a_draft_can_be_tried_with_a_few_first() -> None:
    campaign = make_campaign(people(8), is_draft=True)
    campaigns.resume(campaign, by="ada", first=5)
    tending.at_once(campaign)
    assert campaign.launched == 5
    carry_out(make_slot())
    assert tended(campaign).paused_by == "the canary"
    assert ("started", "ada", "the first 5") in timeline(campaign)


def test_one_group_of_errors_is_retried_and_the_others_are_left() -> None:
    campaign = make_campaign(people(6))
    other = replace(ERROR, message="gone")
    claims = claim(make_slot(), lane="bulk", limit=6)
    lifecycle.settle([(one, other if number < 2 else ERROR) for number, one in enumerate(claims)])
    (group,) = [group for group in error_groups.of_campaign(campaign) if group.message == "gone"]
    campaigns.retry_failed(campaign, by="ada", group=group.fingerprint)
    tending.at_once(campaign)
    again = Run.objects.filter(retry_of__isnull=False)
    assert {run.retry_of_id for run in again} == {one.id for one in claims[:2]}
    assert error_groups.left_in(campaign, group.fingerprint) == []
    with pytest.raises(CampaignRefused, match=r"No failed run of campaign .* of the group"):
        campaigns.retry_failed(campaign, by="ada", group=group.fingerprint)


def test_a_duplicate_is_a_draft_for_the_same_people_checked_anew() -> None:
    job = make_job(schema=SCHEMA)
    given = lines(
        {"key": "a", "parameters": {"n": 1}},
        {"key": "b", "active": False},
        {"key": "c", "parameters": {"n": 7}},
    )
    first = make_campaign(given, job=job, rate_per_second=9.0, canary=1, parameters={"city": "Bonn"})
    job.schema = {"properties": {"city": {"type": "string"}, "n": {"type": "integer", "maximum": 5}}}
    job.save()
    made = orders.duplicate(Campaign.objects.get(pk=first.pk), user=make_user(username="bob"))
    assert (made.name, made.status, made.cause) == ("spring (copy)", "draft", "ordered by bob")
    assert (made.rate_per_second, made.canary, made.parameters) == (9.0, 1, {"city": "Bonn"})
    assert (made.total, made.invalid) == (2, 1)
    copied = made.recipients.filter(fault__isnull=True).values_list("key", "parameters", "is_active")
    assert list(copied) == [("a", {"n": 1}, True), ("b", {}, False)]

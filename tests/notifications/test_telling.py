"""runs.telling: what is told to whom, once, and what is kept to itself for a while."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.executors import Succeeded
from jobs.models import Job
from notifications.models import Failing, Hush, Message, Notice, Occasion
from runs import deadlines, firing, lifecycle, telling
from runs.models import Campaign, Deadline, Run
from tests.factories import (
    claim_one,
    make_channel,
    make_job,
    make_rule,
    make_run,
    make_schedule,
    make_slot,
)
from tests.runs.endings import WAYS, ended_run, settle_failed, settle_succeeded

pytestmark = pytest.mark.django_db


def told() -> list[str]:
    """Takes what was noted, and says what is to be sent, in order."""
    telling.take()
    return list(Message.objects.order_by("pk").values_list("subject", flat=True))


@pytest.mark.parametrize("name", WAYS)
def test_a_failed_run_is_told_whatever_way_it_failed(name: str) -> None:
    make_rule("failed")
    status, way = WAYS[name]
    run = ended_run(make_job(name="Report"), way)
    assert told() == ([f"Report failed: run #{run.pk}"] if status == "failed" else [])
    assert told() == told()


def test_without_a_rule_about_the_job_nothing_is_even_noted() -> None:
    make_rule("failed", job=make_job())
    make_rule("failed", tag="night")
    make_rule("missed")
    make_rule("failed", is_enabled=False)
    ended_run(make_job(tags=["day"]), settle_failed)
    assert not Notice.objects.exists()


def test_a_run_that_will_be_tried_again_has_not_failed() -> None:
    make_rule("failed")
    ended_run(make_job(max_attempts=2), settle_failed)
    assert told() == []


def test_rules_are_about_a_job_or_a_tag_and_a_channel_is_told_once() -> None:
    channel, job = make_channel(), make_job(name="Report", tags=["night"])
    make_rule("failed", channel=channel, job=job)
    make_rule("failed", channel=channel, tag="night")
    make_rule("failed", channel=make_channel(is_enabled=False))
    ended_run(job, settle_failed)
    assert len(told()) == 1


def test_recovered_is_the_first_success_after_a_failure_and_no_other() -> None:
    make_rule("recovered")
    job = make_job(name="Report")
    ended_run(job)
    first = ended_run(job, settle_failed)
    ended_run(job, settle_failed)
    assert told() == []
    good = ended_run(job)
    ended_run(job)
    assert told() == [f"Report succeeds again: run #{good.pk}"]
    message = Message.objects.get()
    assert message.payload["data"]["failures"] == 2
    assert message.payload["data"]["first_failed_run"] == first.pk
    ended_run(job)
    assert len(told()) == 1
    assert not Failing.objects.exists()


def test_a_recovery_between_two_sweeps_is_told_as_well() -> None:
    make_rule("failed", "recovered")
    job = make_job(name="Report")
    bad, good = ended_run(job, settle_failed), ended_run(job)
    assert told() == [f"Report failed: run #{bad.pk}", f"Report succeeds again: run #{good.pk}"]


def test_quiet_time_counts_what_it_keeps_and_tells_it_when_it_is_over() -> None:
    make_rule("failed", quiet_minutes=10)
    job = make_job(name="Report")
    runs = [ended_run(job, settle_failed) for _ in range(4)]
    other = ended_run(make_job(name="Other"), settle_failed)
    assert told() == [f"Report failed: run #{runs[0].pk}", f"Other failed: run #{other.pk}"]
    Hush.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert told()[2:] == [f"Report failed: run #{runs[3].pk}"]
    last = Message.objects.first()
    assert last is not None
    assert (last.others, "2 more of the same kind" in last.text) == (2, True)
    ended_run(job, settle_failed)
    assert len(told()) == 3
    Hush.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert len(told()) == 4
    Hush.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert len(told()) == 4
    assert not Hush.objects.exists()


def test_a_storm_is_told_once() -> None:
    make_rule("failed")
    for number in range(telling.SINGLY + 7):
        ended_run(make_job(slug=f"job-of-storm-{number}"), settle_failed)
    assert told() == ["A run failed: 12 times, 12 jobs"]
    message = Message.objects.get()
    assert "job-of-storm-0, job-of-storm-1" in message.text
    assert "and 2 more" in message.text
    assert message.others == 11


def test_the_runs_of_a_campaign_are_not_told_singly() -> None:
    make_rule("failed")
    job = make_job()
    run = make_run(job)
    campaign = Campaign.objects.create(job=job, status="running", name="all", recipients_from=0)
    Run.objects.filter(pk=run.pk).update(campaign=campaign)
    settle_failed(run)
    assert not Notice.objects.exists()


def test_a_breached_deadline_is_told_with_the_transaction_that_breaches_it() -> None:
    make_rule("deadline")
    run = make_run(make_job(name="Report", start_within_seconds=60))
    Deadline.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert [deadlines.judge(), deadlines.judge()] == [1, 0]
    assert told() == [f"Report: run #{run.pk} did not start in time"]
    assert Message.objects.get().payload["type"] == "run.deadline_breached"


def test_slots_that_are_missed_together_are_told_together() -> None:
    make_rule("missed")
    schedule = make_schedule(make_job(name="Report"), cron="*/5 * * * *", misfire="skip", name="often")
    now = timezone.now()
    firing.fire_due(now)
    firing.fire_due(now + timedelta(hours=1))
    (subject,) = told()
    assert subject.startswith("Report: often missed 1")
    assert Message.objects.get().payload["data"]["trigger"] == schedule.pk


def test_a_circuit_breaker_that_opens_is_told() -> None:
    make_rule(Occasion.CIRCUIT_OPENED)
    job = make_job(name="Report", slug="report", circuit_failure_rate=0.5, circuit_min_calls=1)
    ended_run(job, settle_failed)
    assert told() == ["Report: the circuit breaker job:report opened"]


def test_a_message_names_the_run_its_cause_and_the_error_and_no_parameter(settings: object) -> None:
    settings.PUBLIC_URL = "https://headway.example/"  # type: ignore[attr-defined]
    make_rule("failed")
    schema = {"properties": {"password": {"type": "string", "writeOnly": True}}}
    run = ended_run(make_job(name="Report", schema=schema), settle_failed, parameters={"password": "hush"})
    told()
    message = Message.objects.get()
    assert message.payload["data"]["error"] == {"type": "ValueError", "message": "no"}
    assert message.payload["data"]["url"] == f"https://headway.example/runs/{run.pk}/"
    assert message.payload["type"] == "run.failed"
    assert "Started by hand" in message.text
    assert "hush" not in f"{message.text}{message.payload}"


def test_what_can_not_be_worded_holds_up_nobody() -> None:
    make_rule("failed", "missed")
    job = make_job(name="Report")
    Notice.objects.create(occasion="missed", once="missed:broken", job=job, detail={})
    run = ended_run(job, settle_failed)
    assert told() == [f"Report failed: run #{run.pk}"]
    assert not Notice.objects.filter(taken_at=None).exists()


def test_two_sweeps_at_once_tell_once() -> None:
    make_rule("failed")
    ended_run(make_job(), settle_failed)
    Notice.objects.update(taken_at=None)
    telling.take()
    Notice.objects.update(taken_at=None)  # as if the first had not got to its end
    telling.take()
    assert Message.objects.count() == 1


def test_the_settlement_of_what_nobody_wants_told_writes_nothing_more() -> None:
    make_rule("failed", job=make_job())
    job = make_job()
    for _ in range(3):
        make_run(job)
    slot = make_slot()
    lifecycle.settle([(claim_one(slot), Succeeded(result={}))])
    settle_succeeded(Run.objects.filter(job=job, status="queued").first())  # type: ignore[arg-type]
    assert not Notice.objects.exists()
    assert Job.objects.count() == 2

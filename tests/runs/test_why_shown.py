"""Each reason why a run does not run, produced for real and shown on its page and in the API, word for word."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs.executors import Failed, Outcome, Waiting
from jobs.models import Job
from runs import lifecycle, targets, why
from runs.models import Campaign, CampaignStatus, Circuit, ClaimGroup, Lane, Run, TriggerKind
from tests.factories import claim, claim_one, make_job, make_run, make_slot

pytestmark = pytest.mark.django_db
FAILED = Failed(reason="error", type="X", message="no", traceback="")


def ended(outcome: Outcome) -> None:
    lifecycle.settle([(claim_one(make_slot()), outcome)])


def in_line() -> Run:
    make_slot()
    make_run()
    return make_run()


def next_one() -> Run:
    make_slot()
    return make_run()


def retry_delay() -> Run:
    run = make_run(make_job(max_attempts=2, retry_first_delay_seconds=60, retry_longest_delay_seconds=60))
    ended(FAILED)
    return run


def waiting() -> Run:
    run = make_run()
    ended(Waiting(resume_at=timezone.now() + timedelta(hours=1), next_step="second message", state={}))
    return run


def lane_paused() -> Run:
    Lane.objects.filter(name="high").update(paused_at=timezone.now(), paused_by="ada")
    return make_run()


def of_job(**changes: object) -> Run:
    run = make_run()
    Job.objects.filter(pk=run.job_id).update(**changes)
    return run


def behind_another(**limits: object) -> Run:
    """The second run of a job of which one has started."""
    job = make_job(schema={"additionalProperties": True}, **limits)
    runs = [make_run(job, parameters={"customer": "acme"}) for _ in range(2)]
    claim_one(make_slot())
    return runs[1]


def circuit_open() -> Run:
    job = make_job(circuit_failure_rate=1, circuit_min_calls=1)
    make_run(job)
    ended(FAILED)
    return make_run(job)


def circuit_probing() -> Run:
    run = circuit_open()
    Circuit.objects.update(open_until=timezone.now() - timedelta(seconds=1))
    make_run(run.job, priority=1)
    probe = claim_one(make_slot())
    return Run.objects.filter(status="queued").exclude(pk=probe.id).get()


def of_campaign(status: str = CampaignStatus.RUNNING, **fields: object) -> Run:
    """A run of a campaign, in the place where it would wait for its turn."""
    run = make_run(priority=100)
    campaign = Campaign.objects.create(job=run.job, name="Spring", cause="ada", status=status, **fields)
    group = ClaimGroup.objects.create(
        job=run.job, campaign=campaign, paced_until=timezone.now() + timedelta(hours=1)
    )
    Run.objects.filter(pk=run.pk).update(group=group, campaign=campaign, trigger_kind=TriggerKind.CAMPAIGN)
    make_slot()
    return run


def outside_hours() -> Run:
    now = timezone.now()
    return of_campaign(
        window_from=(now + timedelta(hours=2)).time(), window_to=(now + timedelta(hours=3)).time()
    )


def target_paused() -> Run:
    targets.pause("shop-7", by="ada", reason="moving house")
    return make_run(target="shop-7")


def dedup_started() -> Run:
    """The second run of a key that keeps the last, while the first goes on."""
    job = make_job(dedup_mode="keep_last")
    make_run(job, dedup_key="acme")
    claim_one(make_slot())
    return make_run(job, dedup_key="acme")


REASONS: dict[str, Callable[[], Run]] = {
    "no_worker": make_run,
    "next": next_one,
    "in_line": in_line,
    "not_due": lambda: make_run(run_at=timezone.now() + timedelta(hours=1)),
    "retry_delay": retry_delay,
    "waiting": waiting,
    "lane_paused": lane_paused,
    "job_paused": lambda: of_job(status="paused", paused_by="ada", paused_reason="stocktaking"),
    "job_inactive": lambda: of_job(status="inactive"),
    "job_limit": lambda: behind_another(max_concurrent_runs=1),
    "job_rate": lambda: behind_another(max_starts=1, starts_window_seconds=3600),
    "target_paused": target_paused,
    "dedup_started": dedup_started,
    "key_limit": lambda: behind_another(concurrency_key_template="{customer}"),
    "circuit_open": circuit_open,
    "circuit_probing": circuit_probing,
    "campaign_paused": lambda: of_campaign(CampaignStatus.PAUSED, paused_by="ada"),
    "campaign_cancelled": lambda: of_campaign(CampaignStatus.CANCELLING),
    "campaign_rate": lambda: of_campaign(rate_per_second=0.01),
    "campaign_window": outside_hours,
}


def test_each_reason_that_there_is_has_its_example_here() -> None:
    """What the gate can say, and what is said of runs that it lets through or is not asked about."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_viewdef('runs_gate'::regclass)")
        said = set(re.findall(r"THEN '(\w+)'", cursor.fetchone()[0]))
    worded = set(re.findall(r'Reason\(\s*"(\w+)"', Path(why.__file__).read_text()))
    assert len(said) > 10
    assert set(REASONS) == said | worded


@pytest.mark.parametrize("code", REASONS)
def test_each_reason_is_shown_on_the_page_and_in_the_api(code: str, client: Client) -> None:
    run = REASONS[code]()
    client.force_login(User.objects.create_superuser(username="boss"))
    found = client.get(f"/api/runs/{run.pk}").json()
    assert found["why_code"] == code
    assert found["why"] in unescape(client.get(f"/runs/{run.pk}/").content.decode())
    if code not in ("no_worker", "next", "in_line"):
        assert all(claimed.id != run.pk for claimed in claim(make_slot(), lane=run.lane, limit=9))

"""The page /: health, numbers, what fails, what runs, what comes."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import causes, firing, launch, lifecycle, tallies
from runs.models import Circuit, Heartbeat, HourlyTally, Run, Worker
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot
from tests.pages.conftest import Visitor, text, words
from tests.pages.test_run_list import poll
from triggers import keys, pausing
from triggers.models import Kind

pytestmark = pytest.mark.django_db
ERROR = Failed(reason="error", type="ValueError", message="no such file", traceback="", retryable=False)


def run_to_end(job: Job, *outcomes: Failed | Succeeded) -> None:
    slot = make_slot()
    for outcome in outcomes:
        make_run(job)
        lifecycle.settle([(claim_one(slot), outcome)])


def test_the_health_strip_says_which_lane_has_no_worker_and_that_beat_is_silent(ada: Client) -> None:
    page = words(ada.get("/"))
    assert page.count("no worker: its runs wait") == 3
    assert "never started: no schedule fires" in page

    make_slot(lanes=("high",))
    Worker.objects.update(ready_at=timezone.now(), concurrency=4)
    beat = Heartbeat.objects.create(name="beat:1", at=timezone.now())
    page = words(ada.get("/"))
    assert "<strong>Lane high</strong> <span>1 worker, 4 slots</span>" in page
    assert page.count("no worker: its runs wait") == 2
    assert "<strong>Beat</strong> <span>alive</span>" in page

    beat.at -= timedelta(minutes=4)
    beat.save()
    assert "silent since <time" in words(ada.get("/"))


def test_the_numbers_are_those_of_the_last_day_folded_or_not(ada: Client) -> None:
    job = make_job()
    run_to_end(job, Succeeded(result=1), ERROR)
    tallies.fold()
    run_to_end(job, Succeeded(result=1), Succeeded(result=1))
    HourlyTally.objects.create(
        hour=timezone.now() - timedelta(hours=30),
        job_id=job.pk,
        trigger_kind="manual",
        lane="high",
        status="failed",
        runs=9,
        timed=9,
        duration_seconds=9,
        wait_seconds=9,
    )
    page = words(ada.get("/"))
    assert "<dt>Ended</dt><dd>4</dd>" in page
    assert "<dd>75 % <small>+75.0 points to the day before</small></dd>" in page
    assert '<a href="/runs/?status=failed">1</a>' in page
    assert re.search(r"<title>\d\d:00: 3 succeeded, 1 failed</title>", page)


def test_a_bar_of_the_chart_leads_to_the_runs_of_its_hour(ada: Client) -> None:
    run_to_end(make_job(), ERROR)
    link = re.findall(r'<a href="(/runs/\?from=[^"]+)" aria-label="\d\d:00: 1 failed">', words(ada.get("/")))
    assert len(link) == 1
    assert re.search(r'<tr id="run-', text(ada.get(link[0])))


def test_jobs_whose_last_run_failed_are_listed_with_the_error(ada: Client) -> None:
    failing, mended = make_job(slug="failing"), make_job(slug="mended")
    run_to_end(failing, Succeeded(result=1), ERROR)
    run_to_end(mended, ERROR, Succeeded(result=1))
    section = re.search(r'<section id="failing".*?</section>', words(ada.get("/")))
    assert section
    assert "/jobs/failing/" in section[0]
    assert "no such file" in section[0]
    assert "the newest failed" in section[0]
    assert "/jobs/mended/" not in section[0]


def test_what_runs_and_what_comes_next_is_there(ada: Client) -> None:
    run = make_run()
    claim_one(make_slot())
    make_schedule(make_job(slug="timed"), name="nightly")
    make_schedule(make_job(slug="rests", status="paused"))
    firing.fire_due(timezone.now())
    page = words(ada.get("/"))
    running = re.search(r'<section id="running".*?</section>', page)
    coming = re.search(r'<section id="next".*?</section>', page)
    assert running
    assert coming
    assert f'href="/runs/{run.pk}/"' in running[0]
    assert "data-elapsed" in running[0]
    assert "Daily at 2:00 AM · UTC" in coming[0]
    assert "paused · Daily" in coming[0]


def test_the_first_steps_are_shown_until_they_are_done(ada: Client) -> None:
    page = words(ada.get("/"))
    assert page.count('<span class="tick"></span>') == 4
    job = make_job()
    run_to_end(job, ERROR)
    make_schedule(job)
    key, _ = keys.issue(name="ci", owner=User.objects.get(username="ada"))
    launch.launch(job, cause=causes.remote(trigger=job.triggers.get(kind=Kind.REMOTE), api_key=key))
    assert words(ada.get("/")).count("Done: ") == 3
    run = Run.objects.get(status="failed")
    launch.retry(run, cause=causes.retry(run))
    assert "First steps" not in words(ada.get("/"))


def test_a_site_in_use_is_not_told_the_first_steps(ada: Client) -> None:
    run = make_run()
    assert "First steps" in words(ada.get("/"))
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(days=8))
    assert "First steps" not in words(ada.get("/"))


def test_a_poll_brings_the_pieces_that_changed_and_no_others(ada: Client) -> None:
    page = text(ada.get("/"))
    assert poll(ada, page) == (204, "")
    make_run()
    claim_one(make_slot())
    status, answer = poll(ada, page)
    assert status == 200
    assert '<section id="running" class="card" aria-labelledby="running-title" hx-swap-oob="true">' in answer
    assert '<section id="numbers"' not in answer
    assert poll(ada, answer) == (204, "")


def test_the_page_costs_few_queries(visitor: Visitor) -> None:
    for _ in range(12):
        run_to_end(make_job(), ERROR)
        make_schedule()
    firing.fire_due(timezone.now())
    client = visitor("runs.view_run")
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert len(queries) <= 12
    for query in queries:
        assert "OFFSET" not in query["sql"]
        assert "COUNT(" not in query["sql"]


def test_every_page_is_within_two_clicks_of_the_dashboard(ada: Client) -> None:
    run = make_run()
    claim_one(make_slot())
    make_schedule(run.job)
    firing.fire_due(timezone.now())
    links = set(re.findall(r'href="(/[^"?#]*)', text(ada.get("/"))))
    second = {
        link for page in links if not page.startswith(("/static", "/api")) for link in _links(ada, page)
    }
    wanted = {"/runs/", "/jobs/", "/schedules/", "/admin/", f"/runs/{run.pk}/", f"/jobs/{run.job.slug}/"}
    assert wanted <= links | second


def _links(client: Client, page: str) -> set[str]:
    return set(re.findall(r'href="(/[^"?#]*)', text(client.get(page))))


def test_a_slot_that_a_pause_will_skip_is_no_next_run(ada: Client) -> None:
    trigger = make_schedule(make_job(name="Stock"), cron="* * * * *")
    firing.fire_due(timezone.now())
    pausing.pause(trigger, by="ada", reason="stocktaking")
    firing.fire_due(timezone.now())
    assert "paused · Every minute" in words(ada.get("/"))
    assert '<td data-label="Next run" class="nowrap">–</td>' in words(ada.get("/jobs/"))


def test_open_breakers_are_among_the_signs_of_life(ada: Client) -> None:
    assert "Circuit breakers" not in words(ada.get("/"))
    now = timezone.now()
    Circuit.objects.create(target="job:shaky", opened_at=now, open_until=now)
    assert "not all are closed: their jobs don't start" in words(ada.get("/"))

"""The page of one run: how it stands, why, what it said, and what of it is live."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.executors import Cancelled, Failed, Outcome, Succeeded
from runs import causes, launch, lifecycle, logs
from runs.claims import Claim
from runs.models import Run, WorkerProcess
from runs.views import pace
from runs.views.run_log import LINES
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot
from tests.pages.conftest import Visitor, text, words
from tests.pages.test_run_list import poll
from triggers.models import Kind

pytestmark = pytest.mark.django_db
ERROR = Failed(
    reason="error",
    type="ShopClosed",
    message="<b>closed</b>",
    traceback="Traceback …\n  in <module>",
    retryable=False,
)


def write(claim: Claim, *lines: str, level: str = "info") -> None:
    writer = logs.LogWriter(run_id=claim.id, attempt=claim.attempt, token=claim.token, mask=logs.masker([]))
    for line in lines:
        writer.write(line, level=level)
    writer.flush()


def ended(outcome: Outcome, **job: Any) -> Run:
    run = make_run(make_job(**job))
    lifecycle.settle([(claim_one(make_slot()), outcome)])
    run.refresh_from_db()
    return run


def test_a_queued_run_says_why_it_does_not_run(ada: Client) -> None:
    run = make_run()
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "Why is it not running?</strong> No worker is alive on the lane high." in page
    assert "Started by hand by the command line." in page
    assert "Nothing written yet." in page


def test_a_succeeded_run_shows_its_result_times_and_log(ada: Client) -> None:
    run, claim = make_run(), claim_one(make_slot())
    write(claim, "one", "two")
    write(claim, "careful", level="warning")
    lifecycle.settle([(claim, Succeeded(result={"properties_saved": 158}))])
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "<dt>properties_saved</dt><dd>158</dd>" in page
    assert re.search(r"<dt>Wait</dt><dd>\d+ ms</dd>", page)
    assert re.search(
        r'<li id="L2"><a href="#L2" tabindex="-1">2</a><time [^>]*>[\d:]+</time><span>two</span></li>', page
    )
    assert re.search(r'<li id="L3" class="warning">.*<b>warning</b><span>careful</span></li>', page)
    assert "all lines" in page
    assert "Why is it not running?" not in page
    assert "hx-get" not in page, "what is final is not asked for again"


def test_a_failed_run_shows_its_error_with_the_traceback_folded(ada: Client) -> None:
    run = ended(ERROR)
    response = ada.get(f"/runs/{run.pk}/")
    page = text(response)
    assert "ShopClosed" in page
    assert "&lt;b&gt;closed&lt;/b&gt;" in page
    assert re.search(
        r"<details>\s*<summary>Traceback</summary>\s*<pre[^>]*>Traceback …\n  in &lt;module&gt;</pre>", page
    )
    assert f"/runs/{run.pk}/retry/" in page
    assert f"/runs/{run.pk}/rerun/" in page
    assert f"/runs/{run.pk}/cancel/" not in page


def test_lost_and_interrupted_attempts_are_shown_beside_the_running_one(ada: Client) -> None:
    run, slot = make_run(), make_slot()
    claim_one(slot)
    WorkerProcess.objects.update(ended_at=timezone.now())
    lifecycle.rescue()
    claim = claim_one(make_slot())
    lifecycle.give_back([(claim.id, claim.token)])
    claim_one(make_slot())
    page = words(ada.get(f"/runs/{run.pk}/"))
    attempts = re.findall(r'data-label="No." class="number">(\d+)</td>.*?</svg>([a-z ]+)</span>', page)
    assert attempts == [("2", "running"), ("2", "interrupted"), ("1", "lost")]
    assert "The worker worker@test:1 vanished in the middle of attempt 1." in page
    assert "1 lost" in page
    assert "rescued" in page


def test_a_run_that_is_asked_to_stop_says_by_whom_and_offers_no_second_cancel(ada: Client) -> None:
    run = make_run()
    claim = claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="bob")
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "cancelling" in page
    assert "by bob" in page
    assert "/cancel/" not in page
    lifecycle.settle([(claim, Cancelled())])
    assert "Cancelled by bob." in words(ada.get(f"/runs/{run.pk}/"))


def test_a_retry_is_linked_both_ways(ada: Client) -> None:
    run = ended(ERROR)
    again = launch.retry(run, cause=causes.retry(run)).run
    assert f'Retried as <a href="/runs/{again.pk}/">#{again.pk}</a>' in words(ada.get(f"/runs/{run.pk}/"))
    assert f'Retry of <a href="/runs/{run.pk}/">#{run.pk}</a>' in words(ada.get(f"/runs/{again.pk}/"))


def test_a_scheduled_run_names_its_trigger_and_its_slot(ada: Client) -> None:
    schedule = make_schedule(name="nightly")
    slot = timezone.now().replace(microsecond=0)
    kind = Run.TriggerKind.SCHEDULE
    cause = launch.Cause(kind=kind, trigger=schedule, slot=slot, sentence="Started by schedule nightly")
    run = launch.launch(schedule.job, cause=cause).run
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "Started by schedule nightly." in page
    assert f'<a href="/jobs/{schedule.job.slug}/#triggers">Trigger nightly</a>' in page
    assert f'<dt>Slot</dt><dd><time datetime="{slot:%Y-%m-%dT%H:%M:%S}.000Z"' in page


def test_secret_parameters_are_masked_and_the_schema_s_titles_are_used(ada: Client) -> None:
    schema = {"properties": {"city": {"title": "Town"}, "token": {"type": "string", "format": "password"}}}
    run = make_run(make_job(schema=schema), parameters={"city": "Bonn", "token": "s3cr3t-9"})
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "<dt>Town</dt><dd>Bonn</dd>" in page
    assert "s3cr3t-9" not in page
    assert "••••••" in page


def test_exact_numbers_stay_exact(ada: Client) -> None:
    run = ended(Succeeded(result={"big": 2**80, "nested": [1, {"a": None}]}))
    assert str(2**80) in words(ada.get(f"/runs/{run.pk}/"))


def test_the_log_is_text_whatever_the_job_wrote(ada: Client) -> None:
    run, claim = make_run(), claim_one(make_slot())
    write(claim, "<script>alert(1)</script>", "{{ settings }} {% now %}")
    page = text(ada.get(f"/runs/{run.pk}/"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ settings }}" in page


def test_a_long_log_shows_its_newest_lines_and_leads_to_the_older(ada: Client) -> None:
    run, claim = make_run(), claim_one(make_slot())
    for number in range(LINES + 100):
        write(claim, f"line {number + 1}")  # a chunk each, the worst case
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert f"lines 101–{LINES + 100} of {LINES + 100}" in page
    older = words(ada.get(f"/runs/{run.pk}/?before=101"))
    assert f"lines 1–100 of {LINES + 100}" in older
    assert "Older" not in older
    assert "Newest" in older


def test_the_log_can_be_had_as_a_text_file(ada: Client) -> None:
    run, claim = make_run(), claim_one(make_slot())
    write(claim, "one", "<two>")
    response = ada.get(f"/runs/{run.pk}/log/")
    body = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert re.fullmatch(r"\S+Z one\n\S+Z <two>\n", body)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert f'filename="{run.name}.log"' in response["Content-Disposition"]


def test_the_name_of_a_run_leads_to_its_page(ada: Client) -> None:
    run = make_run()
    response = ada.get(f"/runs/{run.name}/")
    assert response["Location"] == f"/runs/{run.pk}/"


def test_a_poll_brings_only_what_changed_until_the_run_is_final(ada: Client) -> None:
    run = make_run()
    # So old that the bar of its phases does not visibly grow meanwhile.
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(hours=1))
    page = text(ada.get(f"/runs/{run.pk}/"))
    assert poll(ada, page) == (204, "")

    claim = claim_one(make_slot())
    write(claim, "hello")
    status, answer = poll(ada, page)
    assert status == 200
    assert 'id="run-head"' in answer
    assert '<ol id="log-lines" hx-swap-oob="beforeend"><li id="L1">' in answer

    Run.objects.filter(pk=run.pk).update(progress={"done": 1, "total": 4, "message": "page 1"})
    write(claim, "more")
    _, answer = poll(ada, answer)
    assert '<progress max="4" value="1"' in answer
    assert "page 1" in answer
    assert 'id="run-head"' not in answer
    assert '<li id="L2">' in answer
    assert '<li id="L1">' not in answer
    assert poll(ada, answer) == (204, "")

    Run.objects.filter(pk=run.pk).update(progress={"done": 2, "total": 4})
    _, answer = poll(ada, answer)
    assert "<li id=" not in answer
    assert poll(ada, answer) == (204, ""), "no line is sent twice"

    write(claim, "the last")
    lifecycle.settle([(claim, Succeeded(result=None))])
    _, answer = poll(ada, answer)
    assert 'data-title="Succeeded – ' in answer
    assert '<li id="L3">' in answer
    assert "hx-get" not in answer


def test_a_poll_that_could_not_bring_the_whole_log_is_repeated_at_once(ada: Client) -> None:
    run, claim = make_run(), claim_one(make_slot())
    page = text(ada.get(f"/runs/{run.pk}/"))
    write(claim, *(f"line {number}" for number in range(LINES + 10)))
    lifecycle.settle([(claim, Succeeded(result=None))])
    _, answer = poll(ada, page)
    assert 'data-poll="0.1"' in answer
    _, answer = poll(ada, answer)
    assert f'<li id="L{LINES + 10}">' in answer
    assert "hx-get" not in answer


def test_the_server_lets_old_runs_be_asked_for_less_often(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_crowd", pace.Crowd())  # pages of other tests may count as open still
    run = make_run()
    assert 'data-poll="1.0"' in text(ada.get(f"/runs/{run.pk}/"))
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(hours=2))
    page = text(ada.get(f"/runs/{run.pk}/"))
    assert 'data-poll="15.0"' in page


def test_the_page_and_its_poll_cost_few_queries(visitor: Visitor) -> None:
    run = make_run()
    claim = claim_one(make_slot())
    write(claim, "one")
    client = visitor("runs.view_run", "runs.cancel_run", "runs.retry_run")
    queued = make_run(run.job)
    for path, most in {
        f"/runs/{run.pk}/": 12,
        f"/runs/{queued.pk}/": 12,
        f"/runs/{run.pk}/live/?after=1": 8,
    }.items():
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        assert len(queries) <= most, path
        assert not any("COUNT(" in query["sql"] or "OFFSET" in query["sql"] for query in queries)


def test_a_remote_run_names_its_trigger(ada: Client) -> None:
    job = make_job()
    run = launch.launch(job, cause=causes.remote(trigger=job.triggers.get(kind=Kind.REMOTE))).run
    assert "Trigger Remote" in words(ada.get(f"/runs/{run.pk}/"))

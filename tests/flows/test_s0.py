"""Story S0, the test runner: by hand, from outside and by the clock, through the doors that people use."""

import html
import json
import os
import re
import subprocess

import pytest

from tests.live import Live, Run

# The quickest of the suite's tests; the whole suite takes six seconds.
QUICK = {"only": "an_empty_cart"}
VOUCHER = "demo/suite/test_prices.py::test_the_voucher_is_taken_off"


def launches(live: Live) -> int:
    """How often the quickstart's key was used to launch."""
    public_id = live.key.split("_")[1]
    ((count,),) = live.sql("SELECT launches FROM triggers_apikey WHERE public_id = %s", public_id)
    return int(count)


def test_what_the_first_start_made_is_told_as_made_by_the_command_up(live: Live) -> None:
    found = live.pages.get("/audit/?by=command up")
    assert found.status_code == 200
    assert re.search(r"command up \([^)]+\)", found.text), found.text


def test_the_curl_line_of_the_jobs_page_starts_a_remote_run(live: Live) -> None:
    page = live.pages.get("/jobs/test-suite/").text
    found = re.search(r'<pre id="curl"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    line = html.unescape(found[1])
    before = launches(live)
    answer = subprocess.run(
        ["bash", "-c", line],
        env={"PATH": os.environ["PATH"], "HEADWAY_API_KEY": live.key},
        capture_output=True,
        text=True,
        check=True,
    )
    run = json.loads(answer.stdout)
    assert (run["job"], run["trigger"], run["status"]) == ("test-suite", "remote", "queued")
    assert "API key quickstart" in run["cause"]
    assert run["api_key"] is not None
    assert launches(live) == before + 1
    ended = live.ended(run)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    assert ended["result"] == {"passed": 19, "failed": 0, "error": 0, "skipped": 0}
    assert sum("PASSED" in line for line in live.lines(run)) == 19


def test_the_log_grows_while_the_suite_runs(live: Live) -> None:
    run = live.launch("test-suite")  # the whole of it, which takes long enough to be looked at
    seen = live.until(
        lambda: live.get(f"runs/{run['id']}/logs"),
        lambda log: any("PASSED" in line["text"] for line in log["lines"]),
    )
    assert not seen["complete"]
    live.ended(run)
    rest = live.get(f"runs/{run['id']}/logs", after=seen["next"])
    assert rest["complete"]
    assert "19 passed" in rest["lines"][-2]["text"]


def test_a_suite_with_a_failing_test_fails_and_says_which(live: Live) -> None:
    run = live.ended(live.launch("test-suite", {"fail": True, "only": "voucher"}))
    assert (run["status"], run["failure_reason"]) == ("failed", "error")
    assert run["error"]["message"] == "python exited with code 1; expected code 0."
    assert any(line.startswith(f"FAILED {VOUCHER}") for line in live.lines(run))


def test_the_api_runs_a_job_by_hand_as_well(live: Live) -> None:
    for path, body in (("jobs/run", {"job": "noop", "trigger": "manual"}), ("jobs/noop/run", {})):
        answer = live.api.post(path, json=body)
        assert answer.status_code == 202
        assert answer.json()["trigger"] == "manual"
        assert live.ended(answer.json())["status"] == "succeeded"


def test_nobody_can_forge_what_started_a_run(live: Live) -> None:
    answer = live.api.post("jobs/run", json={"job": "noop", "trigger": "schedule"})
    assert answer.status_code == 400
    assert "schedule" in answer.json()["errors"][0]["detail"]


@pytest.fixture
def scheduled(live: Live) -> Run:
    """A run that the clock started."""
    before = live.get("runs", job="test-suite", trigger="schedule")["results"]
    for earlier in before:  # The schedule starts nothing while a run of its own is under way.
        live.ended(earlier)
    live.make_due("test-suite", QUICK)
    found = live.until(
        lambda: live.get("runs", job="test-suite", trigger="schedule")["results"],
        lambda runs: len(runs) > len(before),
    )
    return dict(found[0])


def test_each_night_it_runs_by_itself(live: Live, scheduled: Run) -> None:
    assert scheduled["slot"] is not None
    assert scheduled["cause"].startswith("Started by schedule nightly ('0 2 * * *' UTC), slot ")
    assert live.ended(scheduled)["status"] == "succeeded"
    ((outcome, run_id),) = live.sql(
        "SELECT outcome, run_id FROM triggers_occurrence ORDER BY id DESC LIMIT 1"
    )
    assert (outcome, run_id) == ("fired", scheduled["id"])
    triggers = live.get("jobs/test-suite/triggers")["results"]
    (nightly,) = [each for each in triggers if each["kind"] == "schedule"]
    assert "T02:00:00" in nightly["next_run_at"]


def test_runs_can_be_told_apart_by_what_started_them(live: Live, scheduled: Run) -> None:
    by_hand = live.api.post("jobs/test-suite/run", json={"parameters": QUICK}).json()
    remote = live.launch("test-suite", QUICK)
    for kind, run in (("manual", by_hand), ("remote", remote), ("schedule", scheduled)):
        found = live.get("runs", job="test-suite", trigger=kind)["results"]
        assert {each["trigger"] for each in found} == {kind}
        assert run["id"] in {each["id"] for each in found}
        page = live.pages.get("/runs/", params={"job": "test-suite", "trigger": kind, "since": "all"}).text
        assert f"/runs/{run['id']}/" in page
        assert not any(
            f"/runs/{other['id']}/" in page for other in (by_hand, remote, scheduled) if other is not run
        )


def test_a_runs_page_says_who_or_what_started_it(live: Live) -> None:
    run = live.ended(live.launch("noop"))
    page = html.unescape(live.pages.get(f"/runs/{run['id']}/").text)
    assert f"Started from outside by API key quickstart (hw_{live.key.split('_')[1]})" in page

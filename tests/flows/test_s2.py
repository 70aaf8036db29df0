"""Story S2, the chain: ingest, clean and report follow each other; an alert and an audit watch."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.live import Live, Run

CLEANED = {"rows": 333, "dropped": 11}


@pytest.fixture(scope="module")
def ingested(live: Live) -> Run:
    """An ingest that succeeded."""
    return live.ended(live.launch("ingest"))


@pytest.fixture(scope="module")
def cleaned(live: Live, ingested: Run) -> Run:
    """The clean that followed it."""
    return live.ended(follower(live, ingested, "clean"))


@pytest.fixture
def bulk_held(live: Live) -> Iterator[None]:
    """The bulk lane starts nothing, as for a program that carries its runs out itself."""
    live.sql("UPDATE runs_lane SET paused_at = now(), paused_by = 'ada' WHERE name = 'bulk'")
    yield
    live.sql("UPDATE runs_lane SET paused_at = NULL, paused_by = '' WHERE name = 'bulk'")


def follower(live: Live, run: Run, job: str) -> Run:
    """The run of `job` that followed `run`, as soon as it is there."""
    return live.until(lambda: [each for each in started_by(live, run) if each["job"] == job])[0]


def started_by(live: Live, run: Run) -> list[Run]:
    return list(live.get("runs", parent=run["id"])["results"])


def trigger_of(live: Live, job: str, kind: str) -> dict[str, Any]:
    found = live.get(f"jobs/{job}/triggers")["results"]
    return dict(next(trigger for trigger in found if trigger["kind"] == kind))


def test_clean_follows_an_ingest_that_succeeded_and_gets_its_batch(
    live: Live, ingested: Run, cleaned: Run
) -> None:
    assert ingested["status"] == "succeeded", ingested
    assert ingested["result"]["rows"] == 344
    assert cleaned["status"] == "succeeded", cleaned
    assert cleaned["cause"] == f"After ingest #{ingested['id']} succeeded"
    assert (cleaned["trigger"], cleaned["trigger_name"]) == ("dependency", "after ingest")
    assert (cleaned["parent"], cleaned["root"]) == (ingested["id"], ingested["id"])
    assert cleaned["parameters"] == {"batch": ingested["result"]["batch"]}
    assert {**cleaned["result"], "batch": 0} == {**CLEANED, "batch": 0}
    assert any("line 5 dropped" in line for line in live.lines(cleaned))


def test_the_report_waits_its_five_minutes_as_a_due_time_and_then_comes(live: Live, cleaned: Run) -> None:
    report = follower(live, cleaned, "report")
    assert report["status"] == "scheduled"
    due = datetime.fromisoformat(report["run_at"])
    assert due == datetime.fromisoformat(cleaned["finished_at"]) + timedelta(minutes=5)
    assert report["why"] == f"It is due {due:%Y-%m-%d %H:%M:%S} UTC."
    assert report["root"] == cleaned["root"]
    # The chain is one for all these tests, in whatever order, so its report comes due in this one.
    live.sql("UPDATE runs_run SET due_at = now() WHERE id = %s", report["id"])
    ended = live.ended(report)
    assert ended["status"] == "succeeded", ended
    assert ended["result"]["penguins"] == 333
    assert ended["result"]["species"]["Gentoo"]["mean_mass_g"] == 5092
    assert ended["name"].startswith("chained_report_")


def test_the_alert_does_not_follow_a_success_and_its_history_says_why(live: Live, ingested: Run) -> None:
    audited = live.ended(follower(live, ingested, "audit"))
    assert audited["result"] == {"audited": f"ingest #{ingested['id']} succeeded"}
    assert {run["job"] for run in started_by(live, ingested)} == {"clean", "audit"}
    trigger = trigger_of(live, "alert", "dependency")
    history = live.get(f"jobs/alert/triggers/{trigger['id']}/history")["results"]
    (entry,) = [each for each in history if each["upstream_run"] == ingested["id"]]
    assert (entry["outcome"], entry["run"]) == ("skipped", None)
    assert entry["reason"] == "Its condition is on_failure, and the upstream run succeeded."


def test_a_failed_ingest_brings_the_alert_and_the_audit_and_no_clean(live: Live) -> None:
    failed = live.ended(live.launch("ingest", {"source": "walrus.csv"}))
    assert failed["status"] == "failed"
    alert = live.ended(follower(live, failed, "alert"))
    assert alert["status"] == "succeeded", alert
    text = f"ingest #{failed['id']} failed: There is no file 'walrus.csv'; expected one of penguins.csv."
    assert alert["result"] == {"alerted": text}
    assert live.ended(follower(live, failed, "audit"))["result"]["audited"].endswith("failed")
    assert {run["job"] for run in started_by(live, failed)} == {"alert", "audit"}


def test_the_report_has_three_triggers_at_once(live: Live, cleaned: Run) -> None:
    schedule = trigger_of(live, "report", "schedule")
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "America/New_York")
    local = datetime.fromisoformat(schedule["next_run_at"]).astimezone(ZoneInfo("America/New_York"))
    assert (local.hour, local.minute) == (2, 0)
    live.make_due("report")
    by_clock = live.until(lambda: live.get("jobs/report/runs", trigger="schedule")["results"])[0]
    by_hand = live.ended(live.api.post("jobs/report/run", json={}).json())
    for run in (live.ended(by_clock), by_hand):
        assert run["status"] == "succeeded", run
        assert run["result"]["penguins"] == 333
    kinds = {run["trigger"] for run in live.get("jobs/report/runs")["results"]}
    assert kinds == {"dependency", "schedule", "manual"}


def test_the_preview_of_two_in_new_york_is_right(live: Live) -> None:
    query = {"cron": "0 2 * * *", "timezone": "America/New_York", "count": 5, "from": "2024-01-20T04:00:00Z"}
    told = live.get("jobs/report/triggers/schedule/preview", **query)
    assert [each["timestamp"] for each in told["next_runs"]] == [
        1705734000 + day * 86_400 for day in range(5)
    ]


def test_a_circle_is_refused_with_its_chain(live: Live) -> None:
    chain = ["ingest", "clean", "report", "ingest"]
    answer = live.api.post("jobs/ingest/triggers", json={"kind": "dependency", "upstream": "report"})
    assert (answer.status_code, answer.json()["chain"]) == (400, chain)
    told = live.api.post("jobs/ingest/triggers/validate-dependency", json={"upstream": "report"}).json()
    assert (told["valid"], told["chain"]) == (False, chain)
    available = live.get("jobs/available-upstream", **{"for": "ingest"})["results"]
    assert {job["slug"] for job in available}.isdisjoint({*chain, "alert", "audit"})
    missing = live.api.post("jobs/ingest/triggers", json={"kind": "dependency", "upstream": "nothing"})
    assert missing.status_code == 404


def test_so_it_is_in_the_admin(live: Live) -> None:
    ids = {slug: number for number, slug in live.sql("SELECT id, slug FROM jobs_job")}
    url = f"/admin/triggers/dependency/add/?job={ids['ingest']}"
    page = live.pages.get(url)
    assert ">Report</option>" not in page.text.partition('id="id_upstream"')[2].partition("</select>")[0]
    sent = {
        "csrfmiddlewaretoken": live.pages.cookies["csrftoken"],
        "job": ids["ingest"],
        "upstream": ids["report"],
        "condition": "on_success",
        "needs": "any",
        "delay_minutes": 0,
        "window_minutes": 60,
        "enabled": "on",
    }
    answer = live.pages.post(url, data=sent, headers={"Referer": f"{live.url}{url}"})
    assert answer.status_code == 200
    assert "ingest → clean → report → ingest" in answer.text
    assert "ingest" in live.pages.get("/graph/?job=ingest").text


def test_the_graph_can_be_read_from_any_job_of_it(live: Live) -> None:
    graph = live.get("jobs/clean/triggers/dependencies")
    assert (graph["upstream"], graph["downstream"]) == (["ingest"], ["report"])
    edges = {(edge["upstream"], edge["downstream"], edge["condition"]) for edge in graph["edges"]}
    assert edges == {("ingest", "clean", "on_success"), ("clean", "report", "on_success")}
    whole = live.get("jobs/ingest/triggers/dependencies")
    assert set(whole["downstream"]) == {"clean", "report", "alert", "audit"}


@pytest.mark.usefixtures("bulk_held")
def test_a_program_that_carries_the_ingest_out_itself_reports_it(live: Live, ingested: Run) -> None:
    run = live.launch("ingest", priority="bulk")
    body = {"status": "completed", "result": {"batch": ingested["result"]["batch"], "rows": 344}}
    answer = live.api.post(f"runs/{run['id']}/complete", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["triggeredCount"] == 2
    assert {(each["job"], each["condition"]) for each in told["triggered"]} == {
        ("clean", "on_success"),
        ("audit", "on_completion"),
    }
    assert [each["job"] for each in told["skipped"]] == ["alert"]
    live.sql("UPDATE runs_lane SET paused_at = NULL, paused_by = '' WHERE name = 'bulk'")
    clean = live.ended(follower(live, run, "clean"))
    assert (clean["status"], clean["lane"]) == ("succeeded", "bulk")
    assert live.api.post(f"runs/{run['id']}/complete", json=body).status_code == 409


def test_a_cancelled_ingest_is_audited_and_nothing_else(live: Live) -> None:
    live.sql("UPDATE runs_lane SET paused_at = now() WHERE name = 'bulk'")
    try:
        run = live.launch("ingest", priority="bulk")
        assert live.api.post(f"runs/{run['id']}/cancel", json={}).status_code == 200
    finally:
        live.sql("UPDATE runs_lane SET paused_at = NULL WHERE name = 'bulk'")
    audit = live.ended(follower(live, run, "audit"))
    assert audit["result"] == {"audited": f"ingest #{run['id']} cancelled"}
    assert [each["job"] for each in started_by(live, run)] == ["audit"]

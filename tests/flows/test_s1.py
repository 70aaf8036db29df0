"""Story S1, the scraper: a scheduled job that people also start by hand, and the numbers of both."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.live import Live, Run

SLUG = "sold-daily-indy"
NAME = "Daily sold properties, Indianapolis"


@pytest.fixture(scope="module")
def by_hand(live: Live) -> Run:
    """A run that somebody started with priority `immediate`, ended."""
    live.sql("DELETE FROM demo_soldproperty")
    answer = live.api.post(f"scheduled-jobs/{SLUG}/trigger", json={"priority": "immediate"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["message"] == f"Triggered scheduled job '{NAME}' to run immediately"
    return live.ended(answer.json())


def shown(live: Live) -> dict[str, Any]:
    return dict(live.get(f"scheduled-jobs/{SLUG}", include_runs="false")["scheduled_job"])


def test_the_scraper_reads_the_site_past_its_faults(live: Live, by_hand: Run) -> None:
    assert by_hand["status"] == "succeeded", by_hand
    assert by_hand["result"] == {
        "properties_scraped": 155,
        "properties_saved": 155,
        "pages": 8,
        "pages_failed": 1,
    }
    kept = "SELECT count(*) FROM demo_soldproperty WHERE listing_type = 'sold'"
    assert live.sql(kept) == [(155,)]
    lines = live.lines(by_hand)
    assert any("page 5: the site answered 500 Internal Server Error" in line for line in lines)
    assert any("its price is 'Ask the agent'" in line for line in lines)
    assert by_hand["progress"]["done"] == by_hand["progress"]["total"] == 9


def test_a_run_by_hand_belongs_to_the_same_scheduled_job(live: Live, by_hand: Run) -> None:
    assert (by_hand["job"], by_hand["trigger"], by_hand["priority"]) == (SLUG, "manual", 1)
    history = live.get(f"scheduled-jobs/{SLUG}")
    assert by_hand["id"] in {run["id"] for run in history["job_runs"]}
    assert history["total_runs"] == len(history["job_runs"])


def test_a_run_by_hand_counts_and_does_not_move_the_next_slot(live: Live, by_hand: Run) -> None:
    before = shown(live)
    answer = live.api.post("scheduled-jobs/trigger", json={"job_id": SLUG, "priority": "immediate"})
    assert answer.status_code == 202, answer.text
    run = live.ended(answer.json())
    assert run["result"]["properties_saved"] == 0, "nothing has changed since the run before"
    after = shown(live)
    assert after["run_count"] == before["run_count"] + 1
    assert (after["last_run_id"], after["last_run_status"]) == (run["id"], "succeeded")
    assert after["last_run_at"] == run["finished_at"]
    assert after["success_rate"] == 1.0
    assert run["duration_seconds"] > 1.5, "one of the pages takes its time"
    total = (before["average_duration_seconds"] or 0) * before["run_count"] + run["duration_seconds"]
    assert after["average_duration_seconds"] == pytest.approx(total / after["run_count"], rel=0.01)
    assert after["next_run_at"] == before["next_run_at"]


def test_the_next_slot_is_two_in_the_morning_in_indianapolis(live: Live) -> None:
    at = datetime.fromisoformat(shown(live)["next_run_at"])
    local = at.astimezone(ZoneInfo("America/Indiana/Indianapolis"))
    assert (local.hour, local.minute, local.second) == (2, 0, 0)
    assert at > datetime.now(UTC)


def test_the_list_tells_everything_about_each_scheduled_job(live: Live, by_hand: Run) -> None:
    answer = live.get("scheduled-jobs", status="active", limit=50)
    assert answer["total"] == len(answer["scheduled_jobs"]) >= 2
    (found,) = [job for job in answer["scheduled_jobs"] if job["scheduled_job_id"] == SLUG]
    assert set(found) >= {
        *("scheduled_job_id", "name", "status", "cron_expression", "timezone", "parameters", "run_count"),
        *("last_run_at", "last_run_status", "last_run_id", "next_run_at", "success_rate"),
        "average_duration_seconds",
    }
    assert (found["name"], found["status"], found["cron_expression"]) == (NAME, "active", "0 2 * * *")
    assert found["timezone"] == "America/Indiana/Indianapolis"
    assert found["parameters"] == {"locations": ["Indianapolis, IN"], "listing_type": "sold"}
    assert live.get("scheduled-jobs", status="paused") == {"scheduled_jobs": [], "total": 0}


def test_the_clocks_run_and_those_by_hand_stand_in_one_history(live: Live, by_hand: Run) -> None:
    live.make_due(SLUG)
    history = live.until(
        lambda: live.get(f"scheduled-jobs/{SLUG}"),
        lambda found: {run["trigger"] for run in found["job_runs"]} >= {"manual", "schedule"},
    )
    ids = [run["id"] for run in history["job_runs"]]
    assert ids == sorted(ids, reverse=True)
    (scheduled,) = [run for run in history["job_runs"] if run["trigger"] == "schedule"]
    ended = live.ended(scheduled)
    assert (ended["status"], ended["priority"]) == ("succeeded", 50)
    assert ended["name"].startswith(f"scheduled_{SLUG}_")
    assert by_hand["name"].startswith(f"triggered_{SLUG}_")


def test_other_parameters_give_other_properties(live: Live) -> None:
    body = {"parameters": {"locations": ["Carmel, IN", "Fishers, IN"], "listing_type": "pending"}}
    run = live.ended(live.api.post(f"jobs/{SLUG}/run", json=body).json())
    assert run["result"]["properties_scraped"] == 22


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"listing_type": "rented"}, "/parameters/listing_type"),
        ({"locations": []}, "/parameters/locations"),
        ({"citys": ["Carmel, IN"]}, "/parameters/citys"),
    ],
)
def test_wrong_parameters_are_refused_by_name(live: Live, parameters: dict[str, Any], pointer: str) -> None:
    answer = live.api.post(f"jobs/{SLUG}/trigger", json={"parameters": parameters})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_history_can_be_left_out_and_cut(live: Live, by_hand: Run) -> None:
    assert live.get(f"scheduled-jobs/{SLUG}", include_runs="false")["job_runs"] == []
    assert len(live.get(f"scheduled-jobs/{SLUG}", limit=1)["job_runs"]) == 1


def test_a_job_without_a_schedule_is_no_scheduled_job(live: Live) -> None:
    assert live.api.get("scheduled-jobs/noop").status_code == 404
    assert live.api.post("scheduled-jobs/noop/trigger", json={}).status_code == 404

"""S4, campaigns: thousands of recipients go out while somebody holds, hurries and ends them, and workers die."""

import time
from pathlib import Path
from typing import Any

from tests.live import Live, kill

Campaign = dict[str, Any]


def order(live: Live, job: str, rows: list[str], **options: str) -> Campaign:
    """Orders a campaign of a CSV."""
    answer = live.api.post(
        "campaigns",
        params={"job": job, "name": "spring", **options},
        content="\n".join(rows).encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def act(live: Live, campaign: Campaign, word: str) -> Campaign:
    answer = live.api.post(f"campaigns/{campaign['id']}/{word}")
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json())


def now(live: Live, campaign: Campaign) -> Campaign:
    return dict(live.get(f"campaigns/{campaign['id']}"))


def until_ended(live: Live, campaign: Campaign) -> Campaign:
    return live.until(
        lambda: now(live, campaign), lambda found: found["status"] in ("done", "cancelled"), seconds=120
    )


def in_the_table(live: Live, campaign: Campaign) -> dict[str, int]:
    rows = live.sql(
        "SELECT status, count(*) FROM runs_run WHERE campaign_id = %s GROUP BY status", campaign["id"]
    )
    return dict(rows)


def counted(campaign: Campaign) -> dict[str, int]:
    words = ("queued", "running", "succeeded", "failed", "cancelled", "skipped")
    return {word: campaign[word] for word in words if campaign[word]}


def is_still(live: Live, campaign: Campaign) -> bool:
    """Whether none succeeded in a second and a half."""
    before = now(live, campaign)["succeeded"]
    time.sleep(1.5)
    return bool(now(live, campaign)["succeeded"] == before)


def test_two_thousand_recipients_are_held_hurried_and_all_reached(live: Live) -> None:
    rows = ["key,active", *(f"user-{number},{number % 100 != 0}" for number in range(2000)), "user-5,true"]
    campaign = order(live, "noop", rows, rate_per_second="20")
    assert (campaign["total"], campaign["duplicates"], campaign["skipped"]) == (2000, 1, 20)
    live.until(lambda: now(live, campaign)["succeeded"], lambda succeeded: succeeded >= 20)
    for _ in range(5):
        triggered = live.ended(live.launch("noop"))
        assert (triggered["status"], triggered["lane"]) == ("succeeded", "high")
    assert now(live, campaign)["status"] == "running", "triggers do not wait for its end"
    act(live, campaign, "pause")
    # What was claimed before may still end.
    live.until(lambda: is_still(live, campaign))
    assert now(live, campaign)["succeeded"] < 1000
    queued = live.get(f"campaigns/{campaign['id']}/runs", status="queued", limit=1)["results"][0]
    assert queued["why_code"] == "campaign_paused"
    act(live, campaign, "resume")
    faster = live.api.patch(f"campaigns/{campaign['id']}", json={"rate_per_second": None})
    assert faster.status_code == 200, faster.text
    ended = until_ended(live, campaign)
    assert ended["status"] == "done"
    assert counted(ended) == in_the_table(live, campaign) == {"succeeded": 1980, "skipped": 20}


def test_a_file_is_sent_through_the_page_tried_with_five_and_then_sent_to_all(live: Live) -> None:
    rows = "\n".join(["Kunde;aktiv", *(f"user-{number};ja" for number in range(40))])
    form = {
        "job": "noop",
        "name": "through the page",
        "parameters": "{}",
        "delimiter": ";",
        "draft": "1",
        "columns": "Kunde = key\naktiv =",
        "csrfmiddlewaretoken": live.pages.cookies["csrftoken"],
    }
    page = live.pages.post("/campaigns/new/", data=form, files={"file": ("people.csv", rows.encode())})
    assert page.status_code == 200, page.text[:500]
    own = f"{page.url.path}resume/"
    campaign = {"id": int(page.url.path.split("/")[2])}
    token = {"csrfmiddlewaretoken": live.pages.cookies["csrftoken"]}
    live.pages.post(f"{own}?first", data=token).raise_for_status()
    tried = live.until(lambda: now(live, campaign), lambda found: found["status"] == "paused")
    assert (tried["succeeded"], tried["paused_by"]) == (5, "the canary")
    live.pages.post(own, data=token).raise_for_status()
    assert counted(until_ended(live, campaign)) == in_the_table(live, campaign) == {"succeeded": 40}


def test_cancelling_ends_what_is_left(live: Live) -> None:
    campaign = order(live, "noop", ["key", *(f"user-{number}" for number in range(500))], rate_per_second="5")
    live.until(lambda: now(live, campaign)["succeeded"])
    act(live, campaign, "cancel")
    ended = until_ended(live, campaign)
    assert ended["status"] == "cancelled"
    assert counted(ended) == in_the_table(live, campaign)
    assert ended["cancelled"] + ended["succeeded"] == 500


def living_bulk_worker(live: Live) -> int:
    """The pid of the bulk worker; 0 while the one that was killed has no successor."""
    ((pid,),) = live.sql("SELECT pid FROM runs_worker WHERE 'bulk' = ANY(lanes) ORDER BY id DESC LIMIT 1")
    return pid if Path(f"/proc/{pid}").exists() else 0


def test_a_killed_bulk_worker_loses_nobody_and_every_repeat_is_seen(live: Live) -> None:
    rows = ["key,seconds", *(f"user-{number},0.02" for number in range(300))]
    campaign = order(live, "sleep", rows)
    for goal in (20, 80, 140):
        live.until(lambda: now(live, campaign)["succeeded"], lambda count, goal=goal: count >= goal)  # type: ignore[misc]
        kill([live.until(lambda: living_bulk_worker(live))])
    ended = until_ended(live, campaign)
    assert counted(ended) == in_the_table(live, campaign) == {"succeeded": 300}
    ((targets,),) = live.sql(
        "SELECT count(DISTINCT target) FROM runs_run WHERE campaign_id = %s", campaign["id"]
    )
    assert targets == 300
    unseen = live.sql(
        """SELECT r.id FROM runs_run r JOIN runs_logchunk c ON c.run_id = r.id, jsonb_array_elements(c.lines) line
           WHERE r.campaign_id = %s AND line ->> 2 LIKE 'Slept%%'
           GROUP BY r.id HAVING count(*) > 1 + r.lost_attempts""",
        campaign["id"],
    )
    assert unseen == []

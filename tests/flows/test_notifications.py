"""A failure from the running site to a webhook that somebody listens at."""

import json
from typing import Any

from django.utils import timezone
from pytest_httpserver import HTTPServer

from tests.live import Live
from triggers.events.base import Received
from triggers.events.schemes.standard import StandardWebhooks


def test_who_has_a_rule_is_told_of_a_failure(live: Live, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("thanks")
    body: dict[str, Any] = {"name": "on call", "kind": "webhook", "address": httpserver.url_for("/hook")}
    channel = live.api.post("channels", json=body).json()
    rule = {"channel": channel["id"], "occasions": ["failed"], "job": "misbehave", "quiet_minutes": 0}
    made = live.api.post("notification-rules", json=rule)
    assert made.status_code == 201, made.text
    run = live.ended(live.launch("misbehave", {"how": "raise"}))
    live.until(lambda: httpserver.log)
    request, _ = httpserver.log[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    received = Received(headers=headers, body=request.get_data(), at=timezone.now())
    StandardWebhooks().verify(received, secrets=[channel["secret"]], options={})
    told = json.loads(received.body)
    assert (told["type"], told["data"]["run"], told["data"]["job"]) == ("run.failed", run["id"], "misbehave")
    assert told["data"]["error"]["type"] == run["error"]["type"]
    (listed,) = live.until(
        lambda: live.get("notifications", run=run["id"], status="sent")["results"], lambda found: found
    )
    (sending,) = live.get(f"notifications/{listed['id']}")["sendings"]
    assert (sending["outcome"], sending["status_code"]) == ("sent", 200)
    assert f"/notifications/{listed['id']}/" in live.pages.get("/notifications/").text
    live.api.delete(f"channels/{channel['id']}")

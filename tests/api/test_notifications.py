"""/api/channels, /api/notification-rules, /api/notifications: who is told of what, and what was told."""

import json
from typing import Any

import pytest
from pytest_django import Settings

from jobs.changes import Change
from notifications import channels, sending
from notifications.models import Channel, Message, Rule
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_channel, make_job, make_rule

HOOK = {"name": "ops", "kind": "webhook", "address": "https://example.com/hook"}


def patch(program: Program, path: str, body: Any) -> Any:
    return program.call("PATCH", path, data=json.dumps(body).encode(), content_type="application/json")


def test_a_channel_is_made_shown_changed_and_removed(program: Program) -> None:
    answer = program.post("/api/channels", HOOK)
    made = read(answer, 201)
    assert made["secret"].startswith("whsec_")
    assert answer["Cache-Control"] == "no-store"
    path = f"/api/channels/{made['id']}"
    shown = read(program.get(path))
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert read(program.get("/api/channels"))["results"] == [shown]
    assert read(patch(program, path, {"enabled": False, "name": "people"}))["enabled"] is False
    rotated = read(program.post(f"{path}/rotate-secret"))["secret"]
    assert rotated == channels.secret_of(Channel.objects.get()) != made["secret"]
    assert program.call("DELETE", path).status_code == 204
    problem(program.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({**HOOK, "address": "http://10.0.0.1/"}, "expected a public address"),
        ({**HOOK, "address": "example.com"}, "expected http:// or https://"),
        ({**HOOK, "kind": "email", "address": "ada@example.com"}, "EMAIL_URL is not set"),
        ({**HOOK, "kind": "pigeon"}, "one of"),
        ({**HOOK, "secret": "short"}, "base64"),
        ({**HOOK, "kind": "slack", "secret": "whsec_x"}, "signs nothing"),
        ({**HOOK, "name": ""}, "name"),
        ({"name": "ops"}, "kind"),
    ],
)
def test_what_can_be_no_channel_is_refused_with_what_was_expected(
    program: Program, settings: Settings, body: Any, wanted: str
) -> None:
    settings.EMAIL_IS_SET_UP = False
    found = problem(program.post("/api/channels", body), 400, "invalid_body")
    assert wanted in json.dumps(found["errors"])
    assert not Channel.objects.exists()


def test_two_channels_have_two_names(program: Program) -> None:
    make_channel(name="ops")
    found = problem(program.post("/api/channels", HOOK), 400, "invalid_body")
    assert found["errors"][0]["pointer"] == "/name"


def test_the_url_of_slack_goes_in_and_never_comes_out(program: Program) -> None:
    url = "https://hooks.slack.com/services/T000/B000/very-secret"
    made = read(program.post("/api/channels", {"name": "ops", "kind": "slack", "address": url}), 201)
    assert (made["address"], made["secret"]) == ("https://hooks.slack.com/…", None)
    read(patch(program, f"/api/channels/{made['id']}", {"name": "people"}))
    assert channels.secret_of(Channel.objects.get()) == url
    assert "very-secret" not in json.dumps(list(Change.objects.values("before", "after")))


def test_without_a_key_of_the_vault_nothing_is_stored(program: Program, settings: Settings) -> None:
    settings.VAULT_KEYS = []
    problem(program.post("/api/channels", HOOK), 503, "vault_locked")
    assert not Channel.objects.exists()


def test_a_rule_is_made_shown_changed_and_removed(program: Program) -> None:
    channel, job = make_channel(), make_job(slug="report")
    body = {"channel": channel.pk, "occasions": ["failed", "missed"], "job": "report", "quiet_minutes": 30}
    made = read(program.post("/api/notification-rules", body), 201)
    path = f"/api/notification-rules/{made['id']}"
    assert read(program.get(path)) == made
    assert read(program.get("/api/notification-rules"))["results"] == [made]
    assert {made["job"], made["tag"], made["quiet_minutes"]} == {"report", None, 30}
    changed = read(patch(program, path, {"job": None, "tag": "night", "enabled": False}))
    assert (changed["job"], changed["tag"], changed["enabled"]) == (None, "night", False)
    assert [change.by for change in Change.objects.of(Rule.objects.get())] == [f"API key {program.key}"] * 2
    assert program.call("DELETE", path).status_code == 204
    assert job.rules.count() == 0


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"occasions": []}, "occasions"),
        ({"occasions": ["rained"]}, "failed"),
        ({"channel": 9}, "There is no channel 9."),
        ({"job": "nobody"}, 'There is no job \\"nobody\\".'),
        ({"job": "report", "tag": "night"}, "the rule names a job"),
        ({"quiet_minutes": -1}, "quiet_minutes"),
    ],
)
def test_what_can_be_no_rule_is_refused(program: Program, body: Any, wanted: str) -> None:
    make_job(slug="report")
    whole = {"channel": make_channel().pk, "occasions": ["failed"], **body}
    found = problem(program.post("/api/notification-rules", whole), 400, "invalid_body")
    assert wanted in json.dumps(found["errors"])


def test_a_test_is_sent_logged_and_sent_again(program: Program) -> None:
    channel = make_channel()
    made = read(program.post(f"/api/channels/{channel.pk}/test"), 202)
    assert (made["occasion"], made["status"], made["sendings"]) == ("test", "due", [])
    problem(program.post(f"/api/notifications/{made['id']}/resend"), 409, "refused")
    Channel.objects.update(is_enabled=False)
    sending.send_next()
    shown = read(program.get(f"/api/notifications/{made['id']}"))
    assert (shown["status"], shown["sendings"][0]["error"]) == ("failed", "The channel is disabled.")
    assert read(program.post(f"/api/notifications/{made['id']}/resend"), 202)["status"] == "due"
    listed = read(program.get("/api/notifications", {"channel": channel.pk, "status": "due"}))
    assert [each["id"] for each in listed["results"]] == [made["id"]]
    assert read(program.get("/api/notifications", {"run": 7}))["results"] == []
    problem(program.get("/api/notifications", {"status": "lost"}), 400, "invalid_query")


def test_scopes_and_lists_of_jobs_are_kept(new_key: NewKey) -> None:
    message = sending.send_test(make_rule("failed").channel, by="ada")
    reader, bound = new_key(scopes=("read",)), new_key(jobs=(make_job(),))
    for path in ("channels", "notification-rules", "notifications", f"notifications/{message.pk}"):
        read(reader.get(f"/api/{path}"))
        problem(bound.get(f"/api/{path}"), 403, "permission_denied")
    problem(reader.post("/api/channels", HOOK), 403, "permission_denied")
    problem(reader.post(f"/api/channels/{message.channel_id}/test"), 403, "permission_denied")
    problem(reader.post(f"/api/notifications/{message.pk}/resend"), 403, "permission_denied")
    assert Message.objects.count() == 1

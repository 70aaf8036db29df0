"""What the doors refuse, in words that help: nothing of it is a 500, and nothing of it starts a run."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.live import Live


@pytest.mark.parametrize("key", [None, "hw_00000000_wrong", "nonsense"])
def test_no_key_or_a_wrong_one_is_refused(live: Live, key: str | None) -> None:
    headers = {"Authorization": f"Token {key}"} if key else {}
    answer = httpx2.post(f"{live.url}/api/jobs/noop/trigger", headers=headers, json={})
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_both_words_for_a_key_are_known(live: Live) -> None:
    for word in ("Token", "Bearer"):
        answer = httpx2.get(f"{live.url}/api/jobs", headers={"Authorization": f"{word} {live.key}"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "status", "word"),
    [
        ("jobs/nothing/trigger", b"{}", 404, "nothing"),
        ("jobs/noop/trigger", b"{", 400, "JSON"),
        ("jobs/noop/trigger", b'{"priority": 200}', 400, "200"),
        ("jobs/run", b'{"job": "noop", "trigger": "remote"}', 400, "remote"),
        ("jobs/sleep/trigger", b'{"parameters": {"seconds": "long"}}', 422, "long"),
        ("jobs/misbehave/trigger", b'{"parameters": {"how": "kindly"}}', 422, "kindly"),
    ],
)
def test_a_wrong_call_is_answered_with_what_was_wrong(
    live: Live, path: str, content: bytes, status: int, word: str
) -> None:
    before = live.get("runs", limit=1)["results"][0]["id"]
    answer = live.api.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert word in f"{problem['detail']} {problem.get('errors')}"
    assert live.get("runs", limit=1)["results"][0]["id"] == before


def test_the_same_idempotency_key_twice_is_one_run(live: Live) -> None:
    headers = {"Idempotency-Key": "deploy-4711"}
    first = live.api.post("jobs/noop/trigger", json={}, headers=headers)
    second = live.api.post("jobs/noop/trigger", json={}, headers=headers)
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    other = live.api.post("jobs/sleep/trigger", json={}, headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("request_text", "status", "code", "word"),
    [
        (b"GET /api/runs?search=" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "address_too_long", "8190"),
        (b"GET /api/runs HTTP/1.1\r\nX-A: " + b"x" * 9000 + b"\r\n\r\n", 431, "headers_too_large", "header"),
        (b"POST /api/jobs/run HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400, "bad_request", "CONTENT-LENGTH"),
        (b"\x00\x01<script>\r\n\r\n", 400, "bad_request", "Invalid"),
    ],
)
def test_what_is_no_request_at_all_is_answered_with_a_problem_as_well(
    live: Live, request_text: bytes, status: int, code: str, word: str
) -> None:
    site = urlsplit(live.url)
    with socket.create_connection((site.hostname, site.port), timeout=40) as connection:
        connection.sendall(request_text)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/problem+json" in head
    problem: dict[str, Any] = json.loads(body)
    assert (problem["status"], problem["code"], word in problem["detail"]) == (status, code, True), problem
    assert httpx2.get(problem["type"]).status_code == 200

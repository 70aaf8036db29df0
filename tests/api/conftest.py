"""A program that holds a key and speaks JSON, and a person in a browser."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from django.http import HttpResponse
from django.test import Client

from jobs.models import Job
from tests.factories import make_owner
from triggers import keys
from triggers.models import ApiKey, Scope


class Program:
    """Calls the API with a key; `call` sends whatever it is given, `get` and `post` what is right."""

    def __init__(self, *, key: ApiKey | None = None, text: str = "") -> None:
        self.key, self.text = key, text
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def call(self, method: str, path: str, **options: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.text}"} if self.text else {}
        headers |= options.pop("headers", {})
        return cast(HttpResponse, self.client.generic(method, path, headers=headers, **options))

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> HttpResponse:
        return self.call("GET", path, query_params=query, headers=headers)

    def post(self, path: str, body: Any = None, *, key: str = "", **headers: str) -> HttpResponse:
        if key:
            headers["Idempotency-Key"] = key
        data = b"" if body is None else json.dumps(body).encode()
        return self.call("POST", path, data=data, content_type="application/json", headers=headers)


NewKey = Callable[..., Program]


@pytest.fixture
def new_key(db: None) -> NewKey:
    """Makes programs with keys of their own; all four scopes unless told."""

    def make(*, scopes: tuple[str, ...] = tuple(Scope.values), jobs: tuple[Job, ...] = ()) -> Program:
        key, text = keys.issue(name="ci-bot", owner=make_owner(), scopes=scopes, jobs=jobs)
        return Program(key=key, text=text)

    return make


@pytest.fixture
def program(new_key: NewKey) -> Program:
    """A program that may do everything."""
    return new_key()


@pytest.fixture
def stranger() -> Program:
    """A program without a key."""
    return Program()


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem that `answer` is; fails unless it is one of that status and code, whole in form."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body.keys() >= {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"].endswith(f"/api/errors/{code}")
    assert body["detail"]
    assert body["request_id"]
    assert "Traceback" not in answer.content.decode()
    return body


def read(answer: Any, status: int = 200) -> Any:
    """The JSON of an answer of that status."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    return json.loads(answer.content)

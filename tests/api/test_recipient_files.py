"""runs.streams behind the API: files of recipients as people's programs write them, and those that can't be read."""

import io
import json
from typing import Any

import pytest
from django.http import HttpResponse

from jobs.models import Job
from runs.models import Campaign, RecipientList, Run
from tests.api.conftest import Program, problem, read
from tests.factories import make_job

pytestmark = pytest.mark.django_db

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "city": {"type": "string"}}}


@pytest.fixture(autouse=True)
def job(db: None) -> Job:
    return make_job(slug="send", schema=SCHEMA)


def send(
    program: Program, data: bytes, *, kind: str = "text/csv", key: str = "", extra: Any = None, **query: str
) -> HttpResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return program.call(
        "POST",
        "/api/campaigns",
        data=data,
        content_type=kind,
        headers=headers,
        query_params={"job": "send", "name": "spring", **query},
        **(extra or {}),
    )


def cities() -> dict[str, str]:
    return {str(run.target): run.parameters.get("city", "") for run in Run.objects.all()}


@pytest.mark.parametrize("name", ["rot13", "base64", "undefined", "klingon"])
def test_what_is_no_encoding_of_texts_is_named(program: Program, name: str) -> None:
    found = problem(send(program, b"key\na\n", encoding=name), 400, "invalid_body")
    assert f'"{name}" is no text encoding' in found["detail"]


def test_an_encoding_may_be_declared_with_what_the_body_is(program: Program) -> None:
    read(send(program, "key,city\na,Köln\n".encode("latin-1"), kind='text/csv; charset="latin-1"'), 202)
    assert cities() == {"a": "Köln"}
    # What the query says counts more.
    body = '{"key": "b", "parameters": {"city": "Köln"}}\n'.encode("utf-16")
    read(send(program, body, kind="application/x-ndjson; charset=utf-8", encoding="utf-16"), 202)
    assert cities()["b"] == "Köln"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_belongs_to_no_column(program: Program, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    read(send(program, f"{mark}key,city\na,Köln\n".encode(encoding), encoding=encoding), 202)
    assert cities() == {"a": "Köln"}


def test_empty_lines_are_passed_over_before_the_header_too(program: Program) -> None:
    wrong = b"\r\n  \r\nkey,n\r\n\r\na,1\r\n \t\r\nb,x\r\n\r\n"
    found = problem(send(program, wrong), 422, "invalid_recipients")
    assert (found["valid"], found["errors"][0]["line"]) == (1, 7)
    read(send(program, b"\n\na,1\n\nb,2\n", header="false", columns='{"1": "key", "2": "n"}'), 202)
    assert cities().keys() == {"a", "b"}


def test_who_sends_another_delimiter_is_reminded_of_it(program: Program) -> None:
    found = problem(send(program, b"key;n\na;1\n"), 400, "invalid_body")
    assert "by which delimiter" in found["detail"]


@pytest.mark.parametrize("option", ["recipients", "recipient_list"])
def test_a_file_says_alone_who_its_recipients_are(program: Program, option: str) -> None:
    found = problem(send(program, b"key\na\n", **{option: "others"}), 400, "invalid_body")
    assert found["errors"][0]["pointer"] == f"/{option}"


@pytest.mark.parametrize("kind", ["text/csv", "application/x-ndjson"])
def test_a_file_that_breaks_off_starts_nothing_for_its_first_half(program: Program, kind: str) -> None:
    half = b"key\na\nb\n" if kind == "text/csv" else b'{"key": "a"}\n'
    extra = {"CONTENT_LENGTH": "100", "wsgi.input": io.BytesIO(half)}
    found = problem(send(program, half, kind=kind, extra=extra), 400, "bad_request")
    assert found["detail"] == "The body ended before its announced length."
    extra["wsgi.input"] = io.BytesIO(half)
    saved = program.call(
        "POST",
        "/api/recipient-lists",
        data=half,
        content_type=kind,
        query_params={"name": "half"},
        **extra,
    )
    problem(saved, 400, "bad_request")
    assert not Campaign.objects.exists()
    assert not RecipientList.objects.exists()


def test_the_repetition_of_an_order_with_invalid_recipients_is_refused_again(program: Program) -> None:
    body = b"key,n\na,x\n"
    first = problem(send(program, body, key="k"), 422, "invalid_recipients")
    assert (first["valid"], first["invalid"]) == (0, 1)
    assert first["detail"].startswith("1 of the recipients is invalid (none valid)")
    again = problem(send(program, body, key="k"), 422, "invalid_recipients")
    assert (again["campaign"], again["report"]) == (first["campaign"], first["report"])
    assert Campaign.objects.count() == 1


def test_the_repetition_of_one_that_somebody_started_since_finds_it_started(program: Program) -> None:
    body = json.dumps({"job": "send", "name": "spring", "recipients": [{"key": "a"}, {"key": ""}]})
    order = {"data": body.encode(), "content_type": "application/json", "headers": {"Idempotency-Key": "k"}}
    found = problem(program.call("POST", "/api/campaigns", **order), 422, "invalid_recipients")
    read(program.post(f"/api/campaigns/{found['campaign']}/resume", {"without_invalid": True}))
    answer = program.call("POST", "/api/campaigns", **order)
    assert (read(answer, 200)["id"], answer["Idempotent-Replayed"]) == (found["campaign"], "true")

"""config.api: whatever is sent, the answer is a problem that names what was wrong; never a 5xx or a traceback."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import Client, override_settings
from django.utils.html import escape

from config.api.catalogue import CATALOGUE
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_owner, make_user
from triggers import keys
from triggers.models import ApiKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def away(transactional_db: None) -> Iterator[None]:
    """A database that nobody can reach: new connections are refused."""
    address = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = "/nowhere"
    yield
    connection.settings_dict["HOST"] = address
    connection.close()


def send(program: Program, body: bytes, content_type: str = "application/json") -> Any:
    job = make_job()
    return program.call("POST", f"/api/jobs/{job.slug}/run", data=body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1, column 2"),
        (b"{} {}", "Extra data"),
        (b"", ""),
        (b"[]", "expected an object"),
        (b'"text"', "expected an object"),
        (b"null", "expected an object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "1e999"),
        (b'{"a": ' + b"9" * 5000 + b"}", "has more than 4300 digits."),
        (b'{"a": 1, "a": 2}', '"a"'),
        (b'{"parameters": {"b": 1, "b": 1}}', '"b"'),
        (b'{"a": "\\u0000"}', "/a"),
        (b'{"a": ["\\ud800"]}', "/a/0"),
        (b'{"\\udfff": 1}', "half a surrogate"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "UTF-8 BOM"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "64 levels"),
        (b"[" * 200_000, "64 levels"),
        (b'{"a":' * 100_000, "64 levels"),
    ],
)
def test_a_body_that_is_no_strict_json_is_a_400_that_says_where(
    program: Program, body: bytes, says: str
) -> None:
    answer = send(program, body)
    if body:
        assert says in problem(answer, 400, "invalid_json")["detail"]
    else:
        read(answer, 202)


def test_a_form_is_a_415_that_names_what_is_expected(program: Program) -> None:
    answer = send(program, b"priority=1", "application/x-www-form-urlencoded")
    says = problem(answer, 415, "unsupported_media_type")["detail"]
    assert says == (
        'The body is declared as "application/x-www-form-urlencoded"; expected application/json in UTF-8.'
    )
    problem(send(program, b"{}", "application/json; charset=utf-16"), 415, "unsupported_media_type")
    problem(send(program, b"{}", "text/plain"), 415, "unsupported_media_type")
    read(send(program, b"{}", 'application/json; charset="UTF-8"'), 202)


def test_too_large_a_body_is_a_413(program: Program) -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100):
        body = problem(send(program, b'{"tags": ["' + b"x" * 200 + b'"]}'), 413, "body_too_large")
    assert "100 bytes" in body["detail"]


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Bearer",
        "Bearer x",
        "Token hw_00000000_nothing",
        "Basic aGk6aG8=",
        "Bearer \xff",
        "Token " + "a" * 9000,
    ],
)
def test_no_key_or_a_wrong_one_is_a_401_that_says_how(stranger: Program, credentials: str) -> None:
    headers = {"Authorization": credentials} if credentials else {}
    for method, path in (("GET", "/api/runs"), ("POST", f"/api/jobs/{make_job().slug}/run")):
        answer = stranger.call(method, path, headers=headers)
        problem(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_token_and_bearer_both_do(program: Program) -> None:
    for scheme in ("Token", "Bearer", "bearer"):
        read(Program().get("/api/runs", Authorization=f"{scheme} {program.text}"))


def test_a_key_that_was_disabled_is_a_401_at_once(program: Program) -> None:
    ApiKey.objects.update(enabled=False)
    problem(program.get("/api/runs"), 401, "not_authenticated")


def test_an_address_that_the_key_may_not_call_from_is_a_403(program: Program) -> None:
    ApiKey.objects.update(networks=["10.1.0.0/16"])
    assert "127.0.0.1" in problem(program.get("/api/runs"), 403, "permission_denied")["detail"]


def test_a_session_needs_its_csrf_token_and_the_permission() -> None:
    person = make_owner()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    path = f"/api/jobs/{make_job().slug}/run"
    refused = browser.post(path, {}, content_type="application/json")
    assert "CSRF" in problem(refused, 403, "permission_denied")["detail"]
    browser.cookies["csrftoken"] = "a" * 32
    accepted = browser.post(path, {}, content_type="application/json", headers={"X-CSRFToken": "a" * 32})
    run = read(accepted, 202)
    assert (run["created_by"], run["api_key"]) == (person.username, None)
    assert person.username in run["cause"]

    nobody = Client()
    nobody.force_login(make_user())
    problem(nobody.get("/api/runs"), 403, "permission_denied")
    problem(nobody.post(path, {}, content_type="application/json"), 403, "permission_denied")


@pytest.mark.parametrize(
    "path",
    [
        "/api/nothing",
        "/api/runs/1/nothing",
        "/api/jobs//run",
        "/api/jobs/%00/run",
        "/api/runs/%ff",
        "/api/💥",
    ],
)
def test_an_unknown_address_under_api_is_a_404_problem(program: Program, path: str) -> None:
    problem(program.get(path), 404, "not_found")
    problem(program.post(path, {}), 404, "not_found")


def test_a_wrong_method_is_a_405_with_what_is_allowed(program: Program) -> None:
    answer = program.call("DELETE", "/api/runs")
    body = problem(answer, 405, "method_not_allowed")
    assert body["detail"] == "The method is DELETE; expected one of GET, HEAD, OPTIONS."
    assert "GET" in answer["Allow"]
    problem(program.get("/api/jobs/run"), 405, "method_not_allowed")
    for path in ("/api", "/api/schema", "/api/docs", "/api/errors", "/api/errors/not_found"):
        problem(program.post(path, {}), 405, "method_not_allowed")


def test_a_form_of_answer_that_there_is_not_is_a_406(program: Program) -> None:
    body = problem(program.get("/api/runs", Accept="image/png"), 406, "not_acceptable")
    assert body["detail"] == 'Accept is "image/png"; expected application/json.'


def test_a_host_that_is_not_ours_is_a_400_problem(program: Program) -> None:
    problem(program.get("/api/runs", Host="evil.example"), 400, "bad_request")


def test_an_error_of_ours_is_a_500_without_a_word_of_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr("runs.api.objects.why.of_runs", fail)
    answer = program.get("/api/runs")
    problem(answer, 500, "internal_error")
    assert b"secret" not in answer.content


def test_pages_outside_the_api_keep_their_own_errors(client: Client) -> None:
    answer = client.get("/nothing-here/")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_the_root_names_what_there_is_and_needs_no_key(stranger: Program) -> None:
    for path in ("/api", "/api/"):
        assert read(stranger.get(path))["runs"].endswith("/api/runs")


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_type_of_a_problem_leads_to_a_page_that_explains_it(client: Client, code: str) -> None:
    page = client.get(f"/api/errors/{code}")
    assert page.status_code == 200
    assert escape(CATALOGUE[code].title) in page.content.decode()
    assert f"/api/errors/{code}" in client.get("/api/errors").content.decode()
    assert (
        read(client.get(f"/api/errors/{code}", headers={"Accept": "application/json"}))["problem"]["code"]
        == code
    )


def test_a_problem_that_is_none_has_no_page(stranger: Program) -> None:
    problem(stranger.get("/api/errors/nothing"), 404, "not_found")


def test_the_document_of_errors_lists_them_all() -> None:
    text = (settings.BASE_DIR / "docs" / "api.md").read_text()
    for kind in CATALOGUE.values():
        assert f"| {kind.status} | `{kind.code}` |" in text, kind.code


def test_a_problem_has_the_id_of_the_request_in_the_log(stranger: Program) -> None:
    first, second = (json.loads(stranger.get("/api/runs").content)["request_id"] for _ in range(2))
    assert first != second


def test_a_key_of_the_wrong_scope_is_told_which_it_needs(new_key: NewKey) -> None:
    body = problem(new_key(scopes=("run",)).get("/api/runs"), 403, "permission_denied")
    assert "'read'" in body["detail"]


@pytest.mark.usefixtures("away")
@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_a_503_that_says_when_to_try_again() -> None:
    holder = Program(text="hw_00000000_anything")
    for answer in (holder.get("/api/runs"), holder.post("/api/jobs/a-job/run", {}, key="k")):
        problem(answer, 503, "database_unavailable")
        assert int(answer["Retry-After"]) >= 1


@pytest.mark.usefixtures("away")
@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_a_503_for_a_session_as_well() -> None:
    browser = Client(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    problem(browser.get("/api/runs"), 503, "database_unavailable")


@pytest.mark.usefixtures("away")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["/runs/", "/queues/", "/admin/"])
def test_a_page_without_a_database_is_a_503_that_says_so(address: str) -> None:
    browser = Client(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    page = browser.get(address)
    assert (page.status_code, int(page["Retry-After"]) >= 1) == (503, True)
    assert "The database doesn't answer" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_nobody_gives_up_is_a_503_and_no_500() -> None:
    _, text = keys.issue(name="waiting", owner=make_owner())
    locked, done = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE runs_run IN ACCESS EXCLUSIVE MODE")
                locked.set()
                done.wait(timeout=30)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        try:
            assert locked.wait(timeout=30)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            problem(Program(text=text).get("/api/runs"), 503, "database_unavailable")
        finally:
            done.set()
            holder.result()
            connection.close()

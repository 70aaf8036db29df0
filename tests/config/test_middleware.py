"""Health answers and the API's last slash, by way of the middleware alone and of the whole site."""

import json

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from config.middleware import ApiSlashMiddleware
from tests.site import Site


def seen_path(method: str, path: str) -> str:
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.path_info)
        return HttpResponse()

    ApiSlashMiddleware(view)(RequestFactory().generic(method, path))
    return seen[0]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_the_last_slash_of_an_api_path_means_nothing_for_any_method(method: str) -> None:
    assert seen_path(method, "/api/jobs/noop/trigger/") == "/api/jobs/noop/trigger"
    assert seen_path(method, "/api/jobs/noop/trigger") == "/api/jobs/noop/trigger"


@pytest.mark.parametrize("path", ["/runs/?q=%00", "/jobs/?x=1&%00=2", "/runs/%00/"])
def test_an_address_with_u0000_is_refused_by_a_page_that_says_so(admin_client: Client, path: str) -> None:
    answer = admin_client.get(path)
    assert answer.status_code == 400
    assert "holds the character U+0000" in answer.content.decode()


def test_a_form_with_u0000_is_refused(admin_client: Client) -> None:
    sent = b"act=pause%00"
    answer = admin_client.post("/schedules/acts/", sent, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
    assert "&#x27;act&#x27; holds" in answer.content.decode()


def test_pages_keep_their_last_slash() -> None:
    assert seen_path("GET", "/runs/") == "/runs/"
    assert seen_path("GET", "/apis/") == "/apis/"


def test_a_living_process_says_so_to_whoever_asks_by_whatever_name(client: Client) -> None:
    answer = client.get("/healthz", HTTP_HOST="10.1.2.3")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})
    assert answer["Cache-Control"] == "no-store"


def test_a_site_without_workers_is_not_ready_and_says_why(site: Site, client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ready"] is False
    states = {check["check"]: check["ok"] for check in body["checks"]}
    assert states == {
        "database": True,
        "migrations": True,
        "worker:high": False,
        "worker:default": False,
        "worker:bulk": False,
        "beat": False,
        "sweep": False,
        "overdue": True,
        "clock": True,
        "zones": True,
        "broker": True,
        "vault": True,
        "sources": True,
        "notifications": True,
    }
    assert "No live worker takes the lane bulk." in json.dumps(body)


def test_probes_need_no_https(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/admin/").status_code == 301

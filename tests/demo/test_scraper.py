"""demo.scraper: over real HTTP, from the demo's own listing site into the demo's own table."""

import threading
from collections.abc import Iterator
from dataclasses import asdict
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from pytest_django import Settings

from demo import scraper, views
from demo.models import SoldProperty
from demo.scraper import NothingRead, scrape

pytestmark = pytest.mark.django_db

INDIANAPOLIS = "Indianapolis, IN"


class Context:
    """A run's context that remembers what it was told."""

    run_id, attempt = 1, 1

    def __init__(self, *, cancelled_after: int = 1000) -> None:
        self.lines: list[tuple[str, str]] = []
        self.steps: list[tuple[float, float | None]] = []
        self._cancelled_after = cancelled_after

    def log(self, *message: object, level: str = "info") -> None:
        self.lines.append((level, " ".join(map(str, message))))

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.steps.append((done, total))

    def is_cancelled(self) -> bool:
        return len(self.steps) >= self._cancelled_after

    def extend(self, seconds: float) -> None: ...


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the listing site is served; it needs no database."""
    application = get_wsgi_application()
    with make_server("127.0.0.1", 0, application, server_class=Threaded, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def listing_site(address: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO_URL = address
    monkeypatch.setattr(views, "SLOW_SECONDS", 0.01)


def scraped(context: Context | None = None, **changes: Any) -> dict[str, int]:
    given: dict[str, Any] = {"locations": [INDIANAPOLIS], "listing_type": "sold", **changes}
    return asdict(scrape(context or Context(), **given))


def test_all_readable_pages_are_kept_and_the_broken_one_is_reported() -> None:
    context = Context()
    assert scraped(context) == {
        "properties_scraped": 155,
        "properties_saved": 155,
        "pages": 8,
        "pages_failed": 1,
    }
    assert SoldProperty.objects.count() == 155
    warnings = [text for level, text in context.lines if level == "warning"]
    assert warnings == [
        "Indianapolis, IN, page 3: Listing IND-S0047: its price is 'Ask the agent', "
        "expected something like '$245,000'.",
        "Indianapolis, IN, page 5: the site answered 500 Internal Server Error, 2 times; left out.",
    ]
    assert context.steps[-1] == (9, 9)


def test_only_what_is_new_or_has_changed_counts_as_saved() -> None:
    scraped()
    assert scraped()["properties_saved"] == 0
    SoldProperty.objects.filter(reference__in=["IND-S0001", "IND-S0002"]).update(price=1)
    SoldProperty.objects.filter(reference="IND-S0003").delete()
    assert scraped()["properties_saved"] == 3
    assert SoldProperty.objects.get(reference="IND-S0001").price > 1


def test_places_and_kinds_are_told_apart() -> None:
    assert scraped(locations=["Carmel, IN", "Fishers, IN"], listing_type="pending")["properties_saved"] == 22
    assert set(SoldProperty.objects.values_list("location", "listing_type")) == {
        ("Carmel, IN", "pending"),
        ("Fishers, IN", "pending"),
    }


def test_a_place_without_listings_is_reported_beside_the_others() -> None:
    context = Context()
    count = scraped(context, locations=["Atlantis, XX", "Carmel, IN"], listing_type="pending")
    assert (count["properties_scraped"], count["pages_failed"]) == (11, 1)
    failed = "Atlantis, XX, page 1: the site answered 404 Not Found, 2 times; left out."
    assert ("warning", failed) in context.lines


def test_a_run_that_could_read_nothing_at_all_fails(settings: Settings) -> None:
    settings.DEMO_URL = "http://127.0.0.1:9"
    with pytest.raises(NothingRead, match=r"None of 1 pages at http://127\.0\.0\.1:9 could be read"):
        scraped()


def test_a_cancelled_run_stops_after_its_page_and_keeps_what_it_has() -> None:
    count = scraped(Context(cancelled_after=2))
    assert (count["pages"], count["properties_saved"]) == (2, 40)


def test_the_slow_page_answers_within_the_scrapers_patience() -> None:
    assert scraper.TIMEOUT_SECONDS > 1.5

"""A browser before the real site."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.site import SECONDS, Site

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def browser(site: Site, chromium_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Chromium, beside which the test may use the site's database.

    Playwright keeps an event loop in this thread, and with one Django has other connections than without: so
    the database is chosen before, and what was opened meanwhile is closed at the end.
    """
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()
        connections.close_all()


@dataclass
class Person:
    """Somebody logged in before a browser window, and what the browser complained of meanwhile."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        # Chromium notes every answer from 400 on as an error; pages are asked for such answers here.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(f"{self.page.url}: {message.text}")


LogIn = Callable[..., Person]


@pytest.fixture
def log_in(site: Site, browser: Browser) -> Iterator[LogIn]:
    """Opens a window of its own and logs Ada in; what the console complains of fails the test."""
    ada = Client()
    ada.force_login(User.objects.create_superuser("ada"))
    session = ada.cookies["sessionid"].value
    url = site.start_web()
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    def open_window(**options: Any) -> Person:
        context = browser.new_context(base_url=url, **options)
        context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        contexts.append(context)
        context.set_default_timeout(SECONDS * 1000)
        person = Person(context.new_page())
        people.append(person)
        person.page.on("console", person.hear)
        person.page.on("pageerror", lambda error: person.complaints.append(str(error)))
        person.page.goto("/")
        return person

    yield open_window
    for context in contexts:
        context.close()
    assert [complaint for person in people for complaint in person.complaints] == []

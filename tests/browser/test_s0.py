"""Story S0 in a browser: Ada clicks Run, watches the log grow, and sees the badge change by itself."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from tests.live import SECONDS, Live

pytestmark = pytest.mark.browser


@pytest.fixture
def page(live: Live, chromium_path: str) -> Iterator[Page]:
    """A browser in which Ada has logged in; what its console complains of fails the test."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.text} {message.location['url']}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = browser.new_page(base_url=live.url)
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        page.on("console", listen)
        found = live.quickstart
        page.goto("/jobs/")
        page.fill("#id_username", found["admin_user"])
        page.fill("#id_password", found["admin_password"])
        page.press("#id_password", "Enter")
        page.wait_for_url("**/jobs/")
        yield page
        browser.close()
    assert complaints == []


def test_clicking_run_shows_the_live_log_and_the_badge(page: Page) -> None:
    page.get_by_role("link", name="Run … Test suite").click()
    page.get_by_label("Only").fill("cart")
    page.locator("#run").get_by_role("button", name="Run").click()
    page.wait_for_url(re.compile(r"/runs/\d+/"))
    address = page.url
    head, lines = page.locator("#run-head"), page.locator("#log-lines li")
    expect(head).to_contain_text("running")
    expect(lines.filter(has_text="PASSED").first).to_be_visible()
    expect(head).to_contain_text("running")  # the log came while it ran
    early = lines.count()
    expect(head).to_contain_text("succeeded")
    expect(lines.filter(has_text="10 passed")).to_be_visible()
    assert lines.count() > early
    assert page.url == address, "the page changed by itself"
    expect(page.locator(".provenance")).to_contain_text("Started by hand by admin")


def test_a_job_without_parameters_starts_with_one_click(page: Page) -> None:
    page.get_by_role("button", name="Run No operation").click()
    page.goto("/runs/?job=noop&trigger=manual")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("Manual")
    expect(row.locator("svg").first).to_be_visible()

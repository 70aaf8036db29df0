"""The readers of the OpenAPI document: they load nothing from elsewhere, and what they show can be tried."""

import pytest

from tests.browser.conftest import LogIn
from tests.factories import make_job

pytestmark = pytest.mark.browser


def test_both_readers_show_the_api_and_ask_nobody_else(log_in: LogIn) -> None:
    page = log_in().page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/api/docs")
    page.locator("#operations-tag-jobs").click()
    page.get_by_text("/api/jobs/run", exact=True).wait_for()
    page.goto("/api/redoc")
    page.get_by_role("heading", name="List runs, newest first").first.wait_for()
    page.get_by_alt_text("redocly logo").wait_for(state="attached")
    site = page.url.removesuffix("/api/redoc")
    assert not [url for url in asked if not url.startswith((site, "data:", "blob:"))]


def test_a_person_tries_a_call_with_the_session(log_in: LogIn) -> None:
    make_job(slug="report")
    page = log_in().page
    page.goto("/api/docs")
    page.locator("#operations-tag-jobs").click()
    page.locator("#operations-jobs-post_jobs_run").click()
    operation = page.locator("#operations-jobs-post_jobs_run")
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea").fill('{"job": "report"}')
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response-col_status")
    answer.get_by_text("202").wait_for()

"""The pages in a browser: for everybody, in every look, live, and without JavaScript."""

import re
from datetime import timedelta
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from notifications import sending
from runs import campaigns, causes, firing, launch, lifecycle, logs, orders, tallies, tending
from runs.claims import Claim
from runs.models import Circuit, Run, WorkerProcess
from tests.api.test_events import send
from tests.browser.conftest import LogIn
from tests.factories import (
    claim,
    claim_one,
    make_channel,
    make_dependency,
    make_event,
    make_job,
    make_owner,
    make_rule,
    make_run,
    make_schedule,
    make_slot,
)
from triggers import keys
from triggers.models import Calendar, Delivery, Occurrence, Trigger

pytestmark = pytest.mark.browser
AXE = Axe().axe_script
# The styles a page imports are not fetched again: axe would need inline styles for that.
SHORT = {"preload": False, "resultTypes": ["violations"]}
RULES = {
    **SHORT,
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
# What can differ between the light and the dark look of one page.
COLOURS = {**SHORT, "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
LOOKS: list[tuple[int, Literal["light", "dark"], dict[str, Any]]] = [
    (1280, "light", RULES),
    (1280, "dark", COLOURS),
    (390, "light", RULES),
]
# The bar and the foot are the same on every page: they are looked at once.
SAME = {"exclude": [[".bar"], [".foot"]]}
SCHEMA = {
    "properties": {
        "city": {"type": "string", "title": "Town"},
        "deep": {"type": "boolean", "default": False},
        "kind": {"enum": ["sold", "for_sale"]},
        "token": {"type": "string", "format": "password"},
    },
    "required": ["city"],
}
ERROR = Failed(
    reason="error", type="ShopClosed", message="closed " * 40, traceback="Traceback …\n", retryable=False
)


def write(claim: Claim, *lines: str, level: str = "info") -> None:
    writer = logs.LogWriter(run_id=claim.id, attempt=claim.attempt, token=claim.token, mask=logs.masker([]))
    for line in lines:
        writer.write(line, level=level)
    writer.flush()


def make_campaign(slot: WorkerProcess) -> int:
    """One behind its canary, with an error that can be retried, sums and a timeline; returns its id."""
    order = orders.Order(job=make_job(slug="sends"), name="Spring sale", canary=3, rate_per_second=50.0)
    campaign = orders.order(order, [(n, {"key": f"user-{n}@example.org"}) for n in range(1, 9)]).campaign
    tending.at_once(campaign)
    failed, *others = claim(slot, lane="bulk", limit=3)
    lifecycle.settle([(failed, ERROR), *((one, Succeeded(result={"sent": 1})) for one in others)])
    tallies.fold()
    tending.tend()
    campaigns.resume(campaign, by="ada")
    tending.at_once(campaign)
    return int(campaign.pk)


def make_outside() -> dict[str, str]:
    """What comes from outside and what keeps it out, with the addresses that show it."""
    trigger, secret = make_event()
    send(trigger, secret)
    send(trigger, "another secret")
    delivery = Delivery.objects.earliest("pk")
    key, _ = keys.issue(name="ci", owner=make_owner())
    return {
        "deliveries": "/deliveries/",
        "a delivery": f"/deliveries/{delivery.pk}/",
        "the form of an event trigger": f"/admin/triggers/eventtrigger/{trigger.pk}/change/",
        "the form of a key": f"/admin/triggers/apikey/{key.pk}/change/",
    }


def make_timetable(schedule: Trigger) -> dict[str, str]:
    """A schedule that keeps a calendar and has missed slots, with the addresses that show it."""
    calendar = Calendar.objects.create(name="Holidays", closed="Sat\n12-25 Christmas")
    schedule.calendars.add(calendar)
    for hours in (2, 3):
        Occurrence.objects.create(
            trigger=schedule, slot=timezone.now() - timedelta(hours=hours), outcome="missed"
        )
    return {
        "a schedule": f"/schedules/{schedule.pk}/",
        "slots of a backfill": f"/schedules/{schedule.pk}/?from=2026-01-01&to=2026-01-02",
        "a preview": f"/schedules/preview/?trigger={schedule.pk}",
        "the form of a schedule": f"/admin/triggers/schedule/{schedule.pk}/change/",
        "the form of a pause": f"/admin/triggers/schedule/{schedule.pk}/pause/",
        "calendars": "/admin/triggers/calendar/",
        "the form of a calendar": f"/admin/triggers/calendar/{calendar.pk}/change/",
    }


def make_cast() -> dict[str, str]:
    """Something of everything; returns the addresses worth looking at."""
    job = make_job(
        slug="asks",
        name="A job with a rather long name, Indianapolis",
        schema=SCHEMA,
        tags=["etl", "qa"],
        circuit_failure_rate=1,
        start_within_seconds=1,
    )
    paused = make_job(slug="rests", status="paused", paused_by="bob", paused_reason="we move")
    Job.objects.filter(pk=make_job(slug="gone", name="Gone").pk).update(broken_reason="Its function is gone.")
    nightly = make_schedule(job, timezone="America/Indiana/Indianapolis")
    make_schedule(paused, enabled=False)
    make_dependency(job, condition="on_failure", delay_minutes=5)
    firing.fire_due(timezone.now())
    slot, failed = make_slot(), make_run(job, parameters={"city": "Bonn", "token": "s3cr3t-9"})
    claim = claim_one(slot)
    write(claim, "one", "x" * 300)
    write(claim, "careful", level="warning")
    lifecycle.settle([(claim, ERROR)])
    failed.refresh_from_db()
    again = launch.retry(failed, cause=causes.retry(failed)).run
    claim = claim_one(slot)
    lifecycle.settle([(claim, Succeeded(result={"saved": 3}))])
    running = make_run(job, parameters={"city": "Bonn"})
    write(claim_one(slot), *(f"line {number}" for number in range(80)))
    Run.objects.filter(pk=running.pk).update(progress={"done": 3, "total": 7, "message": "page 3"})
    queued = make_run(job, parameters={"city": "Bonn"})
    later = make_run(job, parameters={"city": "Bonn"}, run_at=timezone.now() + timedelta(hours=1))
    campaign = make_campaign(slot)
    rule = make_rule("failed", "deadline", channel=make_channel(name="on call", is_enabled=False), job=job)
    message = sending.send_test(rule.channel, by="ada")
    sending.send_next()
    soon = timezone.now() + timedelta(hours=1)
    Circuit.objects.filter(target="job:asks").update(opened_at=timezone.now(), open_until=soon)
    return {
        "a campaign": f"/campaigns/{campaign}/",
        "campaigns": "/campaigns/",
        "a new campaign": "/campaigns/new/",
        "dashboard": "/",
        "runs": "/runs/",
        "no runs": "/runs/?status=skipped",
        "a wrong filter": "/runs/?status=wild",
        "a failed run": f"/runs/{failed.pk}/",
        "a succeeded run": f"/runs/{again.pk}/",
        "a running run": f"/runs/{running.pk}/",
        "a queued run": f"/runs/{queued.pk}/",
        "a scheduled run": f"/runs/{later.pk}/",
        "a rerun": f"/runs/{failed.pk}/rerun/",
        "jobs": "/jobs/",
        "a job": "/jobs/asks/",
        "a paused job": "/jobs/rests/",
        "a broken job": "/jobs/gone/",
        "schedules": "/schedules/",
        "a job's triggers": "/jobs/asks/triggers/",
        "a trigger": f"/jobs/asks/triggers/{nightly.pk}/",
        "queues": "/queues/",
        "notifications": "/notifications/",
        "a message": f"/notifications/{message.pk}/",
        "analytics": "/analytics/",
        "who follows whom": "/graph/?job=asks",
        "changes": "/audit/",
        "health": "/health/",
        "not found": "/runs/999999/",
        "not by this address alone": "/queues/high/pause/",
        "admin": "/admin/",
        "admin's jobs": "/admin/jobs/job/",
        "admin's runs": "/admin/runs/run/",
        "admin's job": f"/admin/jobs/job/{job.pk}/change/",
        "admin's breakers": "/admin/runs/circuit/",
        **make_timetable(nightly),
        **make_outside(),
    }


@pytest.mark.slow
def test_no_page_has_a_barrier_in_any_look_or_width(log_in: LogIn) -> None:
    cast = make_cast()
    page = log_in(reduced_motion="reduce").page
    faults: list[str] = []
    seen: dict[str, Any] = {}
    for name, path in cast.items():
        page.goto(path)
        page.evaluate(AXE)
        for width, scheme, rules in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            faults += [f"{name}, {width}, {scheme}: {fault}" for fault in barriers(page, seen, rules)]
            too_wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if too_wide > 0:
                faults.append(f"{name}, {width}: {too_wide} px too wide")
        seen = SAME
    assert faults == []


def barriers(page: Page, seen: dict[str, Any], rules: dict[str, Any]) -> list[str]:
    found = page.evaluate(
        "([seen, rules]) => axe.run(seen.exclude ? seen : document, rules).then(answer => answer.violations)",
        [seen, rules],
    )
    return [f"{fault['id']} {[node['html'][:160] for node in fault['nodes'][:3]]}" for fault in found]


def test_everything_can_be_done_without_javascript(log_in: LogIn) -> None:
    make_job(slug="asks", name="Asks", schema=SCHEMA)
    page = log_in(java_script_enabled=False).page
    expect(page.locator("[data-theme-switch]")).to_be_hidden()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Run … Asks").click()
    page.get_by_label("Town").fill("Bonn")
    page.locator("#run").get_by_role("button", name="Run").click()
    expect(page.get_by_role("status").first).to_contain_text("Started run #")
    expect(page.locator("#run-head")).to_contain_text("queued")
    expect(page.locator("#run-now")).to_contain_text("No worker is alive")
    expect(page.locator("#run-head time").first).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#run-head")).to_contain_text("cancelled")
    page.get_by_role("link", name="Re-run with changes").click()
    expect(page.get_by_label("Town")).to_have_value("Bonn")
    page.get_by_label("Town").fill("Köln")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".provenance")).to_contain_text("Retry of #")
    page.goto("/runs/")
    page.locator(".choice summary").click()
    page.get_by_label("cancelled", exact=True).check()
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Retry run").click()
    assert [run.parameters["city"] for run in Run.objects.order_by("pk")] == ["Bonn", "Köln", "Bonn"]
    page.get_by_text("ada", exact=True).click()
    page.get_by_role("button", name="Log out").click()
    page.goto("/runs/")
    expect(page.get_by_label("Username")).to_be_visible()


def test_the_page_of_a_run_follows_it_by_itself(log_in: LogIn) -> None:
    run = make_run(make_job(name="Import"))
    page = log_in().page
    page.goto(f"/runs/{run.pk}/")
    head, lines = page.locator("#run-head"), page.locator("#log-lines li")
    expect(head).to_contain_text("queued")
    claim = claim_one(make_slot())
    write(claim, *(f"line {number}" for number in range(200)))
    Run.objects.filter(pk=run.pk).update(progress={"done": 3, "total": 7, "message": "page 3"})
    expect(head).to_contain_text("running")
    expect(page.locator("#run-now")).to_contain_text("3 of 7 · page 3")
    expect(lines).to_have_count(200)
    page.locator(".log-card").scroll_into_view_if_needed()
    expect(lines.last).to_be_in_viewport()
    expect(head.locator("time").first).to_have_text(re.compile(r"^\d+ s$"))

    page.locator("#log").evaluate("log => log.scrollTop = 0")
    write(claim, "the last line")
    expect(lines).to_have_count(201)
    assert page.locator("#log").evaluate("log => log.scrollTop") == 0, "who reads is not moved"

    lifecycle.settle([(claim, Succeeded(result={"saved": 3}))])
    expect(head).to_contain_text("succeeded")
    expect(page).to_have_title(f"Succeeded – #{run.pk} Import – Headway")
    expect(page.locator("#announce")).to_have_text(f"Run {run.pk} is succeeded.")
    expect(page.locator("#poller")).not_to_have_attribute("hx-get", re.compile("."))
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_the_list_tells_of_new_runs_and_refreshes_the_open_ones(log_in: LogIn) -> None:
    job = make_job()
    first = make_run(job)
    page = log_in().page
    page.goto("/runs/")
    row = page.locator(f"#run-{first.pk}")
    expect(row).to_contain_text("queued")
    claim = claim_one(make_slot())
    make_run(job)
    expect(row).to_contain_text("running")
    expect(page.locator("#news")).to_contain_text("1 new run – show")
    expect(page.locator("tbody tr")).to_have_count(1)
    lifecycle.settle([(claim, ERROR)])
    expect(row).to_contain_text("closed")
    page.locator("#news a").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_the_chosen_theme_holds_on_every_page_of_both_faces(log_in: LogIn) -> None:
    page = log_in(color_scheme="light").page
    assert background(page) == "rgb(244, 246, 247)"
    for mode in ("light", "dark"):
        page.locator("[data-theme-switch]").click()
        expect(page.locator("html")).to_have_attribute("data-theme", mode)
    assert background(page) == "rgb(13, 20, 23)"
    page.goto("/admin/")
    assert background(page) == "rgb(13, 20, 23)"
    page.goto("/jobs/")
    assert background(page) == "rgb(13, 20, 23)"
    page.locator("[data-theme-switch]").click()
    assert background(page) == "rgb(244, 246, 247)", "auto again: the system's wish"


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_curl_line_is_copied_by_its_button(log_in: LogIn) -> None:
    make_job(slug="calls")
    page = log_in(permissions=["clipboard-read", "clipboard-write"]).page
    page.goto("/jobs/calls/")
    button = page.locator("[data-copy=curl]")
    button.click()
    expect(button).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#curl").inner_text()
    assert copied.startswith("curl -X POST http://127.0.0.1:")

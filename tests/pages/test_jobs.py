"""The pages /jobs/ and /jobs/<slug>/."""

import json
import re
import shlex
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import lifecycle
from runs.models import Run
from tests.factories import claim_one, make_job, make_run, make_schedule, make_slot
from tests.pages.conftest import Visitor, text, words
from triggers import keys
from triggers.models import Kind, Trigger

pytestmark = pytest.mark.django_db
ERROR = Failed(reason="error", type="ValueError", message="no", traceback="", retryable=False)
SCHEMA: dict[str, Any] = {
    "properties": {
        "city": {"type": "string", "title": "Town", "description": "Where to look."},
        "kind": {"enum": ["sold", "for_sale"]},
        "pages": {"type": "integer", "minimum": 1, "maximum": 9},
        "deep": {"type": "boolean", "default": False},
        "places": {"type": "array", "items": {"type": "string"}},
        "filter": {"type": "object"},
    },
    "required": ["city", "kind"],
}


def test_the_list_shows_how_each_job_went_and_when_it_comes_next(ada: Client) -> None:
    job = make_job(name="Import", slug="import", description="Reads things.", tags=["etl"])
    make_run(job)
    lifecycle.settle([(claim_one(make_slot()), ERROR)])
    make_schedule(job)
    Trigger.objects.filter(job=job, kind=Kind.SCHEDULE).update(
        next_run_at=timezone.now() + timedelta(hours=3)
    )
    page = words(ada.get("/jobs/"))
    for shown in (
        "Import",
        "import</code> · Reads things.",
        "Last 1 runs: 1 failed; the newest failed",
        "0 %",
    ):
        assert shown in page
    assert re.search(
        r'<span class="mark remote" title="Remote">.*?<span class="mark schedule" title="Schedule">', page
    )
    assert re.search(r'data-label="Next run"[^>]*><time ', page)
    assert '<button class="button small" formaction="/jobs/import/run/">' in page


def test_a_job_with_parameters_leads_to_its_form(ada: Client) -> None:
    make_job(slug="asks", schema=SCHEMA)
    page = text(ada.get("/jobs/"))
    assert 'href="/jobs/asks/#run"' in page
    assert "/jobs/asks/run/" not in page


def test_the_list_is_narrowed_by_text_and_state(ada: Client) -> None:
    make_job(slug="good", name="Good", tags=["etl"])
    make_job(slug="rests", name="Rests", status="paused")
    make_job(slug="over", name="Over", status="paused", paused_until=timezone.now() - timedelta(hours=1))
    make_job(slug="gone", name="Gone", status="inactive")
    Job.objects.filter(pk=make_job(slug="bad", name="Bad").pk).update(broken_reason="Its function is gone.")
    make_schedule(make_job(slug="timed", name="Timed"))

    def shown(query: str) -> list[str]:
        return re.findall(r'<a class="name" href="/jobs/([a-z-]+)/">', text(ada.get(f"/jobs/?{query}")))

    assert shown("") == ["bad", "gone", "good", "over", "rests", "timed"]
    assert shown("q=ETL") == ["good"]
    assert shown("q=rest") == ["rests"]
    assert shown("state=active") == ["good", "over", "timed"]
    assert shown("state=paused") == ["rests"]
    assert shown("state=inactive") == ["gone"]
    assert shown("state=broken") == ["bad"]
    assert shown("state=scheduled") == ["timed"]
    assert "No job matches." in words(ada.get("/jobs/?q=zzz"))


def test_a_site_without_jobs_says_what_a_job_is(ada: Client) -> None:
    assert "No jobs yet. A job is something to run plus its parameters." in words(ada.get("/jobs/"))


def test_the_list_costs_few_queries_however_many_jobs_there_are(visitor: Visitor) -> None:
    for _ in range(120):
        make_run(make_job())
    client = visitor("runs.view_run", "jobs.run_job")
    with CaptureQueriesContext(connection) as queries:
        first = text(client.get("/jobs/"))
    assert len(queries) <= 12
    of_runs = [query["sql"] for query in queries if "runs_run" in query["sql"]]
    assert of_runs
    assert not any("COUNT(" in sql for sql in of_runs)
    assert not any("OFFSET" in query["sql"] for query in queries)
    more = re.search(r'href="(\?after=[^"]+)"', first)
    assert more
    second = text(client.get("/jobs/" + unescape(more[1])))
    found = re.findall(r'<a class="name" href="/jobs/([^/]+)/">', first + second)
    assert len(found) == len(set(found)) == 120


def test_the_form_is_made_from_the_schema_with_the_defaults_filled_in(ada: Client) -> None:
    make_job(slug="asks", schema=SCHEMA, defaults={"city": "Bonn", "places": ["a", "b"]})
    page = words(ada.get("/jobs/asks/"))
    assert '<label for="p-city">Town <span class="required">required</span></label>' in page
    assert 'name="p-city" type="text" value="Bonn"' in page
    assert "Where to look." in page
    assert '<option value="for_sale">for_sale</option>' in page
    assert 'type="number" value="" aria-describedby="p-pages-help" min="1" max="9" step="1"' in page
    assert 'type="checkbox" id="p-deep"' in page
    assert "a b</textarea> <p" in page  # one a line
    assert 'class="mono"' in page


def test_run_starts_the_job_with_what_the_form_says_and_shows_the_run(ada: Client) -> None:
    make_job(slug="asks", schema=SCHEMA)
    typed = {"p-city": "Bonn", "p-kind": "sold", "p-pages": "3", "p-deep": "true", "p-places": "a\r\nb\r\n"}
    response = ada.post(
        "/jobs/asks/run/", {**typed, "p-filter": '{"min": 1.5}', "priority": "bulk"}, follow=True
    )
    run = Run.objects.get()
    assert response.redirect_chain == [(f"/runs/{run.pk}/", 302)]
    assert run.parameters == {
        "city": "Bonn",
        "kind": "sold",
        "pages": 3,
        "deep": True,
        "places": ["a", "b"],
        "filter": {"min": 1.5},
    }
    assert (run.trigger_kind, run.lane, run.cause) == ("manual", "bulk", "Started by hand by ada")
    assert f"Started run #{run.pk} of" in words(response)


def test_wrong_parameters_show_the_form_again_as_it_was_typed(ada: Client) -> None:
    make_job(slug="asks", schema=SCHEMA)
    response = ada.post("/jobs/asks/run/", {"p-kind": "sold", "p-pages": "12", "p-filter": "{"})
    page = words(response)
    assert response.status_code == 422
    assert "'city' is missing; expected a text." in page
    assert "'pages' is 12; expected a whole number from 1 to 9." in page
    assert "'filter' is \"{\"; expected JSON: an object." in page
    assert 'value="12"' in page
    assert '<option value="sold" selected>' in page
    assert page.count('aria-invalid="true"') == 3
    assert not Run.objects.exists()


def test_a_wrong_priority_is_refused_in_words(ada: Client) -> None:
    make_job(slug="plain")
    response = ada.post("/jobs/plain/run/", {"priority": "urgent"})
    assert response.status_code == 409
    assert "'urgent' is not a priority" in words(response)


@pytest.mark.parametrize(
    ("state", "banner", "refusal"),
    [
        (
            {"status": "paused", "paused_by": "bob", "paused_reason": "we move"},
            "Paused by bob",
            "was paused by bob",
        ),
        ({"status": "inactive"}, "Inactive.", "is inactive"),
        ({"broken_reason": "Its function is gone."}, "Broken.</strong> Its function is gone.", "is broken"),
    ],
)
def test_a_job_that_cannot_start_says_why_and_has_no_button(
    ada: Client, state: dict[str, Any], banner: str, refusal: str
) -> None:
    job = make_job(slug="held")
    Job.objects.filter(pk=job.pk).update(**state)
    page = words(ada.get("/jobs/held/"))
    assert banner in page
    assert "/jobs/held/run/" not in page
    response = ada.post("/jobs/held/run/")
    assert response.status_code == 409
    assert refusal in words(response)


def test_one_open_run_of_a_dedup_key_is_shown_instead_of_a_second(ada: Client) -> None:
    make_job(slug="once", schema={"properties": {"a": {}}}, dedup_key_template="{a}", defaults={"a": "x"})
    ada.post("/jobs/once/run/")
    response = ada.post("/jobs/once/run/", follow=True)
    assert Run.objects.count() == 1
    assert "with the same dedup key is still open; nothing was started" in words(response)


def test_the_page_says_how_it_went_and_how_it_is_carried_out(ada: Client) -> None:
    job = make_job(
        slug="import",
        max_attempts=5,
        retry_first_delay_seconds=1,
        retry_longest_delay_seconds=60,
        timeout_seconds=90,
        max_concurrent_runs=2,
        owner=User.objects.get(username="ada"),
    )
    slot = make_slot()
    for outcome in (Succeeded(result=1), Succeeded(result=2), Succeeded(result=3), ERROR):
        make_run(job)
        lifecycle.settle([(claim_one(slot), outcome)])
    page = words(ada.get("/jobs/import/"))
    assert "<dt>Runs ended</dt><dd>4</dd>" in page
    assert "<dt>Success rate</dt><dd>75 %</dd>" in page
    assert "up to 5 tries, 1 s → 60 s, ×2, ±20 %" in page
    assert "<dd>1 min 30 s</dd>" in page
    assert "at most 2" in page
    assert "owned by ada" in page
    assert len(re.findall(r'<tr id="run-', page)) == 4


def test_schedules_are_told_in_words_with_their_next_slots_on_two_clocks(ada: Client) -> None:
    job = make_job(slug="timed")
    make_schedule(job, name="nightly", timezone="America/New_York", misfire="run_each", overlap="queue")
    make_schedule(job, name="silent", enabled=False)
    page = words(ada.get("/jobs/timed/"))
    assert "Daily at 2:00 AM" in page
    assert "America/New_York" in page
    assert "After downtime each missed slot runs, up to 10; a slot waits for the run before it." in page
    slots = re.findall(
        r"<li>(\w{3}) (\d{4}-\d\d-\d\d) 02:00 (E[SD]T) <span class=\"quiet\">· \w{3} 0[67]:00Z", page
    )
    assert len(slots) == 3
    assert '<span class="badge">off</span>' in page


def test_the_curl_line_works_when_it_is_pasted(ada: Client) -> None:
    schema = {
        "properties": {"city": {"enum": ["O'Hare, IL"]}, "deep": {"type": "boolean"}},
        "required": ["city"],
    }
    job = make_job(slug="calls", schema=schema)
    shown = re.search(r'<pre id="curl"[^>]*>(.*?)</pre>', text(ada.get("/jobs/calls/")), re.DOTALL)
    assert shown
    line = shlex.split(unescape(shown[1]).replace("\\\n", " "))
    assert line[:4] == ["curl", "-X", "POST", "http://testserver/api/jobs/calls/trigger"]
    sent = dict(zip(line[4::2], line[5::2], strict=True))
    assert "Authorization: Token $HEADWAY_API_KEY" in line

    _, key = keys.issue(name="ci", owner=User.objects.get(username="ada"), scopes=["run"])
    response = Client().post(
        "/api/jobs/calls/trigger",
        data=sent["-d"],
        content_type="application/json",
        headers={"Authorization": f"Token {key}"},
    )
    assert response.status_code == 202
    run = Run.objects.get(job=job)
    assert (run.trigger_kind, run.parameters) == ("remote", {"city": "O'Hare, IL"})


def test_the_python_lines_say_the_same(ada: Client) -> None:
    make_job(slug="calls", schema=SCHEMA)
    shown = re.search(r'<pre id="python"[^>]*>(.*?)</pre>', text(ada.get("/jobs/calls/")), re.DOTALL)
    assert shown
    code = unescape(shown[1])
    compile(code, "snippet", "exec")
    assert "'http://testserver/api/jobs/calls/trigger'" in code
    assert "{'city': 'text', 'kind': 'sold'}" in code


def test_the_public_address_of_the_site_wins_in_the_curl_line(ada: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://headway.example/"
    make_job(slug="calls")
    assert "https://headway.example/api/jobs/calls/trigger" in text(ada.get("/jobs/calls/"))


def test_a_remote_trigger_that_is_off_is_told(ada: Client) -> None:
    job = make_job(slug="calls")
    job.triggers.filter(kind=Kind.REMOTE).update(enabled=False)
    assert "The remote trigger is off, so this call is refused (409)." in words(ada.get("/jobs/calls/"))


def test_the_page_costs_few_queries(visitor: Visitor) -> None:
    job = make_job(slug="busy")
    for _ in range(30):
        make_run(job)
    for number in range(5):
        make_schedule(job, name=f"s{number}")
    client = visitor("runs.view_run", "jobs.run_job")
    with CaptureQueriesContext(connection) as queries:
        client.get("/jobs/busy/")
    assert len(queries) <= 12
    assert not any("COUNT(" in query["sql"] or "OFFSET" in query["sql"] for query in queries)


def test_of_very_many_schedules_the_pages_read_few(visitor: Visitor) -> None:
    job = make_job(slug="busy")
    for _ in range(60):
        make_schedule(job)
    client = visitor("runs.view_run")
    page = client.get("/jobs/busy/")
    assert len(page.context["schedules"]) == 49  # and the remote trigger
    assert 'href="/schedules/?job=busy"' in text(page)
    (entry,) = client.get("/jobs/").context["entries"]
    assert [(kind, number, is_on) for kind, _, number, is_on in entry.marks] == [
        ("remote", 1, True),
        ("schedule", 60, True),
    ]
    assert entry.next_run_at == job.triggers.schedules().earliest("next_run_at").next_run_at


def test_the_schema_is_shown_as_json(ada: Client) -> None:
    make_job(slug="asks", schema=SCHEMA)
    shown = re.search(r'aria-label="Parameter schema">(.*?)</pre>', text(ada.get("/jobs/asks/")), re.DOTALL)
    assert shown
    assert json.loads(unescape(shown[1])) == SCHEMA

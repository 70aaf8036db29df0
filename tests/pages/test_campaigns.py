"""The pages /campaigns/: ordering, watching, holding and ending a campaign."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import lifecycle, lists, orders, tallies, tending
from runs.models import Campaign, Recipient, RecipientList, Run
from runs.orders import Order
from tests.factories import claim, make_job, make_slot, make_user
from tests.pages.conftest import Visitor, text, words
from tests.runs.endings import ended_run

pytestmark = pytest.mark.django_db

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}


@pytest.fixture
def job(db: None) -> Job:
    return make_job(slug="send", name="Send", schema=SCHEMA)


def make_campaign(job: Job, count: int = 3, **wanted: object) -> Campaign:
    given = enumerate(({"key": f"user-{number}"} for number in range(count)), 1)
    order = Order(**{"job": job, "name": "spring", "user": make_user(), **wanted})  # type: ignore[arg-type]
    made = orders.order(order, given).campaign
    tending.at_once(made)
    return made


def carry_out(*, failing: int = 0) -> None:
    error = Failed(
        reason="error", type="ValueError", message="user 17 is gone", traceback="", retryable=False
    )
    claims = claim(make_slot(), lane="bulk", limit=100)
    lifecycle.settle(
        [(one, error if n < failing else Succeeded(result={"sent": 1})) for n, one in enumerate(claims)]
    )
    tallies.fold()
    tending.tend()


def post(client: Client, path: str, **fields: object) -> HttpResponse:
    return client.post(path, fields, follow=True)  # type: ignore[return-value]


def test_a_file_is_ordered_by_the_form_with_its_column_map(ada: Client, job: Job) -> None:
    file = SimpleUploadedFile("people.csv", b"E-mail;count;note\na@x;3;hi\nb@x;4;ho\n")
    page = words(
        post(
            ada,
            "/campaigns/new/",
            job="send",
            name="Spring sale",
            parameters="{}",
            file=file,
            columns="E-mail = key\ncount = n\nnote =",
            delimiter=";",
            rate_per_second="5",
            stop_on_failure_percent="20",
            window_from="00:00",
            window_to="23:59",
            window_zone="Europe/Berlin",
        )
    )
    assert "Spring sale" in page
    assert "ordered by ada" in page
    campaign = Campaign.objects.get()
    assert (campaign.rate_per_second, campaign.stop_on_failure_rate) == (5.0, 0.2)
    assert campaign.window == "00:00–23:59 Europe/Berlin"
    assert dict(Run.objects.values_list("target", "parameters")) == {"a@x": {"n": 3}, "b@x": {"n": 4}}


def test_pasted_recipients_may_stay_a_draft_that_shows_what_runs_would_get(ada: Client, job: Job) -> None:
    page = words(
        post(
            ada,
            "/campaigns/new/",
            job="send",
            name="s",
            parameters='{"n": 1}',
            recipients="key\na\nb",
            draft="1",
        )
    )
    assert "The first 2 runs would get" in page
    assert '"n": 1' in page
    assert not Run.objects.exists()
    post(ada, f"/campaigns/{Campaign.objects.get().pk}/resume/")
    assert Run.objects.count() == 2


def test_what_is_pasted_is_in_no_other_encoding_than_the_page(ada: Client, job: Job) -> None:
    post(ada, "/campaigns/new/", job="send", name="s", recipients="key\nJörg", encoding="latin-1")
    assert Run.objects.get().target == "Jörg"
    post(ada, "/campaigns/lists/", name="all", recipients="key\nJörg", encoding="latin-1")
    assert json.loads(RecipientList.objects.get().parts.get().text)["key"] == "Jörg"


def test_invalid_recipients_are_reported_on_the_page_and_can_be_left_out(ada: Client, job: Job) -> None:
    page = words(post(ada, "/campaigns/new/", job="send", name="s", recipients="key,n\na,1\nb,-1"))
    campaign = Campaign.objects.get()
    assert "1 recipients are valid, 1 invalid." in page
    report = ada.get(f"/campaigns/{campaign.pk}/report/")
    assert isinstance(report, StreamingHttpResponse)
    assert "3,b,n,'n' is -1" in report.getvalue().decode()
    post(ada, f"/campaigns/{campaign.pk}/resume/", without_invalid="1")
    assert [run.target for run in Run.objects.all()] == ["a"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"recipients": "name\na"}, "No column is the key"),
        ({"recipients": "key\na", "rate_per_second": "fast"}, "'rate_per_second' is \"fast\""),
        ({"recipients": "key\na", "start_at": "soon"}, "'soon' is not a time"),
        ({"recipients": "key\na", "stop_on_failure_percent": "x"}, "'x' is no share"),
        ({"recipients": "key\na", "window_from": "09:00"}, "window.to"),
        ({"recipients": "key\na", "parameters": "{"}, "'parameters' is"),
        ({"recipients": "key\n"}, "no recipient"),
        ({"recipients": "key\na", "job": "other"}, "There is no job 'other'"),
        ({"recipients": "key\na", "file": SimpleUploadedFile("a.csv", b"key\nb")}, "more than once"),
        ({"recipients": "key\na", "recipient_list": "all"}, "more than once"),
    ],
)
def test_what_is_wrong_in_the_form_is_said_and_what_was_typed_is_kept(
    ada: Client, job: Job, fields: dict[str, Any], said: str
) -> None:
    answer = ada.post("/campaigns/new/", {"job": "send", "name": "My sale", **fields})
    assert answer.status_code == 422
    assert said in words(answer)
    assert 'value="My sale"' in text(answer)
    assert not Campaign.objects.exists()


def test_the_page_shows_numbers_errors_sums_and_recipients(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 4)
    ended_run(job)
    tallies.fold()
    ended_run(job)
    carry_out(failing=1)
    page = words(ada.get(f"/campaigns/{campaign.pk}/"))
    assert "1 failed" in page
    assert "75.00 %" in page
    assert "<strong>ValueError</strong> user … is gone" in page
    assert "sent: 3" in page
    assert "Trigger wait p95 = " in page
    assert "2 runs of the lane high that ended from" in page
    assert "user-3" in page


def test_the_list_is_narrowed_by_status_and_names_a_filter_that_is_none(ada: Client, job: Job) -> None:
    campaign = orders.order(Order(job=job, name="spring"), [(1, {"key": "a"})]).campaign
    shown = f'/campaigns/{campaign.pk}/"'
    assert shown in text(ada.get(f"/campaigns/?status={campaign.status}"))
    assert shown not in text(ada.get("/campaigns/?status=cancelled"))
    for query, told in (
        ("status=bogus", "'bogus' is not a known status: expected one of draft, scheduled"),
        ("after=x", "'x' is not a place in the list: expected the id of a campaign."),
    ):
        answer = ada.get(f"/campaigns/?{query}")
        assert (answer.status_code, told in words(answer)) == (400, True)
        assert "No campaigns yet" not in words(answer)


def test_recipients_are_found_by_key_and_by_status(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 12)
    carry_out(failing=1)
    own = f"/campaigns/{campaign.pk}/"
    found = words(ada.get(own, {"q": "user-1"}))
    assert all(f">user-{number}<" in found for number in (1, 10, 11))
    assert ">user-2<" not in found
    failed = words(ada.get(own, {"is": "failed"}))
    assert ">user-0<" in failed
    assert ">user-1<" not in failed
    assert "No recipient matches." in words(ada.get(own, {"q": "nobody"}))


def test_a_recipients_latest_retry_speaks_for_it(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 2)
    carry_out(failing=1)
    post(ada, f"/campaigns/{campaign.pk}/retry-failed/")
    again = Run.objects.get(retry_of__isnull=False)
    page = words(ada.get(f"/campaigns/{campaign.pk}/", {"q": "user-0"}))
    assert f'href="/runs/{again.pk}/"' in page


def test_every_act_is_a_button_that_works(ada: Client, job: Job) -> None:
    campaign = make_campaign(job)
    own = f"/campaigns/{campaign.pk}/"
    assert "paused" in words(post(ada, own + "pause/"))
    assert "paused by" not in words(post(ada, own + "resume/"))
    assert "at most 2/s" in words(post(ada, own + "change/", rate_per_second="2"))
    assert "expected a number" in words(post(ada, own + "change/", rate_per_second="x"))
    assert "no limit" in words(post(ada, own + "change/", rate_per_second=""))
    changed = post(ada, own + "change/", stop_on_failure_percent="7", window_from="09:00", window_to="17:00")
    assert "when more than 7" in words(changed)
    assert 'value="09:00"' in text(changed)
    assert f"Campaign #{campaign.pk} is cancelled." in words(post(ada, own + "cancel/"))
    assert "only one that is" in words(post(ada, own + "pause/"))


def test_a_group_of_errors_is_retried_and_failures_are_taken_home(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 8)
    carry_out(failing=2)
    own = f"/campaigns/{campaign.pk}/"
    page = text(ada.get(own))
    mark = page.partition('name="group" value="')[2].partition('"')[0]
    failures = ada.get(own + "failures/")
    assert isinstance(failures, StreamingHttpResponse)
    assert failures.getvalue().decode().count("user 17 is gone") == 2
    assert "running" in words(post(ada, own + "retry-failed/", group=mark))
    assert Run.objects.filter(retry_of__isnull=False).count() == 2


def test_a_saved_list_is_chosen_in_the_form(ada: Client, job: Job) -> None:
    lists.save("customers", [(1, {"key": "a", "parameters": {"n": 1}})], is_text=False, by="ada")
    assert "customers (1)" in words(ada.get("/campaigns/new/"))
    post(ada, "/campaigns/new/", job="send", name="s", parameters="{}", recipient_list="customers")
    assert Run.objects.get().target == "a"


def test_a_list_is_saved_from_a_file_renamed_and_deleted(ada: Client, job: Job) -> None:
    file = SimpleUploadedFile("people.csv", b"E-mail;n\na@x.org;1\nb@x.org;2\n")
    own = {"name": "spring", "file": file, "delimiter": ";", "columns": "E-mail = key"}
    assert "Saved the list spring of 2 recipients." in words(post(ada, "/campaigns/lists/", **own))
    saved = RecipientList.objects.get()
    assert (saved.size, saved.is_text, saved.saved_by) == (2, True, "ada")
    address = f"/campaigns/lists/{saved.pk}/"
    assert "is called summer now" in words(post(ada, address + "rename/", name=" summer "))
    lists.save("autumn", [(1, {"key": "a"})], is_text=False, by="ada")
    assert "There is a recipient list 'autumn' already." in words(
        post(ada, address + "rename/", name="autumn")
    )
    assert "expected 1 to 200" in words(post(ada, address + "rename/", name="  "))
    assert "summer" in words(ada.get("/campaigns/lists/"))
    assert "Deleted the list summer." in words(post(ada, address + "delete/"))
    assert post(ada, address + "delete/").status_code == 404
    assert list(RecipientList.objects.values_list("name", flat=True)) == ["autumn"]


def test_a_list_that_can_t_be_saved_says_why(ada: Client, reader: Client) -> None:
    answer = post(ada, "/campaigns/lists/", name="people", recipients="name\nada\n")
    assert answer.status_code == 422
    assert 'role="alert"' in text(answer)
    assert post(ada, "/campaigns/lists/", name="", recipients="key\nada\n").status_code == 422
    assert not RecipientList.objects.exists()
    assert reader.get("/campaigns/lists/").status_code == 403


def test_a_duplicate_is_tried_with_five_first(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 8)
    page = post(ada, f"/campaigns/{campaign.pk}/duplicate/")
    assert "Send to the first 5" in words(page)
    copy = Campaign.objects.order_by("pk").last()
    assert copy is not None
    post(ada, f"/campaigns/{copy.pk}/resume/?first")
    assert Run.objects.filter(campaign=copy).count() == 5


def test_who_may_only_look_sees_no_buttons_and_may_not_act(
    reader: Client, visitor: Visitor, job: Job
) -> None:
    campaign = make_campaign(job)
    page = text(reader.get(f"/campaigns/{campaign.pk}/"))
    assert "act-pause" not in page
    assert "act-cancel" not in page
    assert "New campaign" not in text(reader.get("/campaigns/"))
    assert reader.post(f"/campaigns/{campaign.pk}/cancel/").status_code == 403
    assert reader.get("/campaigns/new/").status_code == 403
    assert visitor().get("/campaigns/").status_code == 403
    assert reader.get("/campaigns/999/").status_code == 404


def test_only_what_changed_is_sent_to_a_page_that_watches(ada: Client, job: Job) -> None:
    campaign = make_campaign(job)
    page = text(ada.get(f"/campaigns/{campaign.pk}/"))
    address = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert ada.get(address, headers={"HX-Request": "true"}).status_code == 204
    carry_out()
    changed = text(ada.get(address, headers={"HX-Request": "true"}))
    assert 'id="campaign-numbers"' in changed
    assert "done" in changed


def test_the_list_shows_how_far_each_is_in_few_queries(ada: Client, job: Job) -> None:
    for _ in range(3):
        make_campaign(job)
    carry_out(failing=1)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = words(ada.get("/campaigns/"))
    assert len(queries) <= 12
    assert page.count("spring") >= 3
    assert "2 succeeded, 1 failed, 0 to go" in page
    assert "No campaign is paused." in words(ada.get("/campaigns/", {"status": "paused"}))


def test_the_page_takes_few_queries(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, 40)
    carry_out(failing=3)
    with CaptureQueriesContext(connection) as queries:
        ada.get(f"/campaigns/{campaign.pk}/")
    assert len(queries) <= 12, [query["sql"][:90] for query in queries]


def test_a_body_beyond_the_cap_is_a_413_with_the_cap_and_is_not_read(
    ada: Client, job: Job, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.CAMPAIGN_BODY_LIMIT = 1024, 4096
    form = {"job": "send", "name": "s"}

    def sent(path: str, size: int) -> HttpResponse:
        return ada.post(path, {**form, "file": SimpleUploadedFile("p.csv", b"key\n" + b"x" * size)})  # type: ignore[return-value]

    answer = sent("/campaigns/new/", 4096)
    assert answer.status_code == 413
    assert "takes 4.0 KB at most" in words(answer)
    assert sent("/campaigns/new/", 2048).status_code != 413
    assert sent("/jobs/send/", 2048).status_code == 413
    assert not Campaign.objects.filter(total__gt=1).exists()


def test_a_cancelled_campaign_has_nothing_to_go(ada: Client, job: Job) -> None:
    campaign = make_campaign(job, is_draft=True)
    Recipient.objects.filter(campaign=campaign, key="user-0").update(is_active=False)
    draft = words(ada.get(f"/campaigns/{campaign.pk}/"))
    # Who is inactive gets no run, so nobody is told what it would get.
    assert "The first 2 runs would get" in draft
    assert "<h3>user-0</h3>" not in draft
    assert "<dt>To go</dt><dd>3 <small>3 have no run yet</small>" in draft
    page = words(post(ada, f"/campaigns/{campaign.pk}/cancel/"))
    assert "<dt>To go</dt><dd>0 <small>3 have no run</small>" in page
    assert "no run yet" not in page
    assert "3 never launched" in words(ada.get("/campaigns/"))


def test_a_high_rate_is_written_out(ada: Client, job: Job) -> None:
    campaign = make_campaign(job)
    page = words(post(ada, f"/campaigns/{campaign.pk}/change/", rate_per_second="250000"))
    assert "if it goes as fast as it may: 250000 runs a second" in page
    page = words(post(ada, f"/campaigns/{campaign.pk}/change/", rate_per_second="1000000"))
    assert "runs a second: 250000 → 1000000" in page

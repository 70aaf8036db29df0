"""runs.api.campaigns: ordering in every form, numbers, and every act on a campaign."""

import csv
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings

from jobs import pausing
from jobs.executors import Failed, Succeeded
from jobs.models import Job
from runs import lifecycle, tending
from runs.models import Campaign, Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim, make_job, make_slot

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 0},
        "city": {"type": "string"},
        "vip": {"type": "boolean"},
        "token": {"type": "string", "writeOnly": True},
    },
}
PEOPLE = [{"key": "a", "parameters": {"n": 1}}, {"key": "b"}, {"key": "c", "active": False}]


@pytest.fixture
def job(db: None) -> Job:
    return make_job(slug="send", schema=SCHEMA)


def order(program: Program, **body: Any) -> dict[str, Any]:
    sent = {"job": "send", "name": "spring", "recipients": PEOPLE, **body}
    answer: dict[str, Any] = read(program.post("/api/campaigns", sent), 202)
    return answer


def send(program: Program, text: str, kind: str, **query: Any) -> HttpResponse:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    return program.call(
        "POST",
        "/api/campaigns",
        data=text.encode(),
        content_type=kind,
        query_params={"job": "send", "name": "spring", **texts},
    )


def given(key: str) -> dict[str, Any]:
    return dict(Run.objects.get(target=key).parameters)


def carry_out(*, failing: int = 0, message: str = "no") -> None:
    error = Failed(reason="error", type="ValueError", message=message, traceback="", retryable=False)
    claims = claim(make_slot(), lane="bulk", limit=100)
    lifecycle.settle(
        [
            (one, error if number < failing else Succeeded(result={"sent": 2}))
            for number, one in enumerate(claims)
        ]
    )
    tending.tend()


def test_a_list_in_json_is_ordered_and_its_numbers_are_told(program: Program, job: Job) -> None:
    answer = program.post(
        "/api/campaigns",
        {"job": "send", "name": "spring", "parameters": {"token": "x"}, "recipients": PEOPLE},
    )
    campaign = read(answer, 202)
    assert answer["Location"] == campaign["links"]["self"]
    assert (campaign["status"], campaign["total"], campaign["queued"], campaign["skipped"]) == (
        "running",
        3,
        2,
        1,
    )
    assert campaign["parameters"]["token"] != "x"
    assert "ci-bot" in campaign["cause"]
    carry_out()
    campaign = read(program.get(f"/api/campaigns/{campaign['id']}"))
    assert (campaign["status"], campaign["succeeded"], campaign["queued"]) == ("done", 2, 0)
    assert campaign["sums"] == {"sent": {"sum": 4.0, "runs": 2}}
    assert campaign["success_rate"] == 1.0


def test_a_run_names_its_campaign_and_is_found_by_it(program: Program, job: Job) -> None:
    campaign = order(program)
    runs = read(program.get(f"/api/campaigns/{campaign['id']}/runs"))["results"]
    assert [(run["target"], run["campaign"], run["lane"]) for run in runs] == [
        (key, campaign["id"], "bulk") for key in "cba"
    ]
    found = read(program.get("/api/runs", {"campaign": campaign["id"], "trigger": "campaign"}))["results"]
    assert [run["id"] for run in found] == [run["id"] for run in runs]
    queued = read(program.get(f"/api/campaigns/{campaign['id']}/runs", {"status": "queued"}))["results"]
    assert [run["target"] for run in queued] == ["b", "a"]


def test_a_body_that_is_too_large_for_memory_is_read_a_piece_at_a_time(program: Program, job: Job) -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100):
        many = [{"key": f"user-{n}", "parameters": {"n": n, "city": "Köln"}} for n in range(3000)]
        campaign = order(program, recipients=many)
        assert campaign["total"] == 3000
        assert given("user-2999") == {"n": 2999, "city": "Köln"}
        late = {"job": "send", "recipients": many, "name": "late"}
        body = problem(program.post("/api/campaigns", late), 400, "invalid_body")
        assert "'name' is missing" in body["detail"]


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        ('[{"key": "a"}', "character"),
        ('[{"key": "a"} {"key": "b"}]}', "expected , or ]"),
        ('[{"key": "a"}], "job": "send"}', "given more than once"),
        ('[{"key": "a"}]} x', "nothing behind"),
        ('[{"key": "a", "key": "b"}]}', "more than once"),
    ],
)
def test_a_broken_body_says_where_and_starts_nothing(
    program: Program, job: Job, end: str, detail: str
) -> None:
    body = '{"job": "send", "name": "spring", "recipients": ' + end
    for limit in (1, 10_000):
        with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=limit):
            answer = program.call(
                "POST", "/api/campaigns", data=body.encode(), content_type="application/json"
            )
            found = problem(answer, 400, "invalid_body")
            if limit == 1:
                assert detail in found["detail"]
    assert not Campaign.objects.exists()


def test_ndjson_has_its_options_in_the_query(program: Program, job: Job) -> None:
    text = "\n".join(json.dumps(one) for one in PEOPLE) + "\n\n"
    campaign = read(send(program, text, "application/x-ndjson", rate_per_second=5, parameters={"n": 7}), 202)
    assert (campaign["total"], campaign["rate_per_second"]) == (3, 5.0)
    assert given("b") == {"n": 7}


def test_a_csv_is_read_by_its_column_map_encoding_and_delimiter(program: Program, job: Job) -> None:
    text = "User;Stadt;n;vip;is_active;note\na;Köln;3;yes;1;x\nb;;;;no;y\n"
    answer = program.call(
        "POST",
        "/api/campaigns",
        data=text.encode("latin-1"),
        content_type="text/csv",
        query_params={
            "job": "send",
            "name": "spring",
            "columns": json.dumps({"User": "key", "Stadt": "city", "is_active": "active", "note": ""}),
            "encoding": "latin-1",
            "delimiter": ";",
        },
    )
    campaign = read(answer, 202)
    assert (campaign["total"], campaign["skipped"]) == (2, 1)
    assert given("a") == {"city": "Köln", "n": 3, "vip": True}
    assert given("b") == {}


def test_a_csv_without_a_header_has_numbered_columns(program: Program, job: Job) -> None:
    read(send(program, "a,5\nb,6\n", "text/csv", header=False, columns={"1": "key", "2": "n"}), 202)
    assert (given("a"), given("b")) == ({"n": 5}, {"n": 6})


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("user,n\na,1\n", "No column is the key"),
        ("key,town\na,x\n", "'town'"),
        ("key,n\na,1\n\xff,1\n", "Line 3 is not utf-8: invalid start byte."),
        ("key,n\n" + "a,1\n" * 9000 + "\xff,1\n", "Line 9002 is not utf-8"),
        ('key,n\n"a,1\n', "not CSV"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused(program: Program, job: Job, text: str, detail: str) -> None:
    answer = program.call(
        "POST",
        "/api/campaigns",
        data=text.encode("latin-1"),
        content_type="text/csv",
        query_params={"job": "send", "name": "spring"},
    )
    found = problem(answer, 400, "invalid_body")
    assert detail.strip("'") in found["detail"]
    assert not Campaign.objects.exists()


def test_a_form_has_a_file_and_options_as_fields(program: Program, job: Job) -> None:
    file = SimpleUploadedFile("people.csv", b"key,n\na,1\nb,2\n", content_type="text/csv")
    answer = program.client.post(
        "/api/campaigns",
        {"job": "send", "name": "spring", "canary": "1", "file": file},
        headers={"Authorization": f"Bearer {program.text}"},
    )
    campaign = read(answer, 202)
    assert (campaign["recipients"], campaign["canary"], campaign["not_launched"]) == (2, 1, 1)


def test_invalid_recipients_are_reported_and_nothing_starts(program: Program, job: Job) -> None:
    text = "key,n\na,1\nb,-1\n=c,x\n,3\n"
    body = problem(send(program, text, "text/csv"), 422, "invalid_recipients")
    assert (body["valid"], body["invalid"]) == (1, 3)
    assert [(error["line"], error["pointer"]) for error in body["errors"]] == [
        (3, "/n"),
        (4, "/n"),
        (5, "/key"),
    ]
    assert not Run.objects.exists()
    answer: Any = program.get(body["report"].removeprefix("http://testserver"))
    assert isinstance(answer, StreamingHttpResponse)
    rows = list(csv.reader(io.StringIO(answer.getvalue().decode())))
    assert rows[0] == ["line", "key", "field", "reason"]
    assert rows[1] == ["3", "b", "n", "'n' is -1; expected a whole number of at least 0."]
    assert rows[2][1] == "'=c"
    campaign = f"/api/campaigns/{body['campaign']}"
    problem(program.post(f"{campaign}/resume"), 409, "refused")
    assert read(program.post(f"{campaign}/resume", {"without_invalid": True}))["status"] == "running"
    assert [run.target for run in Run.objects.all()] == ["a"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"rate_per_second": "fast"}, "/rate_per_second"),
        ({"stop_on_failure_rate": 2}, "/stop_on_failure_rate"),
        ({"canary": 0}, "/canary"),
        ({"start_at": "tomorrow"}, "/start_at"),
        ({"window": {"from": "9", "to": "10:00"}}, "/window/from"),
        ({"window": {"from": "09:00", "to": "10:00", "timezone": "Mars"}}, "/window/timezone"),
        ({"window": {"from": "09:00", "to": "09:00"}}, "/window"),
        ({"name": ""}, "/name"),
        ({"speed": 1}, "/speed"),
        ({"recipients": "all"}, "/recipients"),
        ({"parameters": {"n": "many"}}, "/parameters/n"),
    ],
)
def test_wrong_options_are_named(program: Program, job: Job, change: dict[str, Any], pointer: str) -> None:
    sent = {"job": "send", "name": "spring", "recipients": PEOPLE, **change}
    body = problem(program.post("/api/campaigns", sent), 400, "invalid_body")
    assert body["errors"][0]["pointer"] == pointer
    assert not Campaign.objects.exists()


def test_other_kinds_of_bodies_and_too_large_ones_are_refused(program: Program, job: Job) -> None:
    refused = problem(send(program, "<a/>", "text/xml"), 415, "unsupported_media_type")
    assert "text/csv, application/x-ndjson or multipart/form-data" in refused["detail"]
    with override_settings(CAMPAIGN_BODY_LIMIT=10):
        problem(send(program, "key\n" + "a\n" * 10, "text/csv"), 413, "body_too_large")


def test_the_job_must_be_there_and_ready(program: Program, job: Job, new_key: NewKey) -> None:
    body = {"job": "nothing", "name": "x", "recipients": PEOPLE}
    problem(program.post("/api/campaigns", body), 404, "not_found")
    other = new_key(jobs=(make_job(),))
    problem(other.post("/api/campaigns", {**body, "job": "send"}), 404, "not_found")
    pausing.pause(job, by="ada")
    problem(program.post("/api/campaigns", {**body, "job": "send"}), 409, "job_paused")
    problem(new_key(scopes=("read",)).post("/api/campaigns", body), 403, "permission_denied")


def test_the_same_order_with_the_same_key_is_one_campaign(program: Program, job: Job) -> None:
    sent = {"job": "send", "name": "spring", "recipients": PEOPLE}
    first = read(program.post("/api/campaigns", sent, key="k"), 202)
    again = program.post("/api/campaigns", sent, key="k")
    assert read(again, 200)["id"] == first["id"]
    assert again["Idempotent-Replayed"] == "true"
    other = {**sent, "name": "summer"}
    problem(program.post("/api/campaigns", other, key="k"), 422, "idempotency_key_reused")
    assert Campaign.objects.count() == 1


def test_every_act_and_its_refusal(program: Program, job: Job) -> None:
    own = f"/api/campaigns/{order(program)['id']}"
    paused = read(program.post(f"{own}/pause", {"reason": "typo"}))
    assert (paused["status"], paused["paused_reason"], paused["eta"]) == ("paused", "typo", None)
    assert claim(make_slot(), lane="bulk") == []
    problem(program.post(f"{own}/pause"), 409, "refused")
    assert read(program.post(f"{own}/resume"))["status"] == "running"
    changed = read(
        program.call("PATCH", own, data=b'{"rate_per_second": 9}', content_type="application/json")
    )
    assert changed["rate_per_second"] == 9.0
    carry_out(failing=1, message="User 17 is gone")
    groups = read(program.get(f"{own}/errors"))["results"]
    assert [(group["type"], group["message"], group["count"]) for group in groups] == [
        ("ValueError", "User … is gone", 1)
    ]
    failures: Any = program.get(f"{own}/failures")
    rows = list(csv.reader(io.StringIO(failures.getvalue().decode())))
    assert [row[:1] + row[2:6] for row in rows[1:]] == [["a", "error", "ValueError", "User 17 is gone", "1"]]
    assert rows[1][6] == read(program.get(f"/api/runs/{rows[1][1]}"))["finished_at"]
    problem(program.post(f"{own}/retry-failed", {"group": "other"}), 409, "refused")
    again = read(program.post(f"{own}/retry-failed", {"group": groups[0]["fingerprint"]}), 202)
    assert (again["status"], again["total"], again["retried"]) == ("running", 4, 1)
    cancelled = read(program.post(f"{own}/cancel"), 200)
    assert (cancelled["status"], cancelled["cancelled"], cancelled["failed"]) == ("cancelled", 1, 1)
    problem(program.post(f"{own}/retry-failed"), 409, "refused")
    events = read(program.get(f"{own}/events"))["results"]
    assert [event["act"] for event in events][::-1] == [
        *("ordered", "paused", "resumed", "changed", "ended", "retried", "cancelled", "ended")
    ]
    assert "ci-bot" in events[-1]["actor"]
    copy = read(program.post(f"{own}/duplicate"), 201)
    assert (copy["status"], copy["recipients"], copy["rate_per_second"]) == ("draft", 3, 9.0)
    assert (
        read(program.post(f"{copy['links']['resume'][len('http://testserver') :]}", {"first": 1}))["canary"]
        == 1
    )


def test_a_cancel_with_runs_under_way_is_on_its_way(program: Program, job: Job) -> None:
    own = f"/api/campaigns/{order(program)['id']}"
    claim(make_slot(), lane="bulk")
    assert read(program.post(f"{own}/cancel"), 202)["status"] == "cancelling"


def test_campaigns_are_listed_newest_first_and_filtered(program: Program, job: Job) -> None:
    first, second = order(program), order(program, draft=True)
    listed = read(program.get("/api/campaigns"))
    assert [one["id"] for one in listed["results"]] == [second["id"], first["id"]]
    drafts = read(program.get("/api/campaigns", {"status": "draft", "job": "send"}))["results"]
    assert [one["id"] for one in drafts] == [second["id"]]
    problem(program.get("/api/campaigns", {"status": "odd"}), 400, "invalid_query")
    problem(program.get("/api/campaigns/999999"), 404, "not_found")


def test_a_saved_list_is_read_by_the_schema_of_each_job_it_is_chosen_for(
    program: Program, job: Job, new_key: NewKey
) -> None:
    saved = program.call(
        "POST",
        "/api/recipient-lists",
        data=b"user,n,vip,active\na,3,yes,yes\nb,4,no,no\n",
        content_type="text/csv",
        query_params={"name": "customers", "columns": json.dumps({"user": "key"})},
    )
    found = read(saved, 201)
    assert (found["name"], found["size"]) == ("customers", 2)
    assert "ci-bot" in found["saved_by"]
    ordered = {"job": "send", "name": "spring", "recipient_list": "customers"}
    campaign = read(program.post("/api/campaigns", ordered), 202)
    assert (campaign["total"], campaign["skipped"]) == (2, 1)
    assert given("a") == {"n": 3, "vip": True}
    texts = make_job(slug="texts", schema={"properties": {"n": {"type": "string"}, "vip": {}}})
    read(program.post("/api/campaigns", {**ordered, "job": texts.slug}), 202)
    assert Run.objects.get(job=texts, target="a").parameters == {"n": "3", "vip": "yes"}
    own = f"/api/recipient-lists/{found['id']}"
    assert [one["id"] for one in read(program.get("/api/recipient-lists"))["results"]] == [found["id"]]
    assert read(program.get(own)) == found
    renamed = program.call("PATCH", own, data=b'{"name": "all"}', content_type="application/json")
    assert read(renamed) == {**found, "name": "all"}
    bound = new_key(jobs=(job,))
    problem(bound.get(own), 404, "not_found")
    problem(bound.post("/api/campaigns", ordered), 400, "invalid_body")
    assert program.call("DELETE", own).status_code == 204
    problem(program.get(own), 404, "not_found")
    wrong = problem(program.post("/api/campaigns", ordered), 400, "invalid_body")
    assert wrong["errors"][0]["pointer"] == "/recipient_list"


def test_a_list_with_a_line_that_is_no_recipient_or_a_name_that_is_taken_is_not_saved(
    program: Program,
) -> None:
    people = {"name": "all", "recipients": [{"key": "a", "parameters": {"n": 1}}]}
    read(program.post("/api/recipient-lists", people), 201)
    assert "already" in problem(program.post("/api/recipient-lists", people), 409, "refused")["detail"]
    wrong = {"name": "other", "recipients": [{"key": "a"}, {"key": ""}]}
    assert "Line 2" in problem(program.post("/api/recipient-lists", wrong), 409, "refused")["detail"]
    problem(program.post("/api/recipient-lists", {"name": "x", "recipients": []}), 409, "refused")
    problem(program.post("/api/recipient-lists", {"recipients": []}), 400, "invalid_body")
    assert len(read(program.get("/api/recipient-lists"))["results"]) == 1

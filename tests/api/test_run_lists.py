"""runs.api.filters and config.api.paging: lists are newest first, filtered by what is known, and never guess."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.executors import Failed
from runs import lifecycle
from runs.models import Run
from tests.api.conftest import Program, problem, read
from tests.factories import claim_one, make_job, make_run, make_slot

pytestmark = pytest.mark.django_db


def ids(program: Program, query: dict[str, Any] | str = "") -> list[int]:
    answer = program.get(f"/api/runs?{query}") if isinstance(query, str) else program.get("/api/runs", query)
    return [run["id"] for run in read(answer)["results"]]


def pks(runs: Iterable[Run]) -> list[int]:
    return [run.pk for run in runs]


def test_pages_go_there_and_back_without_gaps_or_repeats(program: Program) -> None:
    runs = pks(make_run() for _ in range(7))[::-1]
    first = read(program.get("/api/runs", {"limit": 3}))
    assert [run["id"] for run in first["results"]] == runs[:3]
    assert first["previous"] is None
    second = read(program.get(first["next"]))
    assert [run["id"] for run in second["results"]] == runs[3:6]
    third = read(program.get(second["next"]))
    assert [run["id"] for run in third["results"]] == runs[6:]
    assert third["next"] is None
    back = read(program.get(third["previous"]))
    assert [run["id"] for run in back["results"]] == runs[3:6]
    front = read(program.get(back["previous"]))
    assert [run["id"] for run in front["results"]] == runs[:3]
    assert front["previous"] is None


def test_a_new_run_does_not_shift_the_pages(program: Program) -> None:
    runs = pks(make_run() for _ in range(4))[::-1]
    first = read(program.get("/api/runs", {"limit": 2}))
    make_run()
    assert [run["id"] for run in read(program.get(first["next"]))["results"]] == runs[2:]


def test_the_links_keep_the_filters(program: Program) -> None:
    job = make_job()
    for _ in range(3):
        make_run(job)
        make_run()
    page = read(program.get("/api/runs", {"limit": 2, "job": job.slug}))
    assert len(read(program.get(page["next"]))["results"]) == 1


@pytest.mark.parametrize("limit", ["0", "201", "x", "-1", "1.5", "", "9" * 40])
def test_a_limit_out_of_range_is_a_400(program: Program, limit: str) -> None:
    body = problem(program.get("/api/runs", {"limit": limit}), 400, "invalid_query")
    assert body["errors"][0] == body["errors"][0] | {"in": "query", "pointer": "/limit"}


@pytest.mark.parametrize("cursor", ["x", "n", "n1x", "p-1", "n" + "9" * 19, "\0", "cD0x"])
def test_a_cursor_that_is_none_is_a_400(program: Program, cursor: str) -> None:
    problem(program.get("/api/runs", {"cursor": cursor}), 400, "invalid_query")


def test_the_documents_words_find_our_statuses(program: Program) -> None:
    queued = make_run()
    cancelled = make_run()
    lifecycle.cancel(Run.objects.filter(pk=cancelled.pk), by="ada")
    assert ids(program, {"status": "pending"}) == ids(program, {"status": "queued"}) == [queued.pk]
    assert ids(program, {"status": "canceled"}) == [cancelled.pk]
    assert ids(program, {"status": "canceled,queued"}) == [cancelled.pk, queued.pk]
    assert ids(program, "status=canceled&status=queued") == [cancelled.pk, queued.pk]
    assert ids(program, {"status": "executing"}) == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "lost"}, "/status"),
        ({"status": "queued,"}, "/status"),
        ({"status": ""}, "/status"),
        ({"trigger": "webhook"}, "/trigger"),
        ({"job": "nothing"}, "/job"),
        ({"trigger_id": "x"}, "/trigger_id"),
        ({"trigger_id": "0"}, "/trigger_id"),
        ({"parent": "9" * 30}, "/parent"),
        ({"root": "²"}, "/root"),
        ({"api_key": "hw_7f3a01bc_secret"}, "/api_key"),
        ({"created_after": "yesterday"}, "/created_after"),
        ({"created_after": "2024-01-31"}, "/created_after"),
        ({"created_before": "2024-01-31T00:00:00"}, "/created_before"),
        ({"lane": "bulk"}, "/lane"),
        ({"lane": "fast", "created_after": "2024-01-31T00:00:00Z"}, "/lane"),
        ({"failure_reason": "timeout"}, "/failure_reason"),
        ({"trigger": "campaign"}, "/trigger"),
        ({"search": "a\0b"}, "/search"),
        ({"statsu": "queued"}, "/statsu"),
        ({"metadata": "x"}, "/metadata"),
        ({"format": "json"}, "/format"),
        ({"offset": "5"}, "/offset"),
    ],
)
def test_an_unknown_filter_or_value_is_a_400_that_names_it(
    program: Program, query: dict[str, str], pointer: str
) -> None:
    body = problem(program.get("/api/runs", query), 400, "invalid_query")
    assert body["errors"][0]["pointer"] == pointer


def test_a_filter_without_an_index_says_that_it_needs_a_time_bound(program: Program) -> None:
    run = make_run()
    body = problem(program.get("/api/runs", {"lane": "high"}), 400, "invalid_query")
    assert "created_after" in body["detail"]
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert ids(program, {"lane": "high", "created_after": since}) == [run.pk]
    assert ids(program, {"lane": "bulk", "created_after": since}) == []


def test_by_job_key_trigger_and_kind(program: Program) -> None:
    job, other = make_job(), make_job()
    by_hand = make_run(job)
    remote = read(program.post(f"/api/jobs/{other.slug}/trigger", {}), 202)
    assert ids(program, {"job": job.slug}) == [by_hand.pk]
    assert ids(program, {"job": f"{job.slug},{other.slug}"}) == [remote["id"], by_hand.pk]
    assert ids(program, {"trigger": "remote"}) == [remote["id"]]
    assert ids(program, {"trigger": "manual,remote"}) == [remote["id"], by_hand.pk]
    assert ids(program, {"trigger_id": remote["trigger_id"]}) == [remote["id"]]
    assert ids(program, {"api_key": remote["api_key"]}) == [remote["id"]]
    assert ids(program, {"api_key": remote["api_key"].removeprefix("hw_")}) == [remote["id"]]
    assert ids(program, {"api_key": "hw_00000000"}) == []


def test_by_tag_metadata_and_parameter(program: Program) -> None:
    job = make_job(
        schema={"type": "object", "properties": {"city": {"type": "string"}, "dry": {"type": "boolean"}}}
    )
    one = make_run(
        job, tags=("a", "b"), metadata={"order": 7, "a.b": ""}, parameters={"city": "Gary", "dry": True}
    )
    two = make_run(job, tags=("a",), metadata={"order": 8})
    assert ids(program, {"tag": "a"}) == [two.pk, one.pk]
    assert ids(program, "tag=a&tag=b") == [one.pk]
    assert ids(program, {"metadata.order": "8"}) == [two.pk]
    assert ids(program, {"metadata.a.b": ""}) == [one.pk]
    assert ids(program, {"parameter.city": "Gary", "metadata.order": "7"}) == [one.pk]
    assert ids(program, {"parameter.dry": "true"}) == [one.pk]
    assert ids(program, {"parameter.city": "Gary", "metadata.order": "8"}) == []


def test_by_time(program: Program) -> None:
    before, after = make_run(), make_run()
    at = timezone.now() - timedelta(days=1)
    Run.objects.filter(pk=before.pk).update(created_at=at - timedelta(seconds=1))
    assert ids(program, {"created_after": at.isoformat()}) == [after.pk]
    assert ids(program, {"created_before": at.isoformat().replace("+00:00", "Z")}) == [before.pk]


def test_by_the_reason_of_the_failure(program: Program) -> None:
    run = make_run()
    failed = Failed(reason="timeout", type="Timeout", message="", traceback="")
    lifecycle.settle([(claim_one(make_slot()), failed)])
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert ids(program, {"failure_reason": "timeout", "created_after": since}) == [run.pk]
    assert ids(program, {"failure_reason": "error,broken", "created_after": since}) == []


def test_search_finds_by_id_and_by_name(program: Program) -> None:
    run = make_run()
    make_run()
    assert ids(program, {"search": run.pk}) == [run.pk]
    assert ids(program, {"search": run.name}) == [run.pk]
    assert ids(program, {"search": "no such run"}) == []


def test_by_what_it_is_a_retry_of(program: Program) -> None:
    run = make_run()
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    again = read(program.post(f"/api/runs/{run.pk}/retry"), 202)
    assert ids(program, {"retry_of": run.pk}) == [again["id"]]
    assert ids(program, {"parent": run.pk}) == ids(program, {"root": run.pk}) == []

"""Taking the list of runs home: what the filters find, streamed, newest first, with a cap."""

import csv
import json

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from runs import exports
from runs.models import Run
from tests.factories import make_job, make_run
from tests.runs.endings import ended_run, settle_failed

pytestmark = pytest.mark.django_db


def lines(client: Client, query: str) -> list[str]:
    answer = client.get(f"/runs/export/?{query}")
    assert answer.status_code == 200
    assert isinstance(answer, StreamingHttpResponse)
    assert "attachment" in answer.headers["Content-Disposition"]
    return b"".join(answer.streaming_content).decode().splitlines()


def test_what_the_filters_find_is_written_as_csv(ada: Client) -> None:
    failed = ended_run(make_job(slug="nightly"), settle_failed, tags=["etl", "big"])
    make_run()
    (row,) = csv.DictReader(lines(ada, "status=failed&format=csv"))
    assert (row["id"], row["job"], row["status"], row["tags"]) == (
        str(failed.pk),
        "nightly",
        "failed",
        "etl big",
    )
    assert (row["error_type"], row["error_message"]) == ("ValueError", "no")
    assert float(row["duration_seconds"]) >= 0
    assert row["started_at"].endswith("Z")


def test_no_cell_is_a_formula_for_a_spreadsheet(ada: Client) -> None:
    run = make_run()
    Run.objects.filter(pk=run.pk).update(cause="=1+1")
    (row,) = csv.DictReader(lines(ada, "format=csv"))
    assert row["cause"] == "'=1+1"


def test_it_goes_on_behind_the_last_until_the_cap(monkeypatch: pytest.MonkeyPatch, ada: Client) -> None:
    monkeypatch.setattr(exports, "PORTION", 2)
    made = [make_run().pk for _ in range(5)][::-1]
    assert [json.loads(line)["id"] for line in lines(ada, "format=ndjson")] == made
    assert [json.loads(line)["id"] for line in exports.ndjson(Run.objects.all(), most=3)] == made[:3]


def test_a_format_or_filter_that_is_none_is_said_so(ada: Client, client: Client) -> None:
    for query, told in (
        ("format=xml", "'xml' is not a format: expected one of csv, ndjson"),
        ("since=2y", "'2y'"),
    ):
        answer = ada.get(f"/runs/export/?{query}")
        assert answer.status_code == 400
        assert told in answer.content.decode()
    assert client.get("/runs/export/").status_code == 302

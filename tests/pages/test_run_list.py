"""The page /runs/: columns, filters in the address, paging by id, news."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import pausing
from jobs.executors import Failed, Succeeded
from runs import causes, launch, lifecycle, sweep, urgency
from runs.models import BulkOperation, Run, TriggerKind
from tests.factories import claim_one, make_job, make_run, make_slot
from tests.pages.conftest import Visitor, text, words
from triggers.models import Kind

pytestmark = pytest.mark.django_db
ERROR = Failed(reason="error", type="ValueError", message="no <b>such</b> file", traceback="")


def ids(page: str) -> list[int]:
    """The runs shown, in order."""
    return [int(number) for number in re.findall(r'<tr id="run-(\d+)"', page)]


def age(run: Run, **ago: float) -> None:
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(**ago))


def test_a_row_says_how_a_run_stands_and_why_it_exists(ada: Client) -> None:
    job = make_job(name="Nightly import", tags=["etl"], max_attempts=1)
    key_less = causes.remote(trigger=job.triggers.get(kind=Kind.REMOTE))
    launch.launch(job, cause=key_less)
    lifecycle.settle([(claim_one(make_slot()), ERROR)])
    page = words(ada.get("/runs/"))
    for shown in (
        "failed",
        "Nightly import",
        "Remote",
        "Started from outside by",
        "etl",
        "lane high",
        "waited",
    ):
        assert shown in page
    assert "no <b>such</b> file" in page
    assert "no <b>such</b> file" not in text(ada.get("/runs/"))


@pytest.mark.parametrize("kind", TriggerKind.values)
def test_every_trigger_kind_has_an_icon_a_colour_and_a_word(ada: Client, kind: str) -> None:
    cause = launch.Cause(kind=TriggerKind(kind), sentence="Because")
    run = launch.launch(make_job(), cause=cause).run
    page = text(ada.get("/runs/"))
    assert re.search(rf'<span class="mark {kind}"><svg.*?#{kind}".*?{kind.capitalize()}</span>', page)
    assert ids(text(ada.get(f"/runs/?trigger={kind}"))) == [run.pk]
    others = [other for other in TriggerKind.values if other != kind]
    assert ids(text(ada.get(f"/runs/?trigger={others[0]}"))) == []


def test_the_filters_narrow_by_status_job_time_and_text(ada: Client) -> None:
    queued, other = make_run(), make_run(make_job(name="Second", slug="second"))
    lifecycle.cancel(Run.objects.filter(pk=other.pk), by="ada")
    old = make_run()
    age(old, days=3)

    def shown(query: str) -> list[int]:
        return ids(text(ada.get(f"/runs/?{query}")))

    assert shown("") == [other.pk, queued.pk]
    assert shown("since=7d") == [old.pk, other.pk, queued.pk]
    assert shown("since=all") == [old.pk, other.pk, queued.pk]
    assert shown("status=queued") == [queued.pk]
    assert shown("status=pending") == [queued.pk]
    assert shown("status=queued&status=canceled") == [other.pk, queued.pk]
    assert shown("job=second") == [other.pk]
    assert shown("q=SECON") == [other.pk]
    assert shown(f"q={old.pk}") == [old.pk]
    assert shown(f"q=%23{old.pk}") == [old.pk]
    assert shown(f"q={old.name}") == [old.pk]
    urgency.change(Run.objects.filter(pk=queued.pk), priority=100, by="ada")
    assert shown("lane=bulk") == [queued.pk]
    assert shown("lane=default&since=7d") == []
    day = timezone.localtime(old.created_at - timedelta(days=3))
    assert shown(f"from={day:%Y-%m-%d}T00:00&to={day + timedelta(days=1):%Y-%m-%d}T23:59&since=1h") == [
        old.pk
    ]


def test_the_filters_that_hold_are_chips_that_can_be_taken_off(ada: Client) -> None:
    make_job(slug="second")
    page = text(
        ada.get("/runs/?status=failed&status=queued&job=second&trigger=manual&lane=high&q=x&since=7d")
    )
    chips = dict(re.findall(r'<a class="chip" href="([^"]+)">([^<]+)', page))
    chips = {words_: link.replace("&amp;", "&") for link, words_ in chips.items()}
    assert list(chips) == [
        "failed",
        "queued",
        "job second",
        "started by manual",
        "lane high",
        "“x”",
        "last 7 days",
    ]
    assert chips["failed"] == "?status=queued&job=second&trigger=manual&lane=high&q=x&since=7d"
    assert chips["last 7 days"].endswith("since=all")
    assert 'class="chip" href="?since=all">last 24 hours' in text(ada.get("/runs/"))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=wild", "'wild' is not a status: expected one of scheduled, queued"),
        ("trigger=magic", "'magic' is not a known trigger: expected one of manual"),
        ("lane=slow", "'slow' is not a known lane: expected one of high, default, bulk"),
        ("lane=bulk&since=all", "Runs of the lane bulk have no index: choose a stretch of time."),
        ("since=2y", "'2y' is not a known since: expected one of 15m"),
        ("from=yesterday", "'yesterday' is not a time: expected one such as"),
        ("from=2026-02-31T00:00", "'2026-02-31T00:00' is not a time"),
        ("job=none", "There is no job 'none'."),
        ("after=-1", "'-1' is not a place in the list"),
        ("before=x", "'x' is not a place in the list"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_with_what_was_expected(
    ada: Client, query: str, sentence: str
) -> None:
    make_run()
    response = ada.get(f"/runs/?{query}")
    assert response.status_code == 400
    assert sentence in words(response)


def test_pages_go_by_id_without_gap_or_repeat_in_both_directions(ada: Client) -> None:
    job = make_job()
    made = [make_run(job).pk for _ in range(120)][::-1]

    def follow(page: str, relation: str) -> str:
        link = re.search(rf'rel="{relation}" href="([^"]+)"', page)
        assert link, f"no link to {relation}"
        return text(ada.get("/runs/" + link[1].replace("&amp;", "&")))

    first = text(ada.get("/runs/"))
    second = follow(first, "next")
    third = follow(second, "next")
    assert ids(first) + ids(second) + ids(third) == made
    assert 'rel="next"' not in third
    assert 'rel="prev"' not in first
    assert ids(follow(third, "prev")) == ids(second)
    assert ids(follow(second, "prev")) == ids(first)


def test_a_page_costs_few_queries_and_none_that_counts_or_skips(visitor: Visitor) -> None:
    for number in range(60):
        make_run(make_job(), tags=[f"t{number}"])
    client = visitor("runs.view_run", "runs.cancel_run")
    with CaptureQueriesContext(connection) as queries:
        assert len(ids(text(client.get("/runs/?since=all&after=999999")))) == 50
    assert len(queries) <= 12
    for query in queries:
        assert "OFFSET" not in query["sql"]
        assert "COUNT(" not in query["sql"]
        assert '"parameters"' not in query["sql"], "a list reads no parameters"


def test_nothing_there_and_nothing_found_are_two_texts(ada: Client) -> None:
    assert "No run was launched in the last 24 hours." in words(ada.get("/runs/"))
    page = words(ada.get("/runs/?status=failed"))
    assert "No run matches these filters." in page
    assert "Clear filters" in page


def poll(client: Client, page: str) -> tuple[int, str]:
    """What the poller of `page` gets."""
    address = re.search(r'hx-get="([^"]+)"', page)
    assert address, "the page does not ask again"
    response = client.get(address[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    return response.status_code, text(response)


def test_a_poll_without_news_is_empty(ada: Client) -> None:
    make_run()
    response = text(ada.get("/runs/"))
    assert poll(ada, response) == (204, "")


def test_new_runs_are_announced_and_not_inserted(ada: Client) -> None:
    job = make_job()
    make_run(job)
    page = text(ada.get("/runs/?status=queued"))
    make_run(job)
    make_run(job)
    status, answer = poll(ada, page)
    assert status == 200
    assert "2 new runs – show" in answer
    assert 'href="/runs/?status=queued"' in answer
    assert ids(answer) == []
    assert poll(ada, answer) == (204, "")


def test_an_empty_page_announces_the_first_run(ada: Client) -> None:
    page = text(ada.get("/runs/"))
    make_run()
    assert "1 new run – show" in poll(ada, page)[1]


def test_rows_that_were_open_refresh_until_they_are_final(ada: Client) -> None:
    slot, run = make_slot(), make_run()
    page = text(ada.get("/runs/"))
    claim = claim_one(slot)
    _, answer = poll(ada, page)
    assert f'<tr id="run-{run.pk}" hx-swap-oob="true">' in answer
    assert "running" in answer
    lifecycle.settle([(claim, Succeeded(result={"saved": 3}))])
    _, answer = poll(ada, answer)
    assert "succeeded" in answer
    assert "saved" in answer
    assert f"{run.pk}:" not in answer, "a final row is not asked for again"


def test_an_older_page_is_not_told_of_new_runs(ada: Client) -> None:
    run = make_run()
    page = text(ada.get(f"/runs/?after={run.pk + 1}"))
    make_run()
    assert poll(ada, page) == (204, "")


def test_what_people_and_programs_wrote_is_text_and_no_markup(ada: Client) -> None:
    evil = "<script>alert(1)</script>"
    job = make_job(name=evil, tags=[evil[:60]])
    launch.launch(job, cause=launch.Cause(kind=TriggerKind.EVENT, sentence=evil))
    for path in ("/", "/runs/", f"/runs/?q={evil}", "/jobs/", f"/jobs/{job.slug}/"):
        page = text(ada.get(path))
        assert evil not in page
    assert "&lt;script&gt;" in page


def test_selected_runs_are_acted_on_in_the_background_without_any_script(ada: Client) -> None:
    chosen, left = [make_run(), make_run()], make_run()
    page = text(ada.get("/runs/"))
    assert len(re.findall(r'<input type="checkbox" name="run" value="\d+"', page)) == 3
    answer = ada.post("/operations/new/", {"act": "cancel", "run": [run.pk for run in chosen]}, follow=True)
    assert f"#{chosen[0].pk}, #{chosen[1].pk}" in words(answer)
    assert sweep.run(sweep.database_now())
    assert set(Run.objects.filter(status="cancelled")) == set(chosen)
    ada.post("/operations/new/", {"act": "priority", "run": [left.pk], "priority": "70"})
    assert BulkOperation.objects.latest("pk").priority == 70


@pytest.mark.parametrize(
    ("given", "told"), [([], "No run was selected"), (["1; DROP"], "is not the id of a run")]
)
def test_nothing_selected_or_nonsense_does_nothing(ada: Client, given: list[str], told: str) -> None:
    make_run()
    answer = ada.post("/operations/new/", {"act": "cancel", "run": given, "next": "/runs/"}, follow=True)
    assert told in words(answer)
    assert not BulkOperation.objects.exists()


def test_who_may_only_look_selects_nothing(reader: Client) -> None:
    run = make_run()
    assert 'name="run"' not in text(reader.get("/runs/"))
    assert reader.post("/operations/new/", {"act": "cancel", "run": [run.pk]}).status_code == 403


def test_a_run_that_does_not_run_says_why(ada: Client) -> None:
    paused = make_job()
    make_run(paused)
    pausing.pause(paused, by="eve", reason="maintenance")
    page = words(ada.get("/runs/"))
    assert "The job is paused by eve (maintenance)." in page

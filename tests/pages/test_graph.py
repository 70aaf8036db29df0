"""The page /graph/: the picture, the same in words, and what would follow."""

import re
from datetime import time, timedelta
from itertools import pairwise

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from runs import followers
from runs.models import Run
from runs.views import graph_page, layered
from tests.factories import make_dependency, make_job, make_schedule
from tests.pages.conftest import Visitor, words
from tests.runs.endings import ended_run, settle_failed
from triggers import graph, requirements
from triggers.models import Occurrence, Trigger

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> list[Job]:
    ingest, clean, report, alert = (
        make_job(slug=s, name=s.title()) for s in ("ingest", "clean", "report", "alert")
    )
    make_dependency(ingest, job=clean)
    make_dependency(clean, job=report, delay_minutes=5)
    make_dependency(ingest, job=alert, condition="on_failure")
    make_job(slug="alone", name="Alone")
    return [ingest, clean, report, alert]


def test_the_picture_has_a_box_for_each_job_and_words_on_each_arrow(ada: Client, chain: list[Job]) -> None:
    ended_run(chain[0])
    page = words(ada.get("/graph/"))
    boxes = re.findall(r'<a href="/jobs/([a-z]+)/" class="node" aria-label="([^"]+)"', page)
    assert boxes == [
        ("ingest", "Ingest, succeeded"),
        ("clean", "Clean"),
        ("alert", "Alert"),
        ("report", "Report"),
    ]
    arrows = re.findall(r'<text class="words"[^>]*>([^<]+)</text>', page)
    assert arrows == ["success", "success +5 min", "failure"]
    assert "Alone" not in page


def test_the_table_says_the_same(ada: Client, chain: list[Job]) -> None:
    page = words(ada.get("/graph/"))
    rows = re.findall(r'<a class="name" href="/jobs/([a-z]+)/".*?class="wide">([^<]*)<', page)
    assert rows == [
        ("ingest", "–"),
        ("clean", "ingest (success)"),
        ("alert", "ingest (failure)"),
        ("report", "clean (success +5 min)"),
    ]


def test_it_tells_what_would_follow_and_why_the_rest_would_not(ada: Client, chain: list[Job]) -> None:
    Job.objects.filter(slug="alert").update(status="paused", paused_reason="repairs")
    page = words(ada.get("/graph/?job=ingest"))
    assert "If a run of Ingest failed now" in page
    assert "Its condition is on_success, and the upstream run failed." in page
    assert "It would be skipped: The job 'alert' was paused: repairs." in page
    page = words(ada.get("/graph/?job=ingest&ended=succeeded"))
    assert "Clean</a> would start at once" in page
    assert re.search(r"Report</a> would start <time", words(ada.get("/graph/?job=clean&ended=succeeded")))
    assert "Nothing follows it." in words(ada.get("/graph/?job=alone"))


def test_a_schedule_that_needs_a_job_is_told_with_its_time(ada: Client, chain: list[Job]) -> None:
    trigger = make_schedule(
        make_job(slug="mail", name="Mail"), cron="30 8 * * *", timezone="Europe/Berlin", name="Mails",
        since="window", window_minutes=24 * 60 + 120, wait_until=time(10),
    )  # fmt: skip
    requirements.save(trigger, upstreams=[chain[0]])
    page = words(ada.get("/graph/?job=ingest&ended=succeeded"))
    assert re.search(
        r"Mail</a> would start <time[^>]*>[^<]*</time>, at its slot of \w+ \S+ 08:30 CES?T", page
    )
    assert (
        "timed, needs success: Daily at 8:30 AM, Europe/Berlin; waits until 10:00, then skips the slot"
        in page
    )
    assert "Mail</a> would not start: Its condition is on_success" in words(ada.get("/graph/?job=ingest"))
    slot = timezone.now().replace(second=0, microsecond=0)
    Occurrence.objects.create(
        trigger=trigger, slot=slot, outcome="waiting", until=slot + timedelta(hours=1), reason="It waits."
    )
    page = words(ada.get("/graph/?job=ingest&ended=succeeded"))
    assert "Mail</a> would start at once, for its slot of" in page
    Trigger.objects.filter(pk=trigger.pk).update(window_minutes=1)
    Occurrence.objects.all().delete()
    page = words(ada.get("/graph/?job=ingest&ended=succeeded"))
    assert "Mail</a> would not start: For its next slot" in page


def test_what_follows_all_of_several_names_the_others(ada: Client, chain: list[Job]) -> None:
    make_dependency(chain[0], chain[1], job=make_job(name="Both"), needs="all")
    page = words(ada.get("/graph/?job=ingest&ended=succeeded"))
    assert "Both</a> would start at once, if clean ended so too (on success)" in page


def test_the_runs_of_one_chain_stand_in_their_boxes(ada: Client, chain: list[Job]) -> None:
    root = ended_run(chain[0], settle_failed)
    followers.follow(root.pk)
    ended_run(chain[0])
    alert = Run.objects.get(parent=root)
    page = words(ada.get(f"/graph/?run={alert.pk}"))
    assert f'<a href="/runs/{root.pk}/" class="node" aria-label="Ingest, failed"' in page
    assert f'<a href="/runs/{alert.pk}/" class="node chosen" aria-label="Alert, queued"' in page


def test_the_page_of_a_run_says_what_it_did_not_start_and_why(ada: Client, chain: list[Job]) -> None:
    root = ended_run(chain[0])
    followers.follow(root.pk)
    clean = Run.objects.get(parent=root)
    page = words(ada.get(f"/runs/{root.pk}/"))
    assert f'Led to <a href="/runs/{clean.pk}/">#{clean.pk} Clean</a>' in page
    assert "Alert was not started: Its condition is on_failure, and the upstream run succeeded." in page
    page = words(ada.get(f"/runs/{clean.pk}/"))
    assert f"After ingest #{root.pk} succeeded." in page
    assert f'href="/graph/?run={clean.pk}"' in page


def test_the_page_of_a_job_says_what_it_follows_and_what_follows_it(ada: Client, chain: list[Job]) -> None:
    page = words(ada.get("/jobs/clean/"))
    assert "starts it after ingest, on success" in page
    assert "Report</a> comes after clean, on success, 5 minutes later" in page
    assert "Dependencies" not in words(ada.get("/jobs/alone/"))


def test_an_empty_graph_and_names_that_are_none(ada: Client) -> None:
    assert "No job follows another yet" in words(ada.get("/graph/"))
    assert ada.get("/graph/?job=nothing").status_code == 404
    assert ada.get("/graph/?run=nothing").status_code == 404
    assert ada.get("/graph/?ended=never").status_code == 200


def test_a_graph_too_large_for_one_picture_is_shown_around_a_job(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_page, "MOST_NODES", 5)
    jobs = [make_job(slug=f"step-{number}") for number in range(8)]
    for before, after in pairwise(jobs):
        make_dependency(before, job=after)
    assert "too many for one picture" in words(ada.get("/graph/"))
    page = words(ada.get("/graph/?job=step-4"))
    boxes = re.findall(r'<a href="/jobs/([a-z0-9-]+)/" class="node', page)
    assert boxes == ["step-2", "step-3", "step-4", "step-5", "step-6"]


def test_the_number_of_queries_does_not_grow(
    ada: Client, chain: list[Job], django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        ada.get("/graph/")


def test_strangers_see_nothing(visitor: Visitor, chain: list[Job]) -> None:
    assert Client().get("/graph/").status_code == 302
    assert visitor().get("/graph/").status_code == 403


def test_boxes_stand_behind_what_they_follow_and_never_on_each_other() -> None:
    edges = [(1, 2), (2, 3), (1, 3), (1, 4), (4, 3), (3, 5), (1, 5), (6, 5)]
    drawing = layered.place(graph.followers(edges))
    corners = drawing.corners
    assert all(corners[before].x + layered.WIDTH < corners[after].x for before, after in edges)
    assert len({(point.x, point.y) for point in corners.values()}) == 6
    assert max(point.x for point in corners.values()) + layered.WIDTH < drawing.width
    assert max(point.y for point in corners.values()) + layered.HEIGHT < drawing.height


def test_a_long_arrow_passes_between_the_boxes() -> None:
    drawing = layered.place(graph.followers([(1, 2), (2, 3), (1, 3)]))
    stops = drawing.routes[1, 3][1:-1]
    middle = drawing.corners[2]
    assert len(stops) == 2
    assert not middle.y <= stops[0].y <= middle.y + layered.HEIGHT
    assert layered.path(drawing.routes[1, 2]).startswith("M196 ")


def test_crossings_that_can_be_avoided_are() -> None:
    drawing = layered.place(graph.followers([(1, 4), (2, 3), (1, 5)]))
    assert drawing.corners[3].y > max(drawing.corners[4].y, drawing.corners[5].y)

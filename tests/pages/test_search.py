"""The search box of /runs/, which stands on every page: plain words, and `name:value`."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from runs import causes, launch, orders, tending
from runs.models import Run
from tests.factories import make_job, make_owner, make_run
from tests.pages.conftest import text, words
from tests.pages.test_run_list import ids
from tests.runs.endings import ended_run, settle_failed
from triggers import keys
from triggers.models import Kind

pytestmark = pytest.mark.django_db
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


def by_key() -> tuple[Run, str]:
    """A run that an API key launched, and the key's public part."""
    job, (key, _) = make_job(), keys.issue(name="ci", owner=make_owner())
    cause = causes.remote(trigger=job.triggers.get(kind=Kind.REMOTE), api_key=key)
    return launch.launch(job, cause=cause).run, key.public_id


def of_campaign() -> Run:
    made = orders.order(orders.Order(job=make_job(), name="spring"), [(1, {"key": "a"})]).campaign
    tending.at_once(made)
    return Run.objects.get(campaign=made)


def old() -> Run:
    run = make_run(make_job(slug="archive"))
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(days=3))
    return run


@pytest.mark.parametrize(
    ("make", "typed"),
    [
        (lambda: make_run(make_job(slug="nightly")), "job:nightly"),
        (lambda: make_run(make_job(slug="nightly")), "job:nightly status:queued,running trigger:manual"),
        (lambda: make_run(tags=["big sale"]), 'tag:"big sale"'),
        (lambda: make_run(make_job(schema=CITY), parameters={"city": "Berlin"}), "param.city:Berlin"),
        (lambda: make_run(metadata={"Order": 4711}), "metadata.Order:4711"),
        (lambda: ended_run(make_job(), settle_failed), "status:failed"),
        (lambda: ended_run(make_job(), settle_failed), "error:ValueError"),
        (lambda: ended_run(make_job(), settle_failed), "error:no since:1h"),
        (old, "job:archive since:1w"),
        (of_campaign, "trigger:campaign"),
        (lambda: make_run(make_job(name="Import of maps")), "since:2h of maps"),
    ],
)
def test_a_qualifier_narrows_the_list(ada: Client, make: Callable[[], Run], typed: str) -> None:
    run = make()
    make_run()
    assert ids(text(ada.get("/runs/", {"q": typed}))) == [run.pk]


def test_a_key_is_found_by_its_beginning_with_and_without_a_qualifier(ada: Client) -> None:
    make_run()
    run, public = by_key()
    for typed in (f"hw_{public}", f"hw_{public[:6]}", f"key:{public[:6]}"):
        assert ids(text(ada.get("/runs/", {"q": typed}))) == [run.pk]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("colour:red", "'colour' is not known to the search: expected one of job:, status:, trigger:, tag:,"),
        ("job:none", "There is no job 'none'."),
        ("status:wild", "'wild' is not a status: expected one of"),
        ("trigger:magic", "'magic' is not a known trigger: expected one of manual"),
        ("campaign:spring", "'spring' is not the id of a campaign"),
        ("since:2y", "'2y' is not a stretch of time: expected one such as 30m"),
    ],
)
def test_what_is_not_known_is_said_with_what_would_do(ada: Client, typed: str, told: str) -> None:
    make_run()
    answer = ada.get("/runs/", {"q": typed})
    assert answer.status_code == 400
    assert told in words(answer)
    assert ids(text(answer)) == []


def test_errors_are_searched_in_a_stretch_of_time_only(ada: Client) -> None:
    ended_run(make_job(), settle_failed)
    answer = ada.get("/runs/?since=all&q=error:ValueError")
    assert answer.status_code == 400
    assert "'error:' has no index: choose a stretch of time" in words(answer)


def test_each_qualifier_is_a_chip_that_can_be_taken_away(ada: Client) -> None:
    make_run(make_job(slug="nightly"))
    page = text(ada.get("/runs/", {"q": "job:nightly status:queued"}))
    assert 'class="chip" href="?q=status%3Aqueued"' in page
    assert 'class="chip" href="?q=job%3Anightly"' in page

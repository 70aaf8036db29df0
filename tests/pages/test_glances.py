"""runs.views.glances: a poll that finds nothing new costs one query, and is looked at whenever something may have
changed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import LogChunk, Run
from runs.views import glances
from tests.factories import make_run, make_user
from tests.pages.test_run_list import poll

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    """Somebody who reads the page of a run that waits."""
    client.force_login(make_user(username="reader", is_superuser=True))
    return client


def opened(reader: Client) -> tuple[Run, str]:
    """The run, so old that its bar does not grow meanwhile, and its page, whose first poll found nothing new."""
    run = make_run()
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(hours=1))
    page = reader.get(f"/runs/{run.pk}/").content.decode()
    assert poll(reader, page) == (204, "")
    return run, page


def cost(reader: Client, page: str) -> tuple[int, int]:
    """How a poll is answered, and how many queries of Django's it takes."""
    with CaptureQueriesContext(connection) as queries:
        status, _ = poll(reader, page)
    return status, len(queries)


def test_a_poll_that_finds_nothing_new_again_looks_nothing_up(reader: Client) -> None:
    _, page = opened(reader)
    assert cost(reader, page) == (204, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: Run.objects.filter(pk=run.pk).update(progress={"done": 1}),
        lambda run: LogChunk.objects.create(
            run=run, attempt=1, first_seq=1, last_seq=1, size=1, lines=[[0, "info", "x"]]
        ),
    ],
    ids=["row", "log"],
)
def test_what_changes_is_seen_at_once(reader: Client, change: Callable[[Run], object]) -> None:
    run, page = opened(reader)
    change(run)
    assert poll(reader, page)[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda: User.objects.filter(username="reader").update(is_active=False),
        lambda: User.objects.filter(username="reader").delete(),
        lambda: Session.objects.all().delete(),
        lambda: Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1)),
    ],
    ids=["inactive", "deleted", "logged out", "expired"],
)
def test_who_may_not_read_any_more_is_told_nothing(reader: Client, change: Callable[[], object]) -> None:
    _, page = opened(reader)
    change()
    status, answer = poll(reader, page)
    assert (status, answer) == (200, "")


def test_a_right_that_is_taken_away_is_seen_at_once(reader: Client) -> None:
    _, page = opened(reader)
    User.objects.update(is_superuser=False)
    assert poll(reader, page)[0] == 403


def test_another_session_is_known_by_nothing(reader: Client) -> None:
    _, page = opened(reader)
    assert poll(Client(), page) == (200, "")


def test_after_some_seconds_everything_is_looked_at(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "SECONDS", 0.0)
    _, page = opened(reader)
    status, queries = cost(reader, page)
    assert status == 204
    assert queries > 0

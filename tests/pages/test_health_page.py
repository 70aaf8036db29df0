"""The page /health/: what the site lacks, with what to do about it."""

import pytest
from django.test import Client

from tests.pages.conftest import Visitor, words

pytestmark = pytest.mark.django_db


def test_it_says_what_is_missing_and_the_command_that_helps(reader: Client) -> None:
    page = words(reader.get("/health/"))
    assert " checks failed.</strong>" in page
    assert "No live worker takes the lane high." in page
    assert "Start it: <code>celery -A config beat</code>." in page
    assert "PostgreSQL 18" in page


def test_it_is_for_those_who_may_see_runs(visitor: Visitor, client: Client) -> None:
    assert visitor().get("/health/").status_code == 403
    assert "login" in client.get("/health/")["Location"]

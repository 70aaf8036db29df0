"""The page /sources/."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from runs.models import Heartbeat
from tests.factories import make_source
from tests.pages.conftest import Visitor, words
from triggers.models import Source

pytestmark = pytest.mark.django_db


def test_it_says_what_is_watched_and_how_that_goes(
    ada: Client, visitor: Visitor, tmp_path: Path, settings: Settings
) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    assert "No sources yet." in words(ada.get("/sources/"))
    for name in ("drop", "away", "off"):
        make_source(name=name, options={"path": str(tmp_path)}, enabled=name != "off")
    Source.objects.filter(name="away").update(
        failing_since=timezone.now() - timedelta(hours=1), last_error="The folder is not there.", failures=3
    )
    page = words(ada.get("/sources/"))
    for part in ("No poller lives", "The folder is not there.", "failing", "not yet", str(tmp_path), ">off<"):
        assert part in page
    Heartbeat.objects.create(name="poller:1", at=timezone.now(), detail={})
    with CaptureQueriesContext(connection) as queries:
        assert "No poller lives" not in words(ada.get("/sources/"))
    assert len(queries) <= 6
    assert "/sources/" in words(ada.get("/deliveries/"))
    assert visitor("runs.view_run").get("/sources/").status_code == 403

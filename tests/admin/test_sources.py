"""The admin of sources: a form for each kind, a trial, and what is said of triggers that are polled."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_job, make_source
from triggers.models import Delivery, Secret, Source, Trigger

ADD, CHANGE = "triggers_source_add", "triggers_source_change"
pytestmark = pytest.mark.django_db


@pytest.fixture
def options(tmp_path: Path, settings: Settings) -> dict[str, Any]:
    """Of a folder that may be watched."""
    settings.WATCH_ROOTS = [str(tmp_path)]
    return {"path": str(tmp_path), "settle_seconds": 0}


def test_a_source_is_set_up_from_nothing(boss: Client, options: dict[str, Any]) -> None:
    url = address("triggers_eventtrigger_add")
    boss.post(url, form_of(boss, url) | {"job": make_job().pk, "name": "arrivals", "scheme": "poll"})
    trigger = Trigger.objects.get(kind="event")
    assert Secret.objects.count() == 0
    page = boss.get(address("triggers_eventtrigger_change", trigger.pk))
    assert "What is polled for it" in text_of(page)
    assert "Watched folder" in text_of(boss.get(address(ADD)))
    add = f"{address(ADD)}?kind=folder&trigger={trigger.pk}"
    sent = form_of(boss, add)
    assert sent["option_settle_seconds"] in (5, "5")
    told = text_of(boss.post(add, sent | {"name": "drop", "option_path": "/etc", "option_pattern": "a//b"}))
    assert "not inside HEADWAY_WATCH_ROOTS" in told
    assert "is no pattern" in told
    assert boss.post(add, sent | {"name": "drop", "option_path": options["path"]}).status_code == 302
    source = Source.objects.get()
    assert (source.trigger, source.kind, source.options["path"]) == (trigger, "folder", options["path"])
    assert "drop" in text_of(boss.get(address("triggers_eventtrigger_change", trigger.pk)))


def test_saving_it_as_it_is_changes_nothing_and_a_trial_takes_nothing(
    boss: Client, options: dict[str, Any]
) -> None:
    source = make_source(options=options, name="drop")
    url = address(CHANGE, source.pk)
    assert boss.post(url, form_of(boss, url) | {"interval_seconds": 7}).status_code == 302
    source.refresh_from_db()
    assert (source.interval_seconds, source.whole_options["settle_seconds"]) == (7, 0)
    told = text_of(boss.post(address("triggers_source_try_out", source.pk)))
    assert "Nothing that was not taken before is there." in told
    (Path(options["path"]) / "a.csv").touch()
    told = text_of(boss.post(address("triggers_source_try_out", source.pk)))
    assert "1 would be found" in told
    assert "a.csv" in told
    assert Delivery.objects.count() == 0
    Path(options["path"], "a.csv").unlink()
    Path(options["path"]).rmdir()
    page = boss.post(address("triggers_source_try_out", source.pk), follow=True)
    assert "is not there" in text_of(page)
    told = text_of(boss.post(address("triggers_source_poll", source.pk), follow=True))
    assert "is looked at now" in told
    assert "drop" in text_of(boss.get(address("triggers_source_changelist")))


def test_who_may_only_look_changes_and_tries_nothing(login: Login, options: dict[str, Any]) -> None:
    source = make_source(options=options, name="drop")
    reader = login("triggers.view_source")
    assert options["path"] in text_of(reader.get(address(CHANGE, source.pk)))
    assert reader.post(address("triggers_source_try_out", source.pk)).status_code == 403
    assert reader.get(address(ADD)).status_code == 403

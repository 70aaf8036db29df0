"""/schedules/preview/: a schedule that nobody saved, shown as it would fire."""

from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.factories import make_dependency, make_job, make_schedule
from tests.pages.conftest import text, words
from triggers import pausing
from triggers.models import Calendar, Trigger

pytestmark = pytest.mark.django_db

PAGE = "/schedules/preview/"
ASKED = {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "count": "3"}


@pytest.fixture(autouse=True)
def march(time_machine: time_machine.TimeMachineFixture) -> None:
    time_machine.move_to("2026-03-27T12:00:00Z", tick=False)


def test_it_shows_a_sentence_slots_on_the_clocks_and_warnings_and_saves_nothing(reader: Client) -> None:
    page = words(reader.get(PAGE, ASKED))
    assert "Daily at 2:30 AM" in page
    assert "Sat 2026-03-28 02:30 CET" in page
    assert "Sat 2026-03-28 01:30" in page
    assert "for 2:30 AM, skipped by the clock" in page
    assert "the clocks of Europe/Berlin go forward from 2:00 AM to 3:00 AM" in page
    assert "after downtime it runs once for all slots missed" in page.lower()
    assert not Trigger.objects.schedules().exists()


def test_it_takes_all_that_a_schedule_can_be_told(reader: Client) -> None:
    make_job(slug="load")
    Calendar.objects.create(name="Week", closed="Sat\nSun")
    asked = ASKED | {
        "starts_at": "2026-03-28T12:00",
        "ends_at": "2026-03-31T12:00",
        "jitter_seconds": "90",
        "overlap": "queue",
        "misfire": "run_each",
        "misfire_limit": "7",
        "misfire_deadline_seconds": "3600",
        "calendars": "Week",
        "upstream": "load",
        "wait_until": "10:00",
        "otherwise": "skip",
        "count": "50",
    }
    page = words(reader.get(PAGE, asked))
    assert "2026-03-28 02:30" not in page
    assert "2026-03-29 03:00 CEST" in page
    assert "skipped: blackout Week (Sun)" in page
    assert "2026-03-31 02:30" in page
    assert "2026-04-01" not in page
    assert "only if load succeeded the same day; waits until 10:00, then skips the slot" in page
    for told in ("each missed slot runs, up to 7", "none that is later than 1 h", "spread over 1 min 30 s"):
        assert told in page
    assert "never where Week is closed" in page


def test_it_says_what_would_change_of_a_saved_schedule_and_starts_with_that(reader: Client) -> None:
    saved = make_schedule(cron="0 2 * * *", timezone="Europe/Berlin", jitter_seconds=60)
    first = words(reader.get(PAGE, {"trigger": str(saved.pk)}))
    assert ">0 2 * * *</textarea>" in first
    assert "That is how it is saved." in first
    page = words(
        reader.get(PAGE, {**ASKED, "trigger": str(saved.pk), "overlap": "allow", "jitter_seconds": "0"})
    )
    assert "the next run moves from 2026-03-28 02:00 CET to 2026-03-28 02:30 CET" in page
    assert "Its overlap policy would change from 'skip' to 'allow'." in page
    assert "Its jitter in seconds would change from 60 to 0." in page
    saved.refresh_from_db()
    assert saved.cron == "0 2 * * *"


def test_an_emptied_field_takes_the_saved_end_away(reader: Client) -> None:
    saved = make_schedule(cron="0 2 * * *", timezone="Europe/Berlin", ends_at="2026-03-28T12:00Z")
    assert (
        "2026-03-29"
        not in words(reader.get(PAGE, {"trigger": str(saved.pk), "count": "9"})).partition("</form>")[0]
    )
    page = words(
        reader.get(
            PAGE, {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "trigger": str(saved.pk), "ends_at": ""}
        )
    )
    assert "2026-03-29 03:00 CEST" in page


def test_what_a_pause_holds_back_is_said(reader: Client) -> None:
    saved = make_schedule(cron="0 2 * * *")
    pausing.pause(saved, by="ada", reason="stocktaking")
    assert "skipped: paused by ada: stocktaking" in words(reader.get(PAGE, {"trigger": str(saved.pk)}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cron": "61 * * * *"}, "61"),
        ({"cron": "0 2 30 2 *"}, "never"),
        ({"timezone": "Mars/Phobos"}, "Mars/Phobos"),
        ({"count": "0"}, "Count:"),
        ({"count": "many"}, "many"),
        ({"starts_at": "soon"}, "soon"),
        ({"starts_at": "2400-01-01T00:00", "ends_at": "2300-01-01T00:00"}, "is not after the start"),
        ({"starts_at": "8000-01-01T00:00"}, "Starts at:"),
        ({"jitter_seconds": "-1"}, "-1"),
        ({"jitter_seconds": "9" * 40}, "Jitter seconds:"),
        ({"overlap": "maybe"}, "maybe"),
        ({"calendars": "Year"}, "There is no calendar"),
        ({"upstream": "nowhere"}, "There is no job"),
        ({"job": "nothing"}, "There is no job"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_the_name_of_its_field(
    reader: Client, wrong: dict[str, Any], said: str
) -> None:
    answer = reader.get(PAGE, ASKED | wrong)
    assert answer.status_code == 400
    assert said in words(answer).partition('role="alert"')[2].partition("</div>")[0]


def test_a_text_that_no_database_holds_is_refused_as_everywhere(reader: Client) -> None:
    for name in ("cron", "timezone", "upstream", "calendars", "trigger"):
        assert reader.get(PAGE, ASKED | {name: "a\0b"}).status_code in (400, 404)


def test_a_job_that_would_come_after_itself_is_refused(reader: Client) -> None:
    load, report = make_job(slug="load"), make_job(slug="report")
    make_dependency(load, job=report)
    page = words(reader.get(PAGE, ASKED | {"job": "load", "upstream": "report"}))
    assert "'load' can't need 'report', which comes after it." in page


def test_the_form_is_there_before_anything_is_asked_and_an_unknown_schedule_is_a_404(reader: Client) -> None:
    page = text(reader.get(PAGE))
    assert "<textarea" in page
    assert "preview-title" not in page
    for number in ("7", "x", "9" * 30):
        assert reader.get(PAGE, {"trigger": number}).status_code == 404


def test_it_is_found_from_the_list_and_from_a_schedule(ada: Client) -> None:
    saved = make_schedule()
    assert f'href="{PAGE}"' in text(ada.get("/schedules/"))
    assert f'href="{PAGE}?trigger={saved.pk}"' in text(ada.get(f"/schedules/{saved.pk}/"))

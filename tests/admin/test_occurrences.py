"""The admin of the ledger: what became of each slot, to look at, run after all, or dismiss."""

from datetime import UTC, datetime, timedelta

from django.test import Client
from django.utils import timezone

from tests.admin.conftest import Login
from tests.admin.pages import address, text_of
from tests.factories import make_job, make_schedule
from triggers.models import Occurrence, Trigger

LIST = "triggers_occurrence_changelist"


def make_missed(*, count: int = 1, trigger: Trigger | None = None) -> list[Occurrence]:
    """Slots of an hourly schedule in Berlin that nothing fired."""
    trigger = trigger or make_schedule(make_job(slug="report"), cron="0 * * * *", timezone="Europe/Berlin")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    slots = [hour - timedelta(hours=number) for number in range(1, count + 1)]
    return [
        Occurrence.objects.create(trigger=trigger, slot=slot, outcome="missed", reason="Down.")
        for slot in slots
    ]


def test_the_ledger_is_read_by_verdict_job_and_clock(boss: Client) -> None:
    (missed,) = make_missed()
    day = datetime(2026, 7, 1, 6, tzinfo=UTC)
    Occurrence.objects.create(trigger=missed.trigger, slot=day, outcome="fired", run_id=7)
    Occurrence.objects.create(trigger=make_schedule(), slot=day, outcome="skipped")
    page = text_of(boss.get(address(LIST)))
    assert "2026-07-01 08:00 CEST" in page
    assert "#7" in page
    only = text_of(boss.get(address(LIST), {"outcome__exact": "missed", "q": "report"}))
    assert "Down." in only
    assert "2026-07-01" not in only
    assert "Down." not in text_of(boss.get(address(LIST), {"q": "other"}))


def test_missed_slots_are_run_or_dismissed_singly_and_together(boss: Client) -> None:
    one, other, third = make_missed(count=3)
    page = boss.post(address("triggers_occurrence_run_after_all", one.pk), follow=True)
    assert "is in line to be run" in text_of(page)
    boss.post(address("triggers_occurrence_dismiss", other.pk))
    for entry in (one, other):
        entry.refresh_from_db()
    assert (one.outcome, one.by, other.outcome) == ("due", "ada", "dismissed")
    again = boss.post(address("triggers_occurrence_dismiss", other.pk), follow=True)
    assert "only a missed slot can be dismissed" in text_of(again)
    for act, outcome in (("dismiss_selected", "dismissed"), ("run_selected", "due")):
        boss.post(address(LIST), {"action": act, "_selected_action": [third.pk, other.pk]})
        third.refresh_from_db()
        assert third.outcome == outcome


def test_nobody_changes_it_and_who_may_only_look_decides_nothing(boss: Client, login: Login) -> None:
    (entry,) = make_missed()
    assert boss.post(address("triggers_occurrence_change", entry.pk), {}).status_code == 403
    assert boss.get(address("triggers_occurrence_add")).status_code == 403
    looker = login("triggers.view_occurrence")
    assert "Down." in text_of(looker.get(address(LIST)))
    assert looker.post(address("triggers_occurrence_run_after_all", entry.pk)).status_code == 403


def test_the_list_counts_nothing_and_pages_by_id(boss: Client) -> None:
    make_missed(count=101)
    page = boss.get(address(LIST))
    assert "on this page" in page.content.decode()
    assert "?before=" in page.content.decode()

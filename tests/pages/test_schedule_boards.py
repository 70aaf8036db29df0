"""The page /schedules/: its filters and pages, the timeline and the load, and what is done to many at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import Run
from runs.views import schedule_list
from tests.factories import make_job, make_run, make_schedule
from tests.pages.conftest import Visitor, text, words
from triggers import backlog, load
from triggers.models import Calendar, Occurrence, Trigger

pytestmark = pytest.mark.django_db

NOW = timezone.now()
CHANGE, FIRE = "triggers.change_trigger", "triggers.fire_trigger"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """`NOW` is the minute in which the test begins, and not that in which this file was read."""
    monkeypatch.setitem(globals(), "NOW", timezone.now().replace(second=0, microsecond=0))


def planned(minutes: int, **fields: Any) -> Trigger:
    """A schedule whose next slot lies so many minutes ahead, as if beat had planned it."""
    trigger = make_schedule(**fields)
    at = NOW + timedelta(minutes=minutes)
    Trigger.objects.filter(pk=trigger.pk).update(next_run_at=at, next_slot=at)
    return trigger


def missed(trigger: Trigger, *hours: int) -> None:
    """Slots of so many hours ago that nobody decided about."""
    for before in hours:
        Occurrence.objects.create(
            trigger=trigger,
            slot=NOW - timedelta(hours=before),
            outcome="missed",
            reason=f"{backlog.UNFIRED} 'skip': down",
        )


def shown(client: Client, query: str = "") -> list[str]:
    """The names of the schedules that the list shows, in its order."""
    return re.findall(r'<a href="/schedules/\d+/">([\w -]+)</a>', text(client.get(f"/schedules/{query}")))


def test_each_filter_leaves_those_that_fit(ada: Client) -> None:
    planned(30, name="soon", cron="5 4 * * *")
    planned(3000, name="later", timezone="Asia/Tokyo")
    make_schedule(name="off", enabled=False)
    paused = planned(40, name="paused", job=make_job(slug="stock"))
    Trigger.objects.filter(pk=paused.pk).update(paused_at=NOW - timedelta(hours=1), next_run_at=NOW)
    missed(paused, 1)
    for query, names in {
        "": {"soon", "later", "off", "paused"},
        "?within=1h": {"soon"},
        "?zone=Asia/Tokyo": {"later"},
        "?state=off": {"off"},
        "?state=paused": {"paused"},
        "?missed=yes": {"paused"},
        "?cron=5 4": {"soon"},
        "?job=stock": {"paused"},
        "?q=lat&state=on": {"later"},
    }.items():
        assert set(shown(ada, query)) == names, query


def test_a_filter_that_cannot_be_read_is_named_and_shows_nothing(ada: Client) -> None:
    make_schedule(name="nightly")
    page = words(ada.get("/schedules/?zone=Mars/Base&within=2y&state=odd&view=pie"))
    assert "'Mars/Base' is not a known time zone." in page
    assert "'2y' is not a known within: expected one of 1h, 6h, 24h, 7d." in page
    assert "'odd' is not a known state" in page
    assert "'pie' is not a known view" in page
    assert "nightly" not in page


def test_pages_follow_each_other_without_a_gap_whatever_fires_meanwhile(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_list, "PAGE_SIZE", 2)
    first = planned(1, name="a")
    for number, name in enumerate("bcd"):
        planned(number + 2, name=name)
    make_schedule(name="new")
    for name in ("off-1", "off-2"):
        make_schedule(name=name, enabled=False)
    found, query = [], ""
    for _ in range(5):
        found += shown(ada, query)
        more = re.search(r'rel="next" href="([^"]+)"', text(ada.get(f"/schedules/{query}")))
        Trigger.objects.filter(pk=first.pk).update(next_run_at=NOW + timedelta(days=1))
        if more is None:
            break
        query = more[1].replace("&amp;", "&")
    assert [name for name in found if name != "a"] == ["b", "c", "d", "new", "off-1", "off-2"]
    assert shown(ada, "?after=nonsense_1")[:1] == ["b"]


def test_the_strip_shows_sixty_slots_and_the_lateness_of_those_that_fired(ada: Client) -> None:
    trigger = make_schedule(make_job())
    for number in range(70):
        slot = NOW - timedelta(hours=number)
        Occurrence.objects.create(
            trigger=trigger,
            slot=slot,
            outcome="fired" if number % 10 else "missed",
            run_id=1 if number % 10 else None,
            fired_at=slot + timedelta(seconds=3 if number % 10 == 1 else 1) if number % 10 else None,
        )
    page = words(ada.get("/schedules/"))
    assert "Last 60 slots: 6 missed, 54 –; the newest missed" in page
    assert page.count('class="hollow amber"') == 6
    assert re.search(r'data-label="Late, p95" class="number nowrap">3\.0 s<', page)


def test_the_timeline_has_a_row_for_each_with_runs_misses_ticks_and_what_holds_them_back(ada: Client) -> None:
    closed = Calendar.objects.create(name="always", closed="00:00 to 23:59")
    trigger = planned(5, name="hourly", cron="0 * * * *")
    run = make_run(trigger.job)
    Run.objects.filter(pk=run.pk).update(started_at=NOW - timedelta(hours=2))
    Occurrence.objects.create(trigger=trigger, slot=NOW - timedelta(hours=2), outcome="fired", run_id=run.pk)
    missed(trigger, 1, 3)
    kept = planned(6, name="kept", cron="30 * * * *")
    kept.calendars.add(closed)
    planned(1, name="often", cron="* * * * *")
    page = words(ada.get("/schedules/?view=timeline&clock=Asia/Tokyo"))
    assert f'href="/runs/{run.pk}/" aria-label="{NOW - timedelta(hours=2):%H:%M} UTC: queued"' in page
    assert page.count('class="missed amber"') == 3  # and one in the legend
    assert "2 missed, 1 queued" in page or "1 missed, 1 queued, 1 missed" in page
    assert 'class="coming" d="M' in page
    assert "<title>always is closed" in page
    assert "<title>more than 180 slots</title>" in page
    assert "<option selected>Asia/Tokyo</option>" in page


def test_slots_close_together_are_one_mark_that_counts_them(ada: Client) -> None:
    trigger = make_schedule(cron="* * * * *", name="often")
    for number in range(6):
        Occurrence.objects.create(
            trigger=trigger, slot=NOW - timedelta(minutes=200 - number), outcome="skipped", reason="overlap"
        )
    page = words(ada.get("/schedules/?view=timeline"))
    assert re.search(r"<title>\d\d:\d\d to \d\d:\d\d UTC: 6 skipped</title>", page)


def test_the_load_shows_a_pile_up_and_spreads_it(visitor: Visitor) -> None:
    together = [planned(10, name=f"n{number}", cron="0 3 * * *") for number in range(6)]
    planned(10, name="apart", cron="17 5 * * *")
    client = visitor("runs.view_run", CHANGE)
    page = words(client.get("/schedules/?view=load"))
    assert "7 starts of 7 schedules; at most 6 in one minute." in page
    assert "6 starts, 6 of them without jitter" in page
    ids = re.findall(r'name="schedule" value="(\d+)"', page)
    client.post("/schedules/acts/", {"act": "spread", "seconds": "600", "schedule": ids})
    assert set(Trigger.objects.filter(pk__in=ids).values_list("jitter_seconds", flat=True)) == {600}
    assert {int(pk) for pk in ids} == {trigger.pk for trigger in together}


def test_the_load_counts_no_more_than_it_may_and_says_so(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        planned(
            number, cron="* * * * *", timezone=["UTC", "Asia/Tokyo", "Asia/Kolkata", "Europe/Rome"][number]
        )
    monkeypatch.setattr(load, "MOST_SLOTS", 2000)
    page = words(ada.get("/schedules/?view=load"))
    assert "There are more schedules, or slots, than are counted here" in page
    assert "2880 starts of 2 schedules" in page


def test_a_slot_that_a_calendar_or_a_pause_holds_back_is_no_load() -> None:
    trigger = planned(1, cron="0 * * * *")
    trigger.calendars.add(Calendar.objects.create(name="always", closed="00:00 to 23:59"))
    found = Trigger.objects.schedules()
    assert load.coming(found, begin=NOW, minutes=1440).starts == 0
    trigger.calendars.clear()
    assert load.coming(found, begin=NOW, minutes=1440).starts == 24


def test_chosen_schedules_are_paused_until_and_resumed_together(visitor: Visitor) -> None:
    one, two = make_schedule(), make_schedule()
    client = visitor("runs.view_run", CHANGE)
    chosen = {"schedule": [one.pk, two.pk], "next": "/schedules/?q=x"}
    answer = client.post(
        "/schedules/acts/", {**chosen, "act": "pause", "until": "2399-01-01T06:00", "reason": "stocktaking"}
    )
    assert answer["Location"] == "/schedules/?q=x"
    for trigger in Trigger.objects.schedules():
        assert (trigger.paused_reason, trigger.paused_until.year) == ("stocktaking", 2399)  # type: ignore[union-attr]
    page = words(client.post("/schedules/acts/", {**chosen, "act": "resume", "next": ""}, follow=True))
    assert "and nothing is caught up." in page
    assert not Trigger.objects.filter(paused_at__isnull=False).exists()


def test_chosen_schedules_move_to_another_clock_after_saying_what_moves(visitor: Visitor) -> None:
    one = make_schedule(cron="30 8 * * *", timezone="Europe/Berlin", name="mornings")
    other = make_schedule(cron="0 2 * * *\n0 14 * * *", timezone="America/New_York")
    client = visitor("runs.view_run", CHANGE)
    chosen = {
        "schedule": [one.pk, other.pk],
        "act": "zone",
        "zone": "America/New_York",
        "next": "/schedules/?q=x",
    }
    page = words(client.post("/schedules/acts/", chosen))
    assert re.search(r"The next slot, \w+ \S+ 08:30 CES?T, becomes \w+ \S+ 08:30 E[SD]T\.", page)
    assert "Is in America/New_York already and stays as it is." in page
    assert "Change 2 schedules" in page
    one.refresh_from_db()
    assert one.timezone.key == "Europe/Berlin"
    answer = client.post("/schedules/acts/", {**chosen, "confirmed": "yes"})
    assert answer["Location"] == "/schedules/?q=x"
    one.refresh_from_db()
    assert (one.timezone.key, one.next_run_at) == ("America/New_York", None)
    wrong = client.post("/schedules/acts/", {**chosen, "zone": "Europe/Berln"}, follow=True)
    assert "Did you mean Europe/Berlin" in words(wrong)


def test_a_paused_schedule_says_what_it_skips_and_lines_stay_lines(ada: Client) -> None:
    trigger = planned(5, cron="0 2 * * *\n0 14 * * *", paused_at=NOW - timedelta(hours=1), paused_by="ada")
    page = words(ada.get("/schedules/"))
    assert re.search(r"skips <time", page)
    assert '<code class="cron">0 2 * * *\n0 14 * * *</code>' in ada.get("/schedules/").content.decode()
    Trigger.objects.filter(pk=trigger.pk).update(paused_until=NOW + timedelta(minutes=2))
    planned_again = NOW + timedelta(minutes=5)
    Trigger.objects.filter(pk=trigger.pk).update(next_run_at=planned_again, next_slot=planned_again)
    assert "skips <time" not in words(ada.get("/schedules/"))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"act": "explode"}, "'explode' is nothing that can be done to a schedule."),
        ({"act": "pause", "schedule": "x"}, "No schedule was chosen."),
        ({"act": "pause", "until": "soon"}, "'soon' is not a time"),
        ({"act": "pause", "until": "2001-01-01T00:00"}, "2001"),
        ({"act": "spread", "seconds": "-1"}, "'-1' is no jitter: expected 0 to 86400 seconds."),
    ],
)
def test_what_cannot_be_done_is_said(ada: Client, sent: dict[str, str], told: str) -> None:
    trigger = make_schedule()
    assert told in words(ada.post("/schedules/acts/", {"schedule": trigger.pk, **sent}, follow=True))


def test_the_buttons_of_a_row_turn_it_off_and_on_and_start_its_job(visitor: Visitor) -> None:
    trigger = make_schedule()
    client = visitor("runs.view_run", CHANGE, FIRE)
    client.post("/schedules/acts/", {"only": f"off:{trigger.pk}"})
    trigger.refresh_from_db()
    assert not trigger.enabled
    client.post("/schedules/acts/", {"only": f"on:{trigger.pk}"})
    client.post("/schedules/acts/", {"only": f"fire:{trigger.pk}"})
    trigger.refresh_from_db()
    assert trigger.enabled
    assert Run.objects.get().trigger_kind == "manual"


def test_who_may_only_look_sees_no_button_and_is_refused(reader: Client) -> None:
    trigger = make_schedule()
    missed(trigger, 1)
    page = words(reader.get("/schedules/"))
    assert "Turn off" not in page
    assert "Dismiss all" not in page
    assert reader.post("/schedules/acts/", {"only": f"off:{trigger.pk}"}).status_code == 403
    assert reader.post("/schedules/missed/", {"act": "all"}).status_code == 403


def test_what_was_missed_is_told_by_stretch_and_run_all_together(ada: Client) -> None:
    one, two = make_schedule(overlap="allow"), make_schedule(overlap="allow")
    missed(one, 1, 2)
    missed(two, 3)
    page = words(ada.get("/schedules/"))
    assert "3 slots missed" in page
    assert "3 slots of 2 schedules missed." in page
    assert "No beat fired anything due from" in page
    newest = re.search(r'name="newest" value="(\d+)"', page)
    assert newest
    missed(two, 4)  # came after the page was shown
    told = words(ada.post("/schedules/missed/", {"act": "all", "newest": newest[1]}, follow=True))
    assert "Slots in line to be run, in their order: 3." in told
    assert Occurrence.objects.filter(outcome="fired", by="ada").count() == 3
    assert Occurrence.objects.filter(outcome="missed").count() == 1


def test_the_latest_of_each_schedule_is_run_and_the_others_are_dismissed(ada: Client) -> None:
    one, two, off = make_schedule(), make_schedule(), make_schedule(enabled=False)
    missed(one, 1, 2, 3)
    missed(two, 5)
    missed(off, 1)
    newest = Occurrence.objects.order_by("-pk").values_list("pk", flat=True)[0]
    told = words(ada.post("/schedules/missed/", {"act": "latest", "newest": newest}, follow=True))
    assert "Slots in line to be run: 2, the latest of each schedule; dismissed: 2." in told
    fired = Occurrence.objects.filter(outcome="fired").values_list("trigger", "slot")
    assert set(fired) == {(one.pk, NOW - timedelta(hours=1)), (two.pk, NOW - timedelta(hours=5))}
    ada.post("/schedules/missed/", {"act": "dismiss", "newest": newest})
    assert Occurrence.objects.filter(trigger=off).get().outcome == "dismissed"


@pytest.mark.parametrize("view", ["list", "timeline", "load"])
def test_a_view_costs_few_queries_however_many_schedules_there_are(visitor: Visitor, view: str) -> None:
    calendar = Calendar.objects.create(name="nights", closed="22:00 to 06:00")
    for number in range(20):
        trigger = planned(number)
        trigger.calendars.add(calendar)
        missed(trigger, 1, 2)
    client = visitor("runs.view_run", CHANGE, FIRE)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"/schedules/?view={view}").status_code == 200
    assert len(queries) <= 12
    assert not [query for query in queries if "COUNT(" in query["sql"].upper()]

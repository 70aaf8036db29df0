"""The admin of schedules and remote triggers: preview, presets, enabling, firing."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from runs.models import Run
from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_job, make_schedule
from triggers.models import Calendar, Kind, Occurrence, Trigger

LIST = "triggers_schedule_changelist"
ADD = "triggers_schedule_add"
NEW_YORK = {"cron": "0 2 * * *", "timezone": "America/New_York"}


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_a_schedule_is_added_for_a_job(boss: Client) -> None:
    job = make_job()
    url = address(ADD) + f"?job={job.pk}"
    sent = form_of(boss, url)
    assert sent["job"] == str(job.pk)
    assert boss.post(url, sent | NEW_YORK | {"name": "nightly"}).status_code == 302
    found = Trigger.objects.get(job=job, kind=Kind.SCHEDULE)
    assert (found.label, found.cron, found.timezone.key) == ("nightly", "0 2 * * *", "America/New_York")


def test_the_preview_button_shows_five_slots_on_two_clocks_and_saves_nothing(boss: Client) -> None:
    with time_machine.travel(datetime(2024, 1, 19, 12, tzinfo=UTC), tick=False):
        page = boss.post(address(ADD), {**NEW_YORK, "_preview": "yes"})
    text = text_of(page)
    assert "Daily at 2:00 AM" in text
    assert "2024-01-20 02:00 EST" in text
    assert "2024-01-20 07:00" in text
    assert text.count("02:00 EST") == 5
    assert "clocks of America/New_York go" in text
    assert not page.context["adminform"].form.errors
    assert not Trigger.objects.exists()


def test_a_schedule_that_needs_another_job_is_previewed_and_saved(boss: Client) -> None:
    load, job = make_job(slug="load"), make_job()
    url = address(ADD) + f"?job={job.pk}"
    sent = form_of(boss, url) | NEW_YORK | {"upstream": str(load.pk), "wait_until": "10:00"}
    shown = text_of(boss.post(url, sent | {"_preview": "yes"}))
    assert "Only if load succeeded the same day; waits until 10:00, then skips the slot." in shown
    assert "then runs anyway." in text_of(boss.post(url, sent | {"_preview": "yes", "otherwise": "run"}))
    hollow = boss.post(url, sent | {"wait_until": "", "otherwise": "run"})
    assert "whatever the other jobs did" in str(hollow.context["adminform"].form.errors["otherwise"])
    assert boss.post(url, sent | {"otherwise": "run"}).status_code == 302
    found = Trigger.objects.get(job=job, kind=Kind.SCHEDULE)
    assert (list(found.upstreams.all()), found.condition) == ([load], "on_success")
    assert found.otherwise == "run"
    change = address("triggers_schedule_change", found.pk)
    assert "load succeeded the same day" in text_of(boss.get(change))
    freed = form_of(boss, change)
    freed.pop("upstream", None)
    assert boss.post(change, freed).status_code == 302
    found.refresh_from_db()
    assert (found.condition, found.otherwise, found.upstreams.count()) == ("", "skip", 0)


def test_selected_schedules_move_to_another_clock_after_saying_what_moves(boss: Client) -> None:
    schedule = make_schedule(cron="30 8 * * *", timezone="Europe/Berlin")
    url = address("triggers_schedule_changelist")
    chosen = {"action": "shift_selected", "_selected_action": [schedule.pk]}
    assert "Time zone" in text_of(boss.post(url, chosen))
    wrong = boss.post(url, chosen | {"_asked": "yes", "zone": "Europe/Berln"})
    assert "Did you mean Europe/Berlin" in text_of(wrong)
    told = text_of(boss.post(url, chosen | {"_asked": "yes", "zone": "America/New_York"}))
    assert re.search(r"The next slot, \w+ \S+ 08:30 CES?T, becomes \w+ \S+ 08:30 E[SD]T\.", told)
    schedule.refresh_from_db()
    assert schedule.timezone.key == "Europe/Berlin"
    boss.post(url, chosen | {"_asked": "yes", "_confirmed": "yes", "zone": "America/New_York"})
    schedule.refresh_from_db()
    assert schedule.timezone.key == "America/New_York"


def test_the_enter_key_saves(boss: Client) -> None:
    buttons = re.findall(r'<(?:button|input) type="submit"[^>]*>', boss.get(address(ADD)).content.decode())
    assert 'name="_save"' in next(found for found in buttons if "name=" in found)


def test_the_preview_shows_the_viewers_clock_if_the_browser_tells_it(boss: Client) -> None:
    url = address("triggers_schedule_preview")
    text = text_of(boss.post(url, NEW_YORK | {"_viewer": "Asia/Tokyo"}))
    assert "Your clock, Asia/Tokyo" in text
    assert re.search(r"1[56]:00 JST", text)
    for unneeded in ("America/New_York", "UTC", "", "Mars/Phobos"):
        assert "Your clock" not in text_of(boss.post(url, NEW_YORK | {"_viewer": unneeded}))


def test_a_preset_fills_the_cron_text_in(boss: Client) -> None:
    page = boss.post(address(ADD), {"cron": "", "timezone": "UTC", "_preset": "*/15 * * * *"})
    assert page.context["adminform"].form["cron"].value() == "*/15 * * * *"
    assert "Every 15 minutes" in text_of(page)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"cron": "0 25 * * *"}, "25"),
        ({"cron": "hello"}, "hello"),
        ({"cron": "0 0 30 2 *"}, "never"),
        ({"timezone": "Europe/Berln"}, "Did you mean Europe/Berlin"),
    ],
)
def test_what_is_wrong_is_said_in_the_preview_and_beside_the_field(
    boss: Client, sent: dict[str, str], said: str
) -> None:
    job = make_job()
    (field,) = sent
    preview = boss.post(address("triggers_schedule_preview"), NEW_YORK | sent)
    assert preview.status_code == 200
    assert said in text_of(preview)
    page = boss.post(address(ADD), {"job": job.pk, "misfire_limit": "1", **NEW_YORK, **sent})
    assert said in " ".join(page.context["adminform"].form.errors[field])
    assert not Trigger.objects.filter(kind=Kind.SCHEDULE).exists()


def test_the_preview_keeps_to_the_start_and_the_end(boss: Client) -> None:
    sent = {
        "cron": "0 2 * * *",
        "timezone": "UTC",
        "starts_at": "2050-01-01T02:00",
        "ends_at": "2050-01-02T02:00",
    }
    text = text_of(boss.post(address("triggers_schedule_preview"), sent))
    assert "2050-01-01 02:00" in text
    assert "2050-01-02 02:00" in text
    assert "2050-01-03" not in text


def test_people_who_may_only_look_see_no_secrets(login: Login) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "format": "password"}}}
    schedule = make_schedule(job=make_job(schema=schema), parameters={"token": "hush hush"})
    for client in (login("triggers.view_trigger"), login("triggers.change_trigger")):
        page = client.get(address("triggers_schedule_change", schedule.pk))
        assert page.status_code == 200
        assert "hush" not in page.content.decode()


def test_the_preview_says_what_a_change_moves(boss: Client) -> None:
    schedule = make_schedule()
    url = f"{address('triggers_schedule_preview')}?saved={schedule.pk}"
    assert "the next run moves from" in text_of(boss.post(url, {"cron": "0 3 * * *", "timezone": "UTC"}))


def test_the_preview_is_for_people_who_may_edit_schedules(login: Login) -> None:
    url = address("triggers_schedule_preview")
    assert login("triggers.view_trigger").post(url, NEW_YORK).status_code == 403
    assert login("triggers.change_trigger").post(url, NEW_YORK).status_code == 200
    assert login("triggers.change_trigger").get(url).status_code == 405


def test_parameters_must_fit_the_schema_of_the_job(boss: Client) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    job = make_job(schema=schema)
    url = address(ADD) + f"?job={job.pk}"
    page = boss.post(url, form_of(boss, url) | NEW_YORK)
    assert "/city: 'city' is missing" in page.context["adminform"].form.errors["parameters"][0]
    assert (
        boss.post(url, form_of(boss, url) | NEW_YORK | {"parameters": '{"city": "Rome"}'}).status_code == 302
    )
    remote = Trigger.objects.get(job=job, kind=Kind.REMOTE)
    url = address("triggers_remotetrigger_change", remote.pk)
    assert boss.post(url, form_of(boss, url)).status_code == 302


def test_renaming_a_schedule_leaves_its_plan_alone(boss: Client) -> None:
    schedule = make_schedule()
    url = address("triggers_schedule_change", schedule.pk)
    sent = form_of(boss, url)
    planned = datetime(2050, 1, 1, tzinfo=UTC)
    Trigger.objects.filter(pk=schedule.pk).update(next_run_at=planned, next_slot=planned)
    assert boss.post(url, sent | {"name": "renamed"}).status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.next_run_at, schedule.next_slot) == ("renamed", planned, planned)


def test_disabling_and_enabling_by_button_and_by_action(boss: Client) -> None:
    first, second = make_schedule(), make_schedule()
    boss.post(address("triggers_schedule_disable", first.pk))
    boss.post(address(LIST), {"action": "disable_selected", "_selected_action": [second.pk]})
    assert not Trigger.objects.schedules().enabled().exists()
    page = boss.post(address("triggers_schedule_enable", first.pk), follow=True)
    assert any(
        "it runs next" in message and "nothing is caught up" in message for message in messages_of(page)
    )
    assert list(Trigger.objects.schedules().enabled()) == [first]


def test_fire_now_makes_a_manual_run_that_uses_up_no_slot(boss: Client) -> None:
    schedule = make_schedule(job=make_job(), name="nightly")
    boss.post(address("triggers_schedule_fire", schedule.pk))
    run = Run.objects.get()
    assert (run.trigger_kind, run.trigger, run.slot) == ("manual", None, None)
    assert run.cause == "Started by hand by ada with the parameters of nightly"
    assert not Occurrence.objects.exists()


def test_acts_need_their_permissions(login: Login) -> None:
    schedule = make_schedule()
    client = login("triggers.view_trigger")
    for button in ("enable", "disable", "fire"):
        assert client.post(address(f"triggers_schedule_{button}", schedule.pk)).status_code == 403
    assert client.get(address(LIST)).status_code == 200
    assert client.get(address("triggers_schedule_change", schedule.pk)).status_code == 200
    assert client.get(address(ADD)).status_code == 403
    assert login("triggers.view_trigger", "triggers.fire_trigger").post(
        address("triggers_schedule_fire", schedule.pk)
    ).status_code == 302  # fmt: skip
    assert login("jobs.view_job").get(address(LIST)).status_code == 403


def test_deleting_a_schedule_says_how_much_of_the_ledger_goes_with_it(boss: Client) -> None:
    schedule = make_schedule()
    for hour in range(3):
        slot = datetime(2024, 1, 1, hour, tzinfo=UTC)
        Occurrence.objects.create(trigger=schedule, slot=slot, outcome="missed")
    assert "Slots in the ledger: 3" in text_of(boss.get(address("triggers_schedule_delete", schedule.pk)))
    boss.post(address("triggers_schedule_delete", schedule.pk), {"post": "yes"})
    assert not Trigger.objects.schedules().exists()


def test_a_remote_trigger_is_neither_added_nor_deleted_here(boss: Client) -> None:
    remote = Trigger.objects.get(job=make_job())
    assert boss.get(address("triggers_remotetrigger_add")).status_code == 403
    assert boss.get(address("triggers_remotetrigger_delete", remote.pk)).status_code == 403
    boss.post(address("triggers_remotetrigger_disable", remote.pk))
    remote.refresh_from_db()
    assert not remote.enabled


def test_each_list_has_its_own_kind_and_few_queries(boss: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        make_schedule(name="<b>nightly</b>")
    for name in (LIST, "triggers_remotetrigger_changelist"):
        with django_assert_max_num_queries(12):
            page = boss.get(address(name))
        assert page.context["cl"].result_count == 5
        assert "<b>nightly" not in page.content.decode()


def test_a_calendar_is_made_kept_and_warned_of(boss: Client) -> None:
    url = address("triggers_calendar_add")
    sent = form_of(boss, url) | {"name": "Moves", "timezone": "UTC", "closed": "nonsense"}
    assert "Line 1, 'nonsense'" in text_of(boss.post(url, sent))
    assert boss.post(url, sent | {"closed": "2050-01-02 New hall"}).status_code == 302
    calendar = Calendar.objects.get()
    wanted = {**NEW_YORK, "timezone": "UTC", "starts_at": "2050-01-01T00:00", "calendars": [calendar.pk]}
    text = text_of(boss.post(address("triggers_schedule_preview"), wanted))
    assert "skipped: blackout Moves (2050-01-02 New hall)" in text
    assert "Skipped: 1 of the next" in text
    url = address(ADD) + f"?job={make_job().pk}"
    assert boss.post(url, form_of(boss, url) | NEW_YORK | {"calendars": [calendar.pk]}).status_code == 302
    assert [trigger.kind for trigger in calendar.schedules.all()] == [Kind.SCHEDULE]
    assert "Moves" in text_of(boss.get(address("triggers_calendar_changelist")))


def test_a_schedule_is_paused_with_a_reason_and_resumed(boss: Client) -> None:
    schedule = make_schedule(name="nightly")
    url = address("triggers_schedule_pause", schedule.pk)
    assert "its slots are skipped" in text_of(boss.get(url))
    asked = {"_confirmed": "yes", "reason": "stocktaking", "until": "2050-01-01T06:00"}
    assert "Paused nightly until 2050-01-01 06:00" in messages_of(boss.post(url, asked, follow=True))[0]
    schedule.refresh_from_db()
    assert (schedule.paused_by, schedule.paused_reason) == ("ada", "stocktaking")
    assert 'title="ada: stocktaking"' in boss.get(address(LIST)).content.decode()
    (said,) = messages_of(boss.post(address("triggers_schedule_resume", schedule.pk), follow=True))
    assert "it runs next" in said
    assert "nothing is caught up" in said
    boss.post(address(LIST), {"action": "pause_selected", "_selected_action": [schedule.pk], **asked})
    assert Trigger.objects.get(pk=schedule.pk).paused_reason == "stocktaking"
    boss.post(address(LIST), {"action": "resume_selected", "_selected_action": [schedule.pk]})
    assert Trigger.objects.get(pk=schedule.pk).paused_at is None


def test_missed_slots_are_run_and_dismissed_by_a_schedules_buttons(boss: Client, login: Login) -> None:
    schedule, other = make_schedule(), make_schedule(name="other")
    now = timezone.now()
    for trigger, hours in ((schedule, 1), (schedule, 2), (other, 3)):
        Occurrence.objects.create(trigger=trigger, slot=now - timedelta(hours=hours), outcome="missed")
    page = boss.get(address("triggers_schedule_change", schedule.pk)).content.decode()
    assert f'href="/schedules/{schedule.pk}/"' in page
    assert "Run missed slots" in page
    assert "Run missed slots" not in login("triggers.view_trigger").get(
        address("triggers_schedule_change", schedule.pk)
    ).content.decode().replace("Run missed slots of selected", "")
    boss.post(f"{address('triggers_schedule_changelist')}{schedule.pk}/run-missed/")
    assert set(Occurrence.objects.filter(outcome="due").values_list("trigger", "by")) == {
        (schedule.pk, "ada")
    }
    assert (
        "Run missed slots" not in boss.get(address("triggers_schedule_change", schedule.pk)).content.decode()
    )
    boss.post(f"{address('triggers_schedule_changelist')}{other.pk}/dismiss-missed/")
    assert Occurrence.objects.get(trigger=other).outcome == "dismissed"

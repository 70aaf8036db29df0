"""What a person sees of a schedule before saving it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from triggers.cron import InvalidCount, InvalidInstant, Preview, Saved, parse, preview

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def previewed(text: str, zone: str = "UTC", after: str = "2026-01-01T00:00Z", count: int = 3) -> Preview:
    return preview(cron=parse(text), zone=ZoneInfo(zone), after=datetime.fromisoformat(after), count=count)


def warnings(text: str, zone: str = "UTC", after: str = "2026-01-01T00:00Z") -> list[tuple[str, str]]:
    return [(caution.code, caution.message) for caution in previewed(text, zone, after).warnings]


def test_the_sample_of_the_documents_with_the_right_timestamps() -> None:
    seen = previewed("0 2 * * *", "America/New_York", "2024-01-19T12:00:00Z")
    assert (seen.timezone, seen.description) == ("America/New_York", "Daily at 2:00 AM")
    assert [run.timestamp for run in seen.next_runs] == [1705734000, 1705820400, 1705906800]
    first = seen.next_runs[0]
    assert first.utc.isoformat() == "2024-01-20T07:00:00+00:00"
    assert first.local.isoformat() == "2024-01-20T02:00:00-05:00"
    assert (first.viewer, first.note) == (None, "")


def test_the_viewers_clock_is_shown_when_asked_for() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    seen = preview(cron=parse("0 2 * * *"), zone=NEW_YORK, after=after, viewer_zone=BERLIN)
    assert [run.viewer.isoformat() for run in seen.next_runs if run.viewer][:1] == [
        "2026-01-01T08:00:00+01:00"
    ]
    assert len(seen.next_runs) == 5


@pytest.mark.parametrize("count", [1, 200])
def test_1_to_200_runs_are_shown(count: int) -> None:
    assert len(previewed("* * * * *", count=count).next_runs) == count


@pytest.mark.parametrize("count", [0, -1, 201])
def test_another_count_is_refused(count: int) -> None:
    with pytest.raises(InvalidCount, match=f"The count {count} is out of range: expected 1 to 200."):
        previewed("0 2 * * *", count=count)


def test_a_start_without_zone_is_refused() -> None:
    with pytest.raises(InvalidInstant):
        previewed("0 2 * * *", after="2026-01-01T00:00")


def test_a_plain_line_in_a_plain_zone_has_no_warnings() -> None:
    assert warnings("0 2 * * *") == []
    assert warnings("0 2 * * *", "Asia/Tokyo") == []


def test_a_skipped_and_a_repeated_time_are_announced_with_their_fate() -> None:
    assert warnings("30 2 * * *", "Europe/Berlin") == [
        (
            "clock_forward",
            "On Sunday 29 March 2026 the clocks of Europe/Berlin go forward from 2:00 AM to 3:00 AM: "
            "2:30 AM is skipped and runs at 3:00 AM instead.",
        ),
        (
            "clock_back",
            "On Sunday 25 October 2026 the clocks of Europe/Berlin go back from 3:00 AM to 2:00 AM: "
            "2:30 AM comes twice and runs the first time only.",
        ),
    ]


def test_a_warning_carries_the_instant_of_the_change() -> None:
    forward, back = previewed("30 2 * * *", "Europe/Berlin").warnings
    assert forward.at == datetime.fromisoformat("2026-03-29T01:00Z")
    assert back.at == datetime.fromisoformat("2026-10-25T01:00Z")


def test_only_the_changes_of_the_next_12_months_are_announced() -> None:
    seen = previewed("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00Z")
    assert [caution.code for caution in seen.warnings] == ["clock_back", "clock_forward"]
    assert seen.warnings[1].at == datetime.fromisoformat("2027-03-28T01:00Z")


@pytest.mark.parametrize(
    ("text", "zone", "fates"),
    [
        (
            "0,15,30,45 2 * * *",
            "America/New_York",
            ["2:00 AM, 2:15 AM, 2:30 AM and 2:45 AM are skipped and run once, at 3:00 AM instead."],
        ),
        (
            "0-59 1 * * *",
            "America/New_York",
            ["1:00 AM, 1:01 AM, 1:02 AM and 57 more times come twice and run the first time only."],
        ),
        (
            "0 */2 * * *",
            "Europe/Berlin",
            ["2:00 AM is skipped and does not run.", "2:00 AM comes twice and runs both times."],
        ),
        ("30 * * * *", "Europe/Berlin", []),
        ("*/15 * * * *", "Europe/Berlin", []),
        ("0 * * * *", "Australia/Lord_Howe", ["2:00 AM is skipped and does not run."]),
        ("45 1 * * *", "Australia/Lord_Howe", ["1:45 AM comes twice and runs the first time only."]),
        ("30 2 * * 1", "Europe/Berlin", []),
        (
            "30 2 * * *\n*/30 2 * * *",
            "America/New_York",
            [
                "2:30 AM is skipped and runs at 3:00 AM instead.",
                "2:00 AM and 2:30 AM are skipped and do not run.",
            ],
        ),
    ],
)
def test_the_fate_of_times_that_a_change_touches(text: str, zone: str, fates: list[str]) -> None:
    changes = [message for code, message in warnings(text, zone) if code.startswith("clock")]
    assert [message.partition("M: ")[2] for message in changes] == fates


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("* * * * *", "every_minute", "'* * * * *' runs every minute: 1,440 times a day."),
        (
            "* 2 * * *",
            "every_minute",
            "'* 2 * * *' runs every minute of its hours: 60 times a day. For once an hour, name a minute.",
        ),
        ("0 0 29 2 *", "leap_day", "'0 0 29 2 *' runs in leap years only, on 29 February."),
        ("0 0 29-31 FEB *", "leap_day", "'0 0 29-31 FEB *' runs in leap years only, on 29 February."),
        (
            "0 0 13 * 5",
            "both_days",
            "'0 0 13 * 5' sets both day fields, and one is enough: "
            "it runs on day 13 of the month or on Friday.",
        ),
        (
            "0 0 1-31 * 5",
            "both_days",
            "'0 0 1-31 * 5' sets both day fields, and one is enough: it runs every day.",
        ),
        (
            "0 0 */2 * 1",
            "both_days",
            "'0 0 */2 * 1' sets both day fields, and both must match because one starts with a star: "
            "it runs on Monday if the day of the month is 1, 3 … 31.",
        ),
    ],
)
def test_a_text_that_surprises_is_warned_about(text: str, code: str, message: str) -> None:
    assert warnings(text) == [(code, message)]


def test_each_line_is_warned_about() -> None:
    assert [code for code, _ in warnings("* * * * *\n0 0 29 2 *\n0 2 * * *")] == ["every_minute", "leap_day"]


@pytest.mark.parametrize(
    ("text", "zone", "after", "notes"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["for 2:30 AM, skipped by the clock", ""]),
        (
            "0,30 2 * * *\n0 3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00Z",
            ["for 2:00 AM and 2:30 AM, skipped by the clock", ""],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00Z",
            ["2:30 AM comes twice, this is the first and the only run", ""],
        ),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00Z",
            ["first 2:30 AM of two", "second 2:30 AM of two", ""],
        ),
        (
            "30 20 * * *",
            "Antarctica/Vostok",
            "1994-01-31T12:00Z",
            ["first 8:30 PM of two", "second 8:30 PM of two", ""],
        ),
    ],
)
def test_a_slot_touched_by_a_clock_change_has_a_note(
    text: str, zone: str, after: str, notes: list[str]
) -> None:
    seen = previewed(text, zone, after, count=len(notes))
    assert [run.note for run in seen.next_runs] == notes


def test_the_difference_to_the_saved_schedule_comes_first() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    seen = preview(
        cron=parse("0 2,3 * * *"), zone=BERLIN, after=after, count=4, saved=Saved(parse("0 3 * * *"), BERLIN)
    )
    assert [caution.message for caution in seen.warnings][:1] == [
        "Saved is 'Daily at 3:00 AM' in Europe/Berlin: the next run moves from 2026-01-01 03:00 CET "
        "to 2026-01-01 02:00 CET, and 2 of the next 4 slots are new."
    ]


def test_a_new_zone_is_a_difference_even_if_the_slots_stay() -> None:
    after, every_ten = datetime(2026, 1, 1, tzinfo=UTC), parse("*/10 * * * *")
    seen = preview(cron=every_ten, zone=BERLIN, after=after, saved=Saved(every_ten, NEW_YORK))
    assert [caution.message for caution in seen.warnings] == [
        "Saved is 'Every 10 minutes' in America/New_York: the next run stays the same, "
        "and 0 of the next 5 slots are new."
    ]


def test_an_unchanged_schedule_has_no_difference() -> None:
    after, daily = datetime(2026, 1, 1, tzinfo=UTC), parse("0 2 * * *")
    assert preview(cron=daily, zone=NEW_YORK, after=after, saved=Saved(daily, NEW_YORK)) == preview(
        cron=daily, zone=NEW_YORK, after=after
    )


def test_only_slots_between_start_and_end_come_and_warnings_keep_to_them() -> None:
    after, daily = datetime(2026, 1, 1, tzinfo=UTC), parse("30 2 * * *")
    april, third = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 3, 12, tzinfo=UTC)
    seen = preview(cron=daily, zone=BERLIN, after=after, starts_at=april, ends_at=third)
    assert [run.utc.day for run in seen.next_runs] == [1, 2, 3]
    assert seen.warnings == ()
    always = preview(cron=daily, zone=BERLIN, after=after)
    assert [caution.code for caution in always.warnings] == ["clock_forward", "clock_back"]


def test_an_end_that_is_taken_away_is_a_difference() -> None:
    after, daily = datetime(2026, 1, 1, tzinfo=UTC), parse("0 2 * * *")
    over = Saved(daily, BERLIN, None, datetime(2025, 12, 1, tzinfo=UTC))
    seen = preview(cron=daily, zone=BERLIN, after=after, saved=over)
    assert seen.warnings[0].message == (
        "Saved is 'Daily at 2:00 AM' in Europe/Berlin until 2025-12-01 01:00: the next run moves from never to "
        "2026-01-01 02:00 CET, and 5 of the next 5 slots are new."
    )


def test_a_preview_at_the_end_of_the_calendar_is_short() -> None:
    seen = previewed("0 0 1 1 *", after="2499-06-01T00:00Z")
    assert seen.next_runs == ()
    assert previewed("0 2 * * *", "Europe/Berlin", "2499-12-31T23:59Z").next_runs == ()


def test_the_largest_preview_is_complete() -> None:
    text = "\n".join(f"{minute}-59 0-23 * * *" for minute in range(20))
    seen = previewed(text, "Europe/Berlin", "2026-03-28T12:00Z", count=200)
    assert len(seen.next_runs) == 200
    assert seen.next_runs[-1].utc - seen.next_runs[0].utc == timedelta(minutes=199)


def test_slots_that_a_calendar_holds_back_are_noted_and_warned_of() -> None:
    def closing(slot: datetime) -> str:
        return "blackout Moves (2026-03-11)" if slot.day == 11 else ""

    found = preview(
        cron=parse("0 2 10-12 3 *"),
        zone=ZoneInfo("UTC"),
        after=datetime(2026, 3, 1, tzinfo=UTC),
        count=3,
        closing=closing,
    )
    assert [run.note for run in found.next_runs] == ["", "skipped: blackout Moves (2026-03-11)", ""]
    (warning,) = [warning for warning in found.warnings if warning.code == "blackout"]
    assert warning.message == (
        "Skipped: 1 of the next 3 slots, the first on 2026-03-11 02:00 UTC: blackout Moves (2026-03-11)."
    )

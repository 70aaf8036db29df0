"""At which instants a cron text fires: days, clock changes, bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from threading import Thread
from zoneinfo import ZoneInfo

import pytest

from triggers.cron import InvalidInstant, parse

YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def local_slots(text: str, zone: str, after: str, until: str) -> list[str]:
    """The slots as wall clock times with offset; `after` and `until` are wall clock times of the zone."""
    place = ZoneInfo(zone)
    slots = parse(text).slots_between(
        after=at(after).replace(tzinfo=place), until=at(until).replace(tzinfo=place), zone=place, limit=1000
    )
    return [f"{slot.astimezone(place):%d %H:%M %z}" for slot in slots]


def test_daily_at_two_in_new_york_is_1705734000_first() -> None:
    slots = parse("0 2 * * *").next_slots(
        after=at("2024-01-19T12:00:00Z"), zone=ZoneInfo("America/New_York"), count=3
    )
    assert [int(slot.timestamp()) for slot in slots] == [1705734000, 1705820400, 1705906800]


def test_slots_are_in_utc() -> None:
    (slot,) = parse("0 2 * * *").next_slots(after=YEAR_2026, zone=ZoneInfo("Asia/Tokyo"), count=1)
    assert (slot, slot.tzinfo) == (at("2026-01-01T17:00Z"), UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 * * *", ["2026-01-02", "2026-01-03", "2026-01-04"]),
        ("0 0 13 * *", ["2026-01-13", "2026-02-13", "2026-03-13"]),
        ("0 0 * * 5", ["2026-01-02", "2026-01-09", "2026-01-16"]),
        ("0 0 13 * 5", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]),
        ("0 0 */2 * 1", ["2026-01-05", "2026-01-19", "2026-02-09"]),
        (
            "0 0 1-31/2 * 1",
            ["2026-01-03", "2026-01-05", "2026-01-07", "2026-01-09", "2026-01-11", "2026-01-12"],
        ),
        ("0 0 13 * */5", ["2026-02-13", "2026-03-13", "2026-09-13", "2026-11-13"]),
        ("0 0 1-7 * */7", ["2026-01-04", "2026-02-01", "2026-03-01"]),
        ("0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("0 0 29,30 2 *", ["2028-02-29", "2032-02-29"]),
        ("0 0 29 2 */7", ["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]),
        ("0 0 31 2 1", ["2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23", "2027-02-01"]),
        ("0 0 1 1 *", ["2027-01-01", "2028-01-01"]),
        ("0 0 * FEB SUN", ["2026-02-01", "2026-02-08"]),
    ],
)
def test_the_day_fields_follow_vixies_rule(text: str, days: list[str]) -> None:
    slots = parse(text).next_slots(after=YEAR_2026, zone=ZoneInfo("UTC"), count=len(days))
    assert [f"{slot:%Y-%m-%d}" for slot in slots] == days


NIGHTS = [
    # Europe/Berlin, 29 March 2026: 02:00 -> 03:00
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
    ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
    ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
    ("59 1 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 01:59 +0100", "30 01:59 +0200"]),
    (
        "0 0-23/2 * * *",
        "Europe/Berlin",
        "2026-03-28T23:00",
        ["29 00:00 +0100", "29 03:00 +0200", "29 04:00 +0200"],
    ),
    ("0 */2 * * *", "Europe/Berlin", "2026-03-28T23:00", ["29 00:00 +0100", "29 04:00 +0200"]),
    (
        "30 * * * *",
        "Europe/Berlin",
        "2026-03-29T01:00",
        ["29 01:30 +0100", "29 03:30 +0200", "29 04:30 +0200"],
    ),
    ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["30 02:00 +0200", "30 02:30 +0200"]),
    # Europe/Berlin, 25 October 2026: 03:00 -> 02:00
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
    ("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00", ["25 03:00 +0100", "26 03:00 +0100"]),
    (
        "30 * * * *",
        "Europe/Berlin",
        "2026-10-25T02:00",
        ["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"],
    ),
    (
        "*/30 2 * * *",
        "Europe/Berlin",
        "2026-10-25T01:00",
        ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100"],
    ),
    (
        "0 */2 * * *",
        "Europe/Berlin",
        "2026-10-25T01:00",
        ["25 02:00 +0200", "25 02:00 +0100", "25 04:00 +0100"],
    ),
    # America/New_York, 8 March 2026: 02:00 -> 03:00; 1 November 2026: 02:00 -> 01:00
    ("0 2 * * *", "America/New_York", "2026-03-07T12:00", ["08 03:00 -0400", "09 02:00 -0400"]),
    ("*/20 * * * *", "America/New_York", "2026-03-08T01:30", ["08 01:40 -0500", "08 03:00 -0400"]),
    ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 01:30 -0400", "02 01:30 -0500"]),
    ("0 2 * * *", "America/New_York", "2026-10-31T12:00", ["01 02:00 -0500", "02 02:00 -0500"]),
    ("15 1-1 * * *", "America/New_York", "2026-10-31T12:00", ["01 01:15 -0400", "02 01:15 -0500"]),
    ("15 */1 * * *", "America/New_York", "2026-11-01T01:00", ["01 01:15 -0400", "01 01:15 -0500"]),
    # Australia/Lord_Howe, 5 April 2026: 02:00 -> 01:30; 4 October 2026: 02:00 -> 02:30
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["05 01:45 +1100", "06 01:45 +1030"]),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-05T01:40", ["05 01:45 +1100", "05 01:30 +1030"]),
    ("0 * * * *", "Australia/Lord_Howe", "2026-04-05T00:30", ["05 01:00 +1100", "05 02:00 +1030"]),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["04 02:30 +1100", "05 02:15 +1100"]),
    ("30 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["04 02:30 +1100", "05 02:30 +1100"]),
    ("0 * * * *", "Australia/Lord_Howe", "2026-10-04T00:30", ["04 01:00 +1030", "04 03:00 +1100"]),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-10-04T01:40", ["04 01:45 +1030", "04 02:30 +1100"]),
]


@pytest.mark.parametrize(("text", "zone", "after", "expected"), NIGHTS)
def test_the_clock_change_nights_of_2026(text: str, zone: str, after: str, expected: list[str]) -> None:
    until = (at(after) + timedelta(days=3)).isoformat()
    assert local_slots(text, zone, after, until)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # Two hours at a time: Antarctica/Troll.
        ("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00", ["29 03:00 +0200", "30 01:30 +0200"]),
        ("30 1 * * *", "Antarctica/Troll", "2026-10-24T12:00", ["25 01:30 +0200", "26 01:30 +0000"]),
        # Three hours forward is a corrected clock, three hours back is not: cron.c says > 180 and > -180.
        ("30 2 * * *", "Antarctica/Casey", "2009-10-17T12:00", ["19 02:30 +1100"]),
        ("30 0 * * *", "Antarctica/Casey", "2010-03-04T12:00", ["05 00:30 +1100", "06 00:30 +0800"]),
        # Seven hours back: what has run runs again.
        ("30 20 * * *", "Antarctica/Vostok", "1994-01-31T12:00", ["31 20:30 +0700", "31 20:30 +0000"]),
        # A day that never was.
        ("0 2 * * *", "Pacific/Apia", "2011-12-28T12:00", ["29 02:00 -1000", "31 02:00 +1400"]),
        ("0 */12 * * *", "Pacific/Apia", "2011-12-29T06:00", ["29 12:00 -1000", "31 00:00 +1400"]),
        # The clocks change at midnight.
        ("0 0 * * *", "America/Havana", "2026-03-07T12:00", ["08 01:00 -0400", "09 00:00 -0400"]),
        ("* 0 * * *", "America/Havana", "2026-03-07T23:30", ["09 00:00 -0400", "09 00:01 -0400"]),
        ("0 0 8 3 *", "America/Havana", "2026-03-07T12:00", ["08 01:00 -0400"]),
        ("30 23 * * *", "America/Asuncion", "2024-03-23T12:00", ["23 23:30 -0300", "24 23:30 -0400"]),
        ("*/30 23 * * *", "America/Asuncion", "2024-03-23T23:10", ["23 23:30 -0300", "23 23:00 -0400"]),
        # Quarter hours: Nepal in 1986, the Chatham islands.
        ("5 0 * * *", "Asia/Kathmandu", "1985-12-31T12:00", ["01 00:15 +0545", "02 00:05 +0545"]),
        ("50 2 * * *", "Pacific/Chatham", "2026-09-26T12:00", ["27 03:45 +1345", "28 02:50 +1345"]),
        # A gap that ends amid a minute: Liberia in 1972.
        ("30 0 * * *", "Africa/Monrovia", "1972-01-06T12:00", ["07 00:45 +0000", "08 00:30 +0000"]),
    ],
)
def test_odd_clock_changes_follow_debians_limits(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    until = (at(after) + timedelta(days=3)).isoformat()
    assert local_slots(text, zone, after, until)[: len(expected)] == expected


@pytest.mark.parametrize("text", ["* * * * *", "*/15 2 * * *", "30 2 * * *", "0-59 2,3 * * *", "30 * * * *"])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
        ("Antarctica/Vostok", "1994-01-31T17:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00Z"),
        ("Africa/Monrovia", "1972-01-07T00:44:30Z"),
    ],
)
def test_starting_anywhere_near_a_clock_change_gives_the_same_slots(
    text: str, zone: str, change: str
) -> None:
    place, cron = ZoneInfo(zone), parse(text)
    begin, until = at(change) - timedelta(hours=9), at(change) + timedelta(hours=30)
    slots = cron.slots_between(after=begin, until=until, zone=place, limit=10_000)
    for minutes in range(0, 18 * 60, 7):
        start = begin + timedelta(minutes=minutes, seconds=30)
        (following,) = cron.next_slots(after=start, zone=place, count=1)
        assert following == min((slot for slot in slots if slot > start), default=following)


def test_a_slot_follows_the_one_before_when_asked_for_one_at_a_time() -> None:
    berlin, cron = ZoneInfo("Europe/Berlin"), parse("*/20 1-3 * * *\n30 2 * * *")
    slots = cron.next_slots(after=at("2026-10-24T00:00Z"), zone=berlin, count=60)
    slot = at("2026-10-24T00:00Z")
    for expected in slots:
        (slot,) = cron.next_slots(after=slot, zone=berlin, count=1)
        assert slot == expected


def test_after_is_exclusive_and_until_inclusive() -> None:
    utc, hourly = ZoneInfo("UTC"), parse("0 * * * *")
    noon, hour = at("2026-01-01T12:00Z"), timedelta(hours=1)
    assert hourly.next_slots(after=noon, zone=utc, count=1) == [noon + hour]
    assert hourly.next_slots(after=noon - timedelta(microseconds=1), zone=utc, count=1) == [noon]
    assert hourly.slots_between(after=noon, until=noon + hour, zone=utc, limit=9) == [noon + hour]
    assert hourly.slots_between(after=noon, until=noon + 5 * hour, zone=utc, limit=2) == [
        noon + hour,
        noon + 2 * hour,
    ]
    assert hourly.slots_between(after=noon, until=noon - hour, zone=utc, limit=2) == []


def test_after_may_be_in_any_zone() -> None:
    after = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    assert parse("0 * * * *").next_slots(after=after, zone=ZoneInfo("UTC"), count=1) == [
        at("2026-01-01T04:00Z")
    ]


def test_several_lines_are_merged_in_order_and_one_instant_is_one_slot() -> None:
    cron = parse("0 2 * * *\n*/30 2 * * *\n15 2 * * 4")
    slots = cron.next_slots(after=YEAR_2026, zone=ZoneInfo("UTC"), count=4)
    assert slots == [at(f"2026-01-{moment}Z") for moment in ("01T02:00", "01T02:15", "01T02:30", "02T02:00")]


def test_times_shifted_onto_one_instant_are_one_slot() -> None:
    cron = parse("*/10 3 * * *\n0-59 2 * * *\n0 3 * * *")
    slots = cron.next_slots(after=at("2026-03-29T00:30Z"), zone=ZoneInfo("Europe/Berlin"), count=2)
    assert slots == [at("2026-03-29T01:00Z"), at("2026-03-29T01:10Z")]


def test_firings_tell_the_time_and_line_behind_a_shifted_slot() -> None:
    cron = parse("0 3 * * *\n30 2 * * *")
    firings = list(islice(cron.firings(after=at("2026-03-29T00:30Z"), zone=ZoneInfo("Europe/Berlin")), 2))
    assert {(firing.at, firing.wall, firing.line.text) for firing in firings} == {
        (at("2026-03-29T01:00Z"), at("2026-03-29T03:00"), "0 3 * * *"),
        (at("2026-03-29T01:00Z"), at("2026-03-29T02:30"), "30 2 * * *"),
    }


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (datetime(2026, 1, 1), "2026-01-01T00:00:00 has no time zone: expected an aware datetime."),
        (datetime.min.replace(tzinfo=UTC), "is out of range: expected an instant from 1970 to 2499."),
        (datetime.max.replace(tzinfo=UTC), "is out of range: expected an instant from 1970 to 2499."),
        (datetime(2500, 1, 1, tzinfo=UTC), "is out of range: expected an instant from 1970 to 2499."),
    ],
)
def test_an_instant_that_cannot_be_a_start_is_refused(after: datetime, sentence: str) -> None:
    with pytest.raises(InvalidInstant) as refusal:
        parse("0 2 * * *").next_slots(after=after, zone=ZoneInfo("UTC"), count=1)
    assert str(refusal.value).endswith(sentence)


@pytest.mark.parametrize("text", ["* * * * *", "0 0 1 1 *", "0 0 29 2 */7", "0 0 29 2 *\n* * 31 12 *"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_slots_end_with_the_calendar(text: str, zone: str) -> None:
    slots = list(parse(text).slots(after=at("2499-12-31T20:00Z"), zone=ZoneInfo(zone)))
    assert all(slot <= at("2500-01-01T12:00Z") for slot in slots)


@pytest.mark.parametrize("start", ["1970-01-01T00:00Z", "2026-02-28T23:59Z", "2096-03-01T00:00Z"])
def test_the_earliest_start_and_sparse_lines_have_a_next_slot(start: str) -> None:
    for text in ("0 0 29 2 *", "0 0 29 2 */3", "59 23 31 12 *"):
        assert len(parse(text).next_slots(after=at(start), zone=ZoneInfo("America/New_York"), count=3)) == 3


def test_threads_may_ask_at_the_same_time() -> None:
    cron, utc = parse("7 5 11-13 2,8 *"), ZoneInfo("UTC")
    starts = [YEAR_2026 + timedelta(days=97 * number) for number in range(60)]
    answers: list[list[datetime]] = []

    def ask() -> None:
        answers.append([cron.next_slots(after=start, zone=utc, count=1)[0] for start in starts])

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)

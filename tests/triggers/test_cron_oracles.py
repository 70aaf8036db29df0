"""The engine against two oracles: a minute-by-minute Debian cron (debian_cron.py) and the cronsim library.

With Debian it must agree everywhere. From cronsim 2.8 it differs in known ways, each pinned below.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.triggers.debian_cron import debian_runs
from triggers.cron import ClockChange, InvalidCron, clock_changes, parse, zone_names

HOUR = timedelta(hours=1)
ZERO = timedelta(0)
# Most zones change no clocks in most years, so many draws are dropped; on a busy machine that takes a while.
RANDOM = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def ours(text: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    return parse(text).slots_between(after=start, until=end, zone=zone, limit=100_000)


def cronsims(text: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    slots = (slot.astimezone(UTC) for slot in CronSim(text, start.astimezone(zone)))
    return list(dict.fromkeys(takewhile(lambda slot: slot <= end, slots)))


def items(low: int, high: int, steps: int) -> st.SearchStrategy[str]:
    """One item of a field. `a-a/n` is left out: cronsim reads it as `a-last/n` (pinned below)."""
    numbers = st.integers(low, high)
    pairs = st.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1])
    return st.one_of(
        st.just("*"),
        st.integers(1, steps).map(lambda step: f"*/{step}"),
        numbers.map(str),
        pairs.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(pairs, st.integers(1, steps)).map(lambda part: f"{part[0][0]}-{part[0][1]}/{part[1]}"),
    )


def fields(low: int, high: int, steps: int) -> st.SearchStrategy[str]:
    return st.lists(items(low, high, steps), min_size=1, max_size=3).map(",".join)


def lines(*, hours: int = 23, any_day: bool) -> st.SearchStrategy[str]:
    """Random lines; for clock changes mostly of the small hours and of every day, else nothing happens."""
    day_fields = [fields(1, 31, 31), fields(1, 12, 12), fields(0, 7, 7)]
    if any_day:
        day_fields = [st.one_of(st.just("*"), st.just("*"), field) for field in day_fields]
    return st.tuples(fields(0, 59, 60), fields(0, hours, 24), *day_fields).map(" ".join)


@st.composite
def changes(draw: st.DrawFn) -> tuple[ZoneInfo, ClockChange]:
    """A clock change of any zone in tzdata from 1973 (the last offset with seconds ended in 1972) to 2040."""
    zone = ZoneInfo(draw(st.sampled_from(sorted(zone_names()))))
    first = datetime(draw(st.integers(1973, 2040)), 1, 1, tzinfo=UTC)
    found = list(clock_changes(zone=zone, after=first, until=first + timedelta(days=366)))
    assume(found)
    return zone, draw(st.sampled_from(found))


def cronsim_is_known_to_differ(text: str, change: ClockChange) -> bool:
    """The three pinned differences that a random line and change may run into."""
    minute, hour, *_ = text.split()
    if not minute.startswith("*") and not hour.startswith("*"):
        return change.size >= 3 * HOUR or change.size < -3 * HOUR
    off_the_hour = change.wall_before.minute or change.wall_after.minute
    midnight_skipped = change.size > ZERO and change.wall_before.hour == 0
    return bool(off_the_hour or midnight_skipped)


@pytest.mark.slow
@RANDOM
@given(text=lines(hours=5, any_day=True), where=changes())
def test_around_any_clock_change_of_any_zone_the_slots_are_those_of_debians_cron(
    text: str, where: tuple[ZoneInfo, ClockChange]
) -> None:
    zone, change = where
    assume_it_fires(text)
    start, end = change.at - 12 * HOUR, change.at + 24 * HOUR
    slots = ours(text, zone, start, end)
    assert slots == debian_runs(line=text, zone=zone, start=start, end=end)
    if not cronsim_is_known_to_differ(text, change):
        assert slots == cronsims(text, zone, start, end)


@RANDOM
@given(text=lines(any_day=False), day=st.integers(0, 36500))
def test_without_clock_changes_random_lines_agree_with_cronsim(text: str, day: int) -> None:
    assume_it_fires(text)
    utc, start = ZoneInfo("UTC"), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    slots = parse(text).next_slots(after=start, zone=utc, count=20)
    assert slots == cronsims(text, utc, start, slots[-1])


def assume_it_fires(text: str) -> None:
    try:
        parse(text)
    except InvalidCron:
        assume(False)


@pytest.mark.slow
def test_the_next_clock_changes_of_every_zone_are_handled_as_by_debians_cron() -> None:
    first, nights = datetime(2026, 1, 1, tzinfo=UTC), 0
    for name in sorted(zone_names()):
        zone = ZoneInfo(name)
        for change in clock_changes(zone=zone, after=first, until=first + timedelta(days=366)):
            start, end = change.at - 3 * HOUR, change.at + 3 * HOUR
            for text in ("*/20 * * * *", "10,40 0-4,22-23 * * *", "30 */2 * * *"):
                assert ours(text, zone, start, end) == debian_runs(line=text, zone=zone, start=start, end=end)
            nights += 1
    assert nights > 250


@pytest.mark.parametrize("name", sorted({"UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati"}))
def test_a_whole_week_without_changes_agrees_with_both(name: str) -> None:
    zone, start = ZoneInfo(name), datetime(2026, 6, 1, tzinfo=UTC)
    end = start + timedelta(days=7)
    for text in ("*/7 3-9 * * 1-5", "0 */5 1-3 * 5", "15,45 23 */2 * *"):
        slots = ours(text, zone, start, end)
        assert (
            slots
            == cronsims(text, zone, start, end)
            == debian_runs(line=text, zone=zone, start=start, end=end)
        )


@pytest.mark.parametrize(
    ("reason", "text", "zone", "start", "only_ours", "only_cronsims"),
    [
        (
            "a range of one value with a step is that value; cronsim goes on to the end of the field",
            "0 5-5/6 * * *",
            "UTC",
            "2026-01-01T00:00Z",
            [],
            ["2026-01-01T11:00Z", "2026-01-01T17:00Z", "2026-01-01T23:00Z"],
        ),
        (
            "three hours forward are a corrected clock to Debian; cronsim moves the skipped time",
            "30 2 * * *",
            "Antarctica/Casey",
            "2009-10-17T12:00Z",
            [],
            ["2009-10-17T18:00Z"],
        ),
        (
            "a day that never was has no slot; cronsim moves it to the next day's midnight",
            "0 2 * * *",
            "Pacific/Apia",
            "2011-12-29T13:00Z",
            [],
            ["2011-12-30T10:00Z"],
        ),
        (
            "seven hours back are a corrected clock to Debian: the time comes and runs again",
            "30 20 * * *",
            "Antarctica/Vostok",
            "1994-01-31T12:00Z",
            ["1994-01-31T20:30Z"],
            [],
        ),
        (
            "midnight is skipped: a wildcard follows the wall; cronsim takes 01:00 for 00:00",
            "* 0 8 * *",
            "America/Havana",
            "2026-03-08T04:30Z",
            [],
            ["2026-03-08T05:00Z"],
        ),
        (
            "half an hour back: cronsim's hourly steps leave the hour grid and miss a slot",
            "38 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00Z",
            ["2026-04-04T15:08Z"],
            [],
        ),
        (
            "started between the two passes of an hour, cronsim gives a slot that has passed",
            "45 2 * * *",
            "Europe/Berlin",
            "2026-10-25T01:30Z",
            [],
            ["2026-10-25T00:45Z"],
        ),
    ],
)
def test_where_we_differ_from_cronsim_debian_agrees_with_us(
    reason: str, text: str, zone: str, start: str, only_ours: list[str], only_cronsims: list[str]
) -> None:
    place, begin = ZoneInfo(zone), datetime.fromisoformat(start)
    end = begin + timedelta(hours=24)
    slots, sim = ours(text, place, begin, end), cronsims(text, place, begin, end)
    assert sorted(set(slots) - set(sim)) == [datetime.fromisoformat(slot) for slot in only_ours], reason
    assert sorted(set(sim) - set(slots)) == [datetime.fromisoformat(slot) for slot in only_cronsims], reason
    long_before = begin - timedelta(days=2)
    debian = debian_runs(line=text, zone=place, start=long_before, end=end)
    assert slots == [run for run in debian if run > begin]

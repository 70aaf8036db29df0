"""Which zones are known, and when they change their clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from triggers.cron import InvalidZone, clock_changes, validate_zone, zone_names


def test_a_known_zone_is_returned() -> None:
    assert validate_zone("America/New_York") == ZoneInfo("America/New_York")
    assert validate_zone("UTC").key == "UTC"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "Europe/Berln",
            "'Europe/Berln' is not a known time zone. Did you mean Europe/Berlin or ",
        ),
        ("berlin", "'berlin' is not a known time zone. Did you mean Europe/Berlin?"),
        ("new york", "'new york' is not a known time zone. Did you mean America/New_York?"),
        ("europe/berlin", "Did you mean Europe/Berlin"),
        ("", "'' is not a known time zone. Expected a name like Europe/Berlin or UTC."),
        ("../../etc/passwd", "Expected a name like Europe/Berlin or UTC."),
        ("localtime", "'localtime' is not a known time zone."),
        ("x" * 5000, f"'{'x' * 100}' is not a known time zone."),
        ("Europe/Berlin\0", "is not a known time zone."),
    ],
)
def test_an_unknown_zone_is_refused_with_near_names(name: str, sentence: str) -> None:
    with pytest.raises(InvalidZone) as refusal:
        validate_zone(name)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("Europe/Berlin", [("2026-03-29T01:00Z", 60), ("2026-10-25T01:00Z", -60)]),
        ("America/New_York", [("2026-03-08T07:00Z", 60), ("2026-11-01T06:00Z", -60)]),
        ("Australia/Lord_Howe", [("2026-04-04T15:00Z", -30), ("2026-10-03T15:30Z", 30)]),
        ("Africa/Casablanca", [("2026-02-15T02:00Z", -60), ("2026-03-22T02:00Z", 60)]),
        ("Asia/Kolkata", []),
    ],
)
def test_the_clock_changes_of_2026_are_found_to_the_second(zone: str, changes: list[tuple[str, int]]) -> None:
    found = clock_changes(
        zone=ZoneInfo(zone), after=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert [(change.at, change.size) for change in found] == [
        (datetime.fromisoformat(at), timedelta(minutes=minutes)) for at, minutes in changes
    ]


def test_a_change_counts_after_the_start_and_up_to_the_end() -> None:
    berlin, change = ZoneInfo("Europe/Berlin"), datetime.fromisoformat("2026-03-29T01:00Z")
    second = timedelta(seconds=1)

    def found(after: datetime, until: datetime) -> list[datetime]:
        return [change.at for change in clock_changes(zone=berlin, after=after, until=until)]

    assert found(change - second, change + second) == [change]
    assert found(change - timedelta(days=1, microseconds=5), change) == [change]
    assert found(change, change + timedelta(days=3)) == []
    assert found(change - timedelta(days=3), change - second) == []


def test_every_name_on_offer_can_be_loaded() -> None:
    for name in zone_names():
        assert validate_zone(name).utcoffset(datetime(2026, 1, 1)) is not None

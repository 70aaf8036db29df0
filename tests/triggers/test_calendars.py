"""triggers.calendars and Calendar: when a calendar is closed, by its own wall clock, and what it refuses."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError

from triggers import calendars
from triggers.models import Calendar


@pytest.mark.parametrize(
    ("line", "closed", "still_open"),
    [
        ("Sat", ["2026-11-21 00:00", "2026-11-28 23:59"], ["2026-11-20 23:59", "2026-11-22 00:00"]),
        ("sunday Rest", ["2026-11-22 12:00"], ["2026-11-21 12:00"]),
        ("12-25 Christmas", ["2026-12-25 00:00", "2031-12-25 23:59"], ["2026-12-26 00:00"]),
        (
            "12-24 to 01-01",
            ["2026-12-31 10:00", "2027-01-01 10:00"],
            ["2026-12-23 10:00", "2027-01-02 10:00"],
        ),
        ("02-29", ["2028-02-29 01:00"], ["2026-03-01 01:00", "2026-02-28 01:00"]),
        ("2026-05-01 Labour Day", ["2026-05-01 09:00"], ["2027-05-01 09:00"]),
        ("2026-08-03 to 2026-08-14", ["2026-08-03 00:00", "2026-08-14 23:59"], ["2026-08-15 00:00"]),
        (
            "2026-11-30 22:00 to 2026-12-01 06:00 Move",
            ["2026-11-30 22:00", "2026-12-01 05:59"],
            ["2026-11-30 21:59", "2026-12-01 06:00"],
        ),
        ("2026-11-30 22:00", ["2026-11-30 22:00"], ["2026-11-30 22:01"]),
        ("22:00 to 06:00 Backup", ["2026-01-01 22:00", "2026-01-02 05:59"], ["2026-01-01 06:00"]),
        ("12:00 to 13:00", ["2026-01-01 12:59"], ["2026-01-01 13:00", "2026-01-01 11:59"]),
    ],
)
def test_a_line_says_when_a_calendar_is_closed(line: str, closed: list[str], still_open: list[str]) -> None:
    periods = calendars.parse(f"\n{line}\n")
    assert all(calendars.closing(periods, datetime.fromisoformat(at)) for at in closed)
    assert not any(calendars.closing(periods, datetime.fromisoformat(at)) for at in still_open)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Caturday!", "expected a weekday"),
        ("2026-13-01", "month must be in 1..12"),
        ("02-30", "day"),
        ("2026-08-14 to 2026-08-03", "ends before it begins"),
        ("22:00", "expected a weekday"),
        ("22:00 to 22:00", "ends when it begins"),
        ("25:00 to 26:00", "hour must be in 0..23"),
        ("12-24 to 2026-12-26", "expected a weekday"),
        ("12-24 10:00 to 12-24 11:00", "expected a weekday"),
        ("12-24 " + "x" * 200, "expected at most 200"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(calendars.InvalidPeriod) as refusal:
        calendars.parse(f"Sat\n{line}")
    assert "Line 2" in str(refusal.value)
    assert said in str(refusal.value)
    with pytest.raises(ValidationError):
        Calendar(name="Broken", closed=line).full_clean(validate_unique=False)


def test_a_calendar_reads_the_clock_of_its_own_zone() -> None:
    calendar = Calendar(name="Holidays", timezone="Pacific/Auckland", closed="2026-12-25 Christmas")
    assert calendar.closing(datetime(2026, 12, 24, 11, 0, tzinfo=UTC)) == (
        "blackout Holidays (2026-12-25 Christmas)"
    )
    assert not calendar.closing(datetime(2026, 12, 25, 11, 0, tzinfo=UTC))

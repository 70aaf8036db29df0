"""A schedule in words says what its slots do."""

from __future__ import annotations

import pytest

from triggers.cron import describe, parse


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 2 * * *", "Daily at 2:00 AM"),
        ("@daily", "Daily at 12:00 AM"),
        ("0 12 * * *", "Daily at 12:00 PM"),
        ("0 2,14 * * *", "Daily at 2:00 AM and 2:00 PM"),
        ("15,45 6 * * *", "Daily at 6:15 AM and 6:45 AM"),
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("5-59/15 * * * *", "Every 15 minutes from minute 5"),
        ("@hourly", "Every hour"),
        ("7 * * * *", "Every hour at minute 7"),
        ("0 */6 * * *", "Every 6 hours"),
        ("30 1-23/2 * * *", "Every 2 hours from 1:30 AM through 11:30 PM"),
        ("0 9-17 * * 1-5", "Every hour from 9:00 AM through 5:00 PM on Monday through Friday"),
        ("*/15 9-17 * * *", "Every 15 minutes from 9:00 AM through 5:45 PM"),
        ("* 2 * * *", "Every minute from 2:00 AM through 2:59 AM"),
        ("10-20 3 * * *", "Every minute from 3:10 AM through 3:20 AM"),
        (
            "0,30 8-10,14-16 * * *",
            "At minutes 0 and 30 of the hours 8:00 AM through 10:00 AM and 2:00 PM through 4:00 PM",
        ),
        ("0 0 * * 1", "At 12:00 AM on Monday"),
        ("0 0 * * 6,0", "At 12:00 AM on Saturday and Sunday"),
        ("0 0 * * 5-7", "At 12:00 AM on Friday through Sunday"),
        ("0 0 1,15 * *", "At 12:00 AM on days 1 and 15 of the month"),
        ("@yearly", "At 12:00 AM on day 1 of January"),
        ("0 0 1 */3 *", "At 12:00 AM on day 1 of January, April, July and October"),
        ("0 0 * JAN-MAR *", "Daily at 12:00 AM in January through March"),
        ("0 0 * 6 MON", "At 12:00 AM on Monday in June"),
    ],
)
def test_a_line_is_put_into_words(text: str, words: str) -> None:
    assert describe(parse(text)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0 13 * 5", "At 12:00 AM on day 13 of the month or on Friday"),
        ("0 0 13 6 5", "At 12:00 AM on day 13 of the month or on Friday in June"),
        ("0 0 */2 * 1", "At 12:00 AM on Monday if the day of the month is 1, 3 … 31"),
        ("0 0 1-7 * */7", "At 12:00 AM on Sunday if the day of the month is 1 through 7"),
        ("0 0 1-31 * 5", "Daily at 12:00 AM"),
        ("0 0 */5 * *", "At 12:00 AM on days 1, 6 … 31 of the month"),
        ("0 0 * * */2", "At 12:00 AM on Tuesday, Thursday, Saturday and Sunday"),
        ("*/7 * * * *", "At minutes 0, 7 … 56 of every hour"),
        ("0 */5 * * *", "Every 5 hours from 12:00 AM through 8:00 PM"),
        ("0 5-5 * * *", "Daily at 5:00 AM"),
        ("*,5 * * * *", "Every minute"),
    ],
)
def test_words_do_not_claim_what_the_text_only_seems_to_say(text: str, words: str) -> None:
    assert describe(parse(text)) == words


def test_several_lines_are_joined() -> None:
    assert (
        describe(parse("0 2 * * *\n30 9 * * 1-5")) == "Daily at 2:00 AM; at 9:30 AM on Monday through Friday"
    )

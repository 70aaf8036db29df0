"""What a cron text may say, and the sentences with which it is refused."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.cron import Cron, InvalidCron, parse
from triggers.cron.lines import WORDS, Line


def only_line(text: str) -> Line:
    (line,) = parse(text).lines
    return line


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("5 * * * *", "minute", [5]),
        ("05 * * * *", "minute", [5]),
        ("*/15 * * * *", "minute", [0, 15, 30, 45]),
        ("10-50/20 * * * *", "minute", [10, 30, 50]),
        ("0-20/10,40-41 * * * *", "minute", [0, 10, 20, 40, 41]),
        ("*/60 * * * *", "minute", [0]),
        ("* 5-5 * * *", "hour", [5]),
        ("* 5-5/3 * * *", "hour", [5]),
        ("* 0-23/8 * * *", "hour", [0, 8, 16]),
        ("* * */10 * *", "day", [1, 11, 21, 31]),
        ("* * * JAN,mar,Dec *", "month", [1, 3, 12]),
        ("* * * feb-APR *", "month", [2, 3, 4]),
        ("* * * * MON-FRI", "weekday", [1, 2, 3, 4, 5]),
        ("* * * * 5-7", "weekday", [0, 5, 6]),
        ("* * * * 7", "weekday", [0]),
        ("* * * * 0-7", "weekday", [0, 1, 2, 3, 4, 5, 6]),
        ("* * * * 1-7/2", "weekday", [0, 1, 3, 5]),
        ("* * * * */2", "weekday", [0, 2, 4, 6]),
        ("* * * * sun,SAT", "weekday", [0, 6]),
    ],
)
def test_a_field_stands_for_these_values(text: str, field: str, values: list[int]) -> None:
    assert list(getattr(only_line(text), field).values) == values


@pytest.mark.parametrize(
    ("text", "wildcard"),
    [
        ("* 2 * * *", True),
        ("*/5 2 * * *", True),
        ("0 * * * *", True),
        ("0 */2 * * *", True),
        ("*,5 2 * * *", True),
        ("@hourly", True),
        ("0 0-23/2 * * *", False),
        ("0-59 0-23 * * *", False),
        ("5,* 2 * * *", False),
        ("0 2 * * *", False),
        ("@daily", False),
    ],
)
def test_a_line_is_a_wildcard_if_its_minute_or_hour_field_starts_with_a_star(
    text: str, wildcard: bool
) -> None:
    assert only_line(text).wildcard is wildcard


@pytest.mark.parametrize(("word", "fields"), WORDS.items())
def test_a_word_is_the_same_as_its_five_fields(word: str, fields: str) -> None:
    worded, plain = only_line(word.upper()), only_line(fields)
    assert (worded.times, worded.days, worded.wildcard) == (plain.times, plain.days, plain.wildcard)
    assert worded.text == word.upper()


def test_the_times_of_a_day_ascend() -> None:
    assert only_line("30,0 14,2 * * *").times == (time(2), time(2, 30), time(14), time(14, 30))


def test_spaces_tabs_and_empty_lines_do_not_matter() -> None:
    assert parse(" 0\t2  * * * \r\n\n  30 4 * * 1\n").text == "0 2 * * *\n30 4 * * 1"


def test_equal_texts_are_equal_values() -> None:
    assert Cron(parse("0 2 * * *").lines) == parse("0 2 * * *")
    assert hash(parse("0 2 * * *")) == hash(Cron(parse("0 2 * * *").lines))


FIVE = "5 (minute, hour, day of month, month, day of week)"
NO_EXTRAS = "seconds, years, user names and commands don't belong here"


@pytest.mark.parametrize(
    ("text", "field", "sentence"),
    [
        ("61 * * * *", "minute", "61 in the minute field '61' is out of range: expected 0 to 59."),
        ("0,60 * * * *", "minute", "60 in the minute field '0,60' is out of range: expected 0 to 59."),
        ("* 24 * * *", "hour", "24 in the hour field '24' is out of range: expected 0 to 23."),
        ("* * 0 * *", "day of month", "0 in the day of month field '0' is out of range: expected 1 to 31."),
        (
            "* * * 13 *",
            "month",
            "13 in the month field '13' is out of range: expected 1 to 12 or JAN to DEC.",
        ),
        (
            "* * * * 8",
            "day of week",
            "8 in the day of week field '8' is out of range: "
            "expected 0 to 7 (0 and 7 are Sunday) or SUN to SAT.",
        ),
        ("* MON * * *", "hour", "'MON' in the hour field 'MON' is not understood: expected 0 to 23."),
        (
            "* * * January *",
            "month",
            "'JANUARY' in the month field 'January' is not understood: expected 1 to 12 or JAN to DEC.",
        ),
        (
            "-1 * * * *",
            "minute",
            "'-1' in the minute field '-1' is not understood: expected 0 to 59.",
        ),
        ("*-5 * * * *", "minute", "'*-5' in the minute field '*-5' is not understood: expected 0 to 59."),
        ("1,,2 * * * *", "minute", "The minute field '1,,2' has an empty value: expected 0 to 59."),
        (
            "*/0 * * * *",
            "minute",
            "The step 0 in the minute field '*/0' is out of range: expected 1 to 60.",
        ),
        (
            "*/90 * * * *",
            "minute",
            "The step 90 in the minute field '*/90' is out of range: expected 1 to 60.",
        ),
        (
            "0-99999999999/1 * * * *",
            "minute",
            "99999999999 in the minute field '0-99999999999/1' is out of range: expected 0 to 59.",
        ),
        (
            "* * * * */8",
            "day of week",
            "The step 8 in the day of week field '*/8' is out of range: expected 1 to 7.",
        ),
        (
            "5/15 * * * *",
            "minute",
            "'5/15' in the minute field has a step without a range: write 5-59/15 or */15.",
        ),
        (
            "* * * * FRI-SUN",
            "day of week",
            "The range 'FRI-SUN' in the day of week field runs backwards: write 5-7.",
        ),
        (
            "* * * * 5-1",
            "day of week",
            "The range '5-1' in the day of week field runs backwards: write 5-7,1.",
        ),
        (
            "* 22-6 * * *",
            "hour",
            "The range '22-6' in the hour field runs backwards: write 22-23,0-6.",
        ),
        ("30 2 31 2 *", "day of month", "'30 2 31 2 *' never fires: no month of '2' has day 31."),
        (
            "0 0 31 4,6,9,11 */2",
            "day of month",
            "'0 0 31 4,6,9,11 */2' never fires: no month of '4,6,9,11' has day 31.",
        ),
        ("@reboot", None, "'@reboot' names no time: expected five fields or a word such as @daily."),
        (
            "@noon",
            None,
            "'@noon' is not understood: "
            "expected one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually.",
        ),
        (
            "@daily now",
            None,
            "'@daily now' is not understood: "
            "expected one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually.",
        ),
        ("* * * *", None, f"'* * * *' has 4 fields: expected {FIVE}."),
        ("nonsense", None, f"'nonsense' has 1 field: expected {FIVE}."),
        ("0 0 2 * * *", None, f"'0 0 2 * * *' has 6 fields: expected {FIVE}; {NO_EXTRAS}."),
        ("٣ * * * *", None, "'٣' is not understood: expected digits, letters, spaces and * , - / @."),
        (
            "0\u00a02 * * *",
            None,
            "'\u00a0' is not understood: expected digits, letters, spaces and * , - / @.",
        ),
        ("", None, "The schedule is empty: expected five fields such as '0 2 * * *'."),
        (" \n ", None, "The schedule is empty: expected five fields such as '0 2 * * *'."),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_field_and_what_was_expected(
    text: str, field: str | None, sentence: str
) -> None:
    with pytest.raises(InvalidCron) as refusal:
        parse(text)
    assert (str(refusal.value), refusal.value.field) == (sentence, field)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("0 0 L * *", "day of month"),
        ("0 0 LW * *", "day of month"),
        ("0 0 L-3 * *", "day of month"),
        ("0 0 15W * *", "day of month"),
        ("0 0 ? * *", "day of month"),
        ("0 0 * * 5#3", "day of week"),
        ("0 0 * * 5L", "day of week"),
        ("0 0 * * FRIL", "day of week"),
        ("H 0 * * *", "minute"),
        ("H/15 0 * * *", "minute"),
        ("H(0-29)/10 0 * * *", "minute"),
        ("R 0 * * *", "minute"),
    ],
)
def test_extensions_of_other_crons_are_refused_by_name(text: str, field: str) -> None:
    with pytest.raises(InvalidCron, match=r"is not supported \(no L, W, #, \?, R and H here\)") as refusal:
        parse(text)
    assert refusal.value.field == field


def test_a_wrong_line_among_several_is_named_by_its_number() -> None:
    with pytest.raises(InvalidCron, match=r"^Line 3: 25 in the hour field") as refusal:
        parse("0 2 * * *\n\n0 25 * * *")
    assert (refusal.value.line, refusal.value.field) == (3, "hour")


def test_a_line_of_200_characters_is_read_and_one_of_201_refused() -> None:
    longest = "0" * 191 + " 2 * * *"
    assert only_line(longest + " ").times == (time(2),)
    with pytest.raises(InvalidCron, match="The line has 201 characters: expected at most 200"):
        parse(longest + "  ")


def test_20_lines_are_read_and_21_refused() -> None:
    assert len(parse("0 2 * * *\n" * 20).lines) == 20
    with pytest.raises(InvalidCron, match="The schedule has 21 lines: expected at most 20"):
        parse("0 2 * * *\n" * 21)


@given(st.text(alphabet="0123456789*/-,LW#?HRMONJAN@ \t\n", max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        outcome = f"{len(parse(text).lines)} lines."
    except InvalidCron as refusal:
        outcome = str(refusal)
    assert outcome.endswith(".")

"""runs.logs: lines are numbered, capped, masked and harmless; a fenced writer writes nothing."""

import pytest
from pytest_django import Settings

from jobs.executors import Succeeded
from runs import lifecycle, logs
from runs.claims import Claim
from runs.logs import LogWriter, masker
from runs.models import LogChunk
from tests.factories import claim_one, make_run, make_slot

pytestmark = pytest.mark.django_db


def writer_of(claim: Claim, *, secrets: tuple[str, ...] = ()) -> LogWriter:
    return LogWriter(run_id=claim.id, attempt=claim.attempt, token=claim.token, mask=masker(secrets))


@pytest.fixture
def claimed() -> Claim:
    make_run()
    return claim_one(make_slot())


def texts(claim: Claim, after: int = 0, limit: int = 500) -> list[str]:
    return [line.text for line in logs.lines(claim.id, after=after, limit=limit)]


def test_lines_are_numbered_without_gaps_over_flushes(claimed: Claim) -> None:
    writer = writer_of(claimed)
    writer.write("one")
    writer.flush()
    writer.write("two\nthree", level="error")
    writer.flush()
    found = logs.lines(claimed.id)
    assert [(line.seq, line.level, line.text) for line in found] == [
        (1, "info", "one"),
        (2, "error", "two"),
        (3, "error", "three"),
    ]
    assert texts(claimed, after=2) == ["three"]
    assert texts(claimed, limit=1) == ["one"]
    assert logs.last_seq(claimed.id) == 3


def test_numbers_go_on_in_the_next_attempt(claimed: Claim) -> None:
    writer = writer_of(claimed)
    writer.write("first attempt")
    writer.flush()
    lifecycle.give_back([(claimed.id, claimed.token)])
    again = writer_of(claim_one(make_slot()))
    again.write("second attempt")
    again.flush()
    assert [(line.seq, line.text) for line in logs.lines(claimed.id)] == [
        (1, "first attempt"),
        (2, "second attempt"),
    ]


def test_who_lost_the_claim_writes_nothing(claimed: Claim) -> None:
    zombie = writer_of(claimed)
    zombie.write("before")
    zombie.flush()
    lifecycle.give_back([(claimed.id, claimed.token)])
    zombie.write("after")
    zombie.flush()
    assert texts(claimed) == ["before"]


def test_nothing_is_added_to_a_run_that_has_ended(claimed: Claim) -> None:
    writer = writer_of(claimed)
    lifecycle.settle([(claimed, Succeeded())])
    writer.write("late")
    writer.flush()
    assert texts(claimed) == []


def test_a_long_line_is_cut_and_says_so(claimed: Claim, settings: Settings) -> None:
    settings.LOG_LINE_LIMIT = 10
    writer = writer_of(claimed)
    writer.write("x" * 25)
    writer.flush()
    assert texts(claimed) == ["xxxxxxxxxx … [15 more characters of this line were cut]"]


def test_a_flood_is_cut_once_with_a_visible_note(claimed: Claim, settings: Settings) -> None:
    settings.LOG_RUN_LIMIT = 10_000
    writer = writer_of(claimed)
    for number in range(3000):
        writer.write(f"line {number}")
        if number % 100 == 0:
            writer.flush()
    writer.flush()
    found = texts(claimed)
    assert found[-1] == "[log cut: more than 10000 bytes in this run]"
    assert len(found) < 600
    assert sum(text.startswith("[log cut") for text in found) == 1


def test_secrets_are_masked_before_they_are_stored(claimed: Claim) -> None:
    writer = writer_of(claimed, secrets=("hunter22", "abc"))
    writer.write("password=hunter22 and abc")
    writer.flush()
    assert texts(claimed) == ["password=•••••• and abc"]
    assert "hunter22" not in str(LogChunk.objects.get().lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("a\0b", "ab"),
        ("bell\x07", "bell"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("half \ud800", "half \N{REPLACEMENT CHARACTER}"),
        ("tab\there", "tab\there"),
        ("crlf\r\n", "crlf"),
    ],
)
def test_control_sequences_are_harmless(text: str, shown: str) -> None:
    assert logs.harmless(text) == shown


def test_a_big_log_is_stored_in_chunks_and_read_in_order(claimed: Claim) -> None:
    writer = writer_of(claimed)
    for number in range(1300):
        writer.write(f"line {number}")
    writer.flush()
    assert LogChunk.objects.count() == 3
    assert texts(claimed, after=1298) == ["line 1298", "line 1299"]
    assert "".join(logs.text(claimed.id)).count("\n") == 1300


def test_each_line_of_a_secret_with_several_lines_is_masked(claimed: Claim) -> None:
    writer = writer_of(claimed, secrets=("-----BEGIN KEY-----\nabcdsecret\n-----END KEY-----",))
    writer.write("key:\n-----BEGIN KEY-----\nabcdsecret\n-----END KEY-----")
    writer.flush()
    assert texts(claimed) == ["key:", "••••••", "••••••", "••••••"]

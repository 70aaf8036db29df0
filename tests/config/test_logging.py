"""How log lines look."""

import logging
import sys

import pytest
from billiard.exceptions import WorkerLostError

from config.logging import KnownEnd, logging_settings


def record_of(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        return logging.LogRecord("x", logging.ERROR, "", 0, "it ended", (), sys.exc_info())


def test_the_end_of_a_killed_slot_is_one_line() -> None:
    record = record_of(WorkerLostError("signal 9"))
    assert KnownEnd().filter(record)
    assert record.exc_info is None


def test_any_other_error_keeps_its_traceback() -> None:
    record = record_of(ValueError("x"))
    assert KnownEnd().filter(record)
    assert record.exc_info is not None


@pytest.mark.parametrize("style", ["console", "json"])
def test_what_a_stranger_sends_is_no_line_of_its_own_and_steers_no_terminal(style: str) -> None:
    sent = "/x\r\n2026-01-01 [info] all is well\x1b[2J\x9b31m\u2028"
    made = logging_settings(level="INFO", style=style)["formatters"]["structured"]
    formatter = made.pop("()")(**made)
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Not Found: %s", (sent,), None)
    line = formatter.format(record)
    assert "all is well" in line
    assert line.isprintable()

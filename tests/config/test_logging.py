"""How log lines look."""

import logging
import sys

from billiard.exceptions import WorkerLostError

from config.logging import KnownEnd


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

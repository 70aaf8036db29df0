"""The clock of a slot, which stays set from one attempt to the next, and streams that outlive their attempt."""

import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs import registry
from jobs.executors import Outcome, Succeeded, timer
from tests.jobs.contexts import RecordingContext
from tests.jobs.test_python_executor import failed
from tests.jobs.test_python_executor import run as run_first


@pytest.fixture(autouse=True)
def slot(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_definitions", {})
    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(timer, "_clock", timer._Clock())
    timer.stay()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


def run(
    function: Callable[..., Any], context: RecordingContext, *, timeout_seconds: float | None = 20
) -> Outcome:
    registry._definitions.clear()
    return run_first(function, context, timeout_seconds=timeout_seconds)


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_clock_that_an_earlier_attempt_set_ends_no_later_one(context: RecordingContext) -> None:
    assert run(lambda: None, context, timeout_seconds=1) == Succeeded(result=None)
    assert run(lambda: spin(1.2), context, timeout_seconds=20) == Succeeded(result=None)


def test_rung_for_an_earlier_attempt_it_is_set_anew_for_this_one(context: RecordingContext) -> None:
    run(lambda: None, context, timeout_seconds=0.1)
    assert failed(run(lambda: spin(20), context, timeout_seconds=0.4)).reason == "timeout"


def test_the_shorter_deadline_of_a_later_attempt_counts(context: RecordingContext) -> None:
    run(lambda: None, context, timeout_seconds=20)
    assert failed(run(lambda: spin(20), context, timeout_seconds=0.1)).reason == "timeout"
    assert run(lambda: spin(0.01), context, timeout_seconds=20) == Succeeded(result=None)


def test_a_deadline_that_job_code_moved_is_kept(context: RecordingContext) -> None:
    def extend(context) -> None:  # type: ignore[no-untyped-def]
        context.extend(0.3)
        spin(20)

    began = time.monotonic()
    assert failed(run(extend, context, timeout_seconds=1)).reason == "timeout"
    assert time.monotonic() - began >= 1.3


def test_job_code_that_takes_the_signal_takes_no_time_limit_from_the_next_attempt(
    context: RecordingContext,
) -> None:
    def take() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)

    run(take, context, timeout_seconds=20)
    assert failed(run(lambda: spin(20), context, timeout_seconds=0.1)).reason == "timeout"


def test_job_code_that_used_the_clock_takes_no_time_limit_from_the_next_slice(
    context: RecordingContext,
) -> None:
    def stop_the_clock() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    run(stop_the_clock, context, timeout_seconds=0.2)
    timer.renew()
    assert failed(run(lambda: spin(20), context, timeout_seconds=0.2)).reason == "timeout"


def test_a_stream_is_one_like_stdout(context: RecordingContext) -> None:
    def look() -> list[object]:
        sys.stdout.buffer.write(b"bytes\n")
        with sys.stderr as stream:
            stream.write("text\n")
        return [isinstance(sys.stdout, io.TextIOBase), sys.stdout.encoding, sys.stdout.writable()]

    assert run(look, context) == Succeeded(result=[True, "utf-8", True])
    assert context.lines == [("info", "bytes"), ("warning", "text")]


def test_words_of_a_thread_that_outlives_its_attempt_belong_to_no_run(context: RecordingContext) -> None:
    later, threads = threading.Event(), list[threading.Thread]()

    def leave_behind() -> None:
        stream = sys.stdout  # as a logging handler of the job's would hold it

        def speak() -> None:
            later.wait(60)
            stream.write("late\n")

        threads.append(threading.Thread(target=speak))
        threads[0].start()

    def end() -> None:
        later.set()
        threads[0].join()
        print("mine")

    run(leave_behind, context)
    run(end, context)
    assert context.lines == [("info", "mine")]

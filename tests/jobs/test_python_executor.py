"""Jobs that are Python functions: what they print, return, raise and refuse to stop."""

import decimal
import enum
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

import psutil
import pytest
from django.db import connection
from pytest_django import Settings

from jobs import executors, registry
from jobs.executors import (
    Cancelled,
    Failed,
    Interrupted,
    InvalidConfiguration,
    JobContext,
    Outcome,
    Succeeded,
    interruption,
)
from tests.jobs.contexts import RecordingContext, a_launch


@pytest.fixture(autouse=True)
def short_grace_and_no_other_jobs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CANCEL_GRACE_SECONDS = 0.3
    monkeypatch.setattr(registry, "_definitions", {})


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Sends the signal whose handler, as a slot's, delivers an Interrupted."""
    before = signal.signal(signal.SIGUSR1, lambda *_: interruption.deliver(Interrupted()))
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def run(
    function: Callable[..., Any],
    context: RecordingContext,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout_seconds: float | None = 20,
    **policies: Any,
) -> Outcome:
    """Declares `function` as a job and carries one attempt of it out."""
    registry.job("sample", **policies)(function)
    launch = a_launch("python", parameters=parameters, timeout_seconds=timeout_seconds)
    return executors.get("python").execute(launch, context)


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


# What a function is given


def test_a_function_gets_its_parameters_by_name(context: RecordingContext) -> None:
    def add(left: int, right: int = 2) -> int:
        return left + right

    assert run(add, context, {"left": 40}) == Succeeded(result=42)


def test_a_first_parameter_named_context_gets_the_context(context: RecordingContext) -> None:
    def who(context, more: int = 0):  # type: ignore[no-untyped-def]
        return [context.run_id, context.attempt]

    assert run(who, context) == Succeeded(result=[7, 2])


def test_a_first_parameter_annotated_as_context_gets_it_under_any_name(context: RecordingContext) -> None:
    def who(job: JobContext) -> int:
        job.progress(1, 2, "half")
        return job.run_id

    assert run(who, context) == Succeeded(result=7)
    assert context.progressed == [(1, 2, "half")]


class Colour(enum.Enum):
    RED = "red"


def test_values_arrive_as_their_annotations_promise(context: RecordingContext) -> None:
    def check(at: datetime, colour: Colour, days: list[date], maybe: uuid.UUID | None = None) -> list[str]:
        return [type(value).__name__ for value in (at, colour, days[0], maybe)]

    parameters = {"at": "2024-01-31T09:30:00Z", "colour": "red", "days": ["2024-01-31"], "maybe": None}
    assert run(check, context, parameters) == Succeeded(result=["datetime", "Colour", "date", "NoneType"])


def test_a_job_may_name_the_function_it_calls(context: RecordingContext) -> None:
    registry.job("sample")(lambda: 1)
    launch = a_launch("python", {"function": "sample"}, job="another-job")
    assert executors.get("python").execute(launch, context) == Succeeded(result=1)


def test_a_vanished_function_is_broken_and_the_nearest_one_is_named(context: RecordingContext) -> None:
    registry.job("daily-report")(lambda: 1)
    outcome = failed(executors.get("python").execute(a_launch("python", job="daily-raport"), context))
    assert (outcome.reason, outcome.retryable) == ("broken", False)
    assert "'daily-raport'; did you mean 'daily-report'?" in outcome.message


def test_a_module_of_jobs_that_cannot_be_imported_is_named(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_import_errors", {"shop.jobs": "SyntaxError"})
    outcome = failed(executors.get("python").execute(a_launch("python", job="gone"), context))
    assert "could not be imported: shop.jobs" in outcome.message


def test_the_function_of_a_configuration_must_be_a_text() -> None:
    with pytest.raises(InvalidConfiguration, match="'function' is 7; expected the slug"):
        executors.get("python").check({"function": 7})


# What a function says


def test_prints_warnings_and_logging_go_to_the_log_line_by_line(context: RecordingContext) -> None:
    def talk() -> None:
        print("one\ntwo", end="")
        print(" three")
        print("oh", file=sys.stderr)
        logging.getLogger("shop").error("no %s", "stock")
        logging.getLogger("shop").warning("little stock")
        print("no end of line", end="")

    assert run(talk, context) == Succeeded(result=None)
    assert context.lines == [
        ("info", "one"),
        ("info", "two three"),
        ("warning", "oh"),
        ("error", "no stock"),
        ("warning", "little stock"),
        ("info", "no end of line"),
    ]


def test_a_logged_exception_is_shown_with_its_traceback(context: RecordingContext) -> None:
    def stumble() -> None:
        try:
            raise KeyError("apples")
        except KeyError:
            logging.getLogger("shop").exception("It broke")

    run(stumble, context)
    assert context.lines[0] == ("error", "It broke")
    assert context.lines[-1] == ("error", "KeyError: 'apples'")


def test_a_progress_bar_is_one_line(context: RecordingContext) -> None:
    def bar() -> None:
        for percent in (10, 50, 100):
            print(f"\r{percent} %", end="", flush=True)
        print()

    run(bar, context)
    assert context.lines == [("info", "100 %")]


def test_threads_of_a_job_are_heard_too(context: RecordingContext) -> None:
    def work() -> None:
        threads = [threading.Thread(target=print, args=(f"line {number}",)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(work, context)
    assert sorted(line for _, line in context.lines) == sorted(f"line {number}" for number in range(20))


def test_afterwards_streams_and_logging_are_as_they_were(context: RecordingContext) -> None:
    root = logging.getLogger()
    before = sys.stdout, sys.stderr, list(root.handlers), root.level

    def meddle() -> None:
        logging.getLogger().setLevel(logging.DEBUG)
        raise SystemExit

    run(meddle, context)
    assert (sys.stdout, sys.stderr, list(root.handlers), root.level) == before


def test_a_stream_kept_beyond_the_job_speaks_to_nobody(context: RecordingContext) -> None:
    kept: list[Any] = []

    def keep() -> None:
        kept.append(sys.stdout)

    run(keep, context)
    print("who hears me?", file=kept[0])
    assert context.lines == []


# What a function returns


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"at": datetime(2024, 1, 31, 9, 30, tzinfo=UTC)}, {"at": "2024-01-31T09:30:00Z"}),
        (date(2024, 1, 31), "2024-01-31"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ((1, "two", None), [1, "two", None]),
        ({1: "key"}, {"1": "key"}),
        (10**30, 10**30),
    ],
)
def test_results_become_plain_json(context: RecordingContext, value: Any, result: Any) -> None:
    assert run(lambda: value, context) == Succeeded(result=result)


def _endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), float("inf"), {(1, 2): 3}, _endless()])
def test_a_result_that_is_no_json_fails_with_a_sentence(context: RecordingContext, value: Any) -> None:
    outcome = failed(run(lambda: value, context))
    assert outcome.message.startswith("The result is not JSON")
    assert not outcome.retryable


def test_a_result_that_is_too_large_says_how_large(context: RecordingContext, settings: Settings) -> None:
    settings.RESULT_LIMIT = 1000
    outcome = failed(run(lambda: "x" * 2000, context))
    assert "2002 bytes of JSON; expected at most 1000" in outcome.message


# What a function raises


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no apples"), "ValueError", "no apples"),
        (SystemExit(0), "SystemExit", "sys.exit(0)"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (MemoryError(), "MemoryError", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (BaseException("bare"), "BaseException", "bare"),
        (Unprintable(), "tests.jobs.test_python_executor.Unprintable", "can't be shown: RuntimeError"),
        (ExceptionGroup("many", [ValueError("a"), TypeError("b")]), "ExceptionGroup", "many"),
    ],
)
@pytest.mark.parametrize("isolated", [False, True])
def test_whatever_is_raised_is_an_outcome(
    context: RecordingContext, error: BaseException, kind: str, message: str, isolated: bool
) -> None:
    def stumble() -> None:
        raise error

    outcome = failed(run(stumble, context, isolated=isolated))
    assert (outcome.reason, outcome.type, outcome.retryable) == ("error", kind, True)
    assert message in outcome.message
    assert "in stumble" in outcome.traceback


def test_the_traceback_shows_the_jobs_frames_and_causes_and_none_of_ours(context: RecordingContext) -> None:
    def inner() -> None:
        raise KeyError("apples")

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError("no apples") from error

    trace = failed(run(outer, context)).traceback
    assert trace.index("in inner") < trace.index("direct cause") < trace.index("ValueError: no apples")
    assert "executors" not in trace


def test_endless_recursion_gives_a_short_traceback(context: RecordingContext) -> None:
    def dig() -> None:
        dig()

    outcome = failed(run(dig, context))
    assert outcome.type == "RecursionError"
    assert len(outcome.traceback) < 17_000


def test_a_huge_message_is_cut_in_its_middle(context: RecordingContext) -> None:
    def shout() -> None:
        raise ValueError("a" * 10_000 + "end")

    message = failed(run(shout, context)).message
    assert len(message) < 5_000
    assert message.endswith("end")


# When a function must stop


def test_code_that_swallows_the_time_out_gets_it_again(context: RecordingContext) -> None:
    def stubborn(context: JobContext) -> None:
        for _ in range(2):
            try:
                time.sleep(30)
            except BaseException:
                context.log("no")

    outcome = failed(run(stubborn, context, timeout_seconds=0.5))
    assert outcome.reason == "timeout"
    assert context.lines == [("info", "no")] * 2


def test_the_time_out_shows_where_the_code_was(context: RecordingContext) -> None:
    def wait_for_godot() -> None:
        time.sleep(30)

    trace = failed(run(wait_for_godot, context, timeout_seconds=0.5)).traceback
    assert "in wait_for_godot" in trace
    assert "_ring" not in trace


@pytest.mark.parametrize("isolated", [False, True])
def test_extend_moves_the_deadline(context: RecordingContext, isolated: bool) -> None:
    def slow(context: JobContext) -> str:
        context.extend(60)
        time.sleep(1.8)
        return "done"

    # Long enough for a fork on a busy machine.
    assert run(slow, context, timeout_seconds=1.5, isolated=isolated) == Succeeded(result="done")
    assert context.extended == [60]


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_extend_wants_a_number_of_seconds(context: RecordingContext, seconds: float) -> None:
    outcome = failed(run(lambda context: context.extend(seconds), context))
    assert "expected 0 or more seconds" in outcome.message


def test_no_time_limit_means_none(context: RecordingContext) -> None:
    assert run(lambda: 1, context, timeout_seconds=None) == Succeeded(result=1)


@pytest.mark.parametrize("isolated", [False, True])
def test_a_job_that_hears_of_the_cancel_and_returns_is_cancelled(
    context: RecordingContext, isolated: bool
) -> None:
    def polite(context: JobContext) -> str:
        context.log("working")
        while not context.is_cancelled():
            time.sleep(0.01)
        context.log("tidied up")
        return "half a result"

    context.cancel_when = lambda line: line == "working"
    assert run(polite, context, isolated=isolated) == Cancelled()
    assert context.text.endswith("tidied up")


def test_a_job_that_is_done_before_it_hears_of_the_cancel_has_succeeded(context: RecordingContext) -> None:
    context.cancel()
    assert run(lambda: 1, context) == Succeeded(result=1)


def test_an_interruption_cancels_and_lets_the_code_tidy_up(
    context: RecordingContext, interrupt: Callable[[], None]
) -> None:
    def careful(context: JobContext) -> None:
        try:
            interrupt()
            time.sleep(30)
        finally:
            context.log("tidied up")

    assert run(careful, context) == Cancelled()
    assert context.lines == [("info", "tidied up")]


def test_an_interruption_that_comes_out_as_another_error_cancels_all_the_same(
    context: RecordingContext, interrupt: Callable[[], None]
) -> None:
    def wrap() -> None:
        try:
            interrupt()
            time.sleep(30)
        except BaseException as error:
            raise RuntimeError("the driver gave up") from error

    assert run(wrap, context) == Cancelled()
    assert context.lines == [("warning", "While it stopped: RuntimeError: the driver gave up")]


def test_calls_of_the_context_are_never_torn(context: RecordingContext) -> None:
    """The signal arrives in the middle of our own call, which may be writing to the database."""
    torn: list[str] = []

    def log(*message: object, level: str = "info") -> None:
        interruption.deliver(Interrupted())
        torn.append("finished")

    context.log = log  # type: ignore[method-assign]

    def work(context: JobContext) -> None:
        context.log("x")
        torn.append("not reached")

    assert run(work, context) == Cancelled()
    assert torn == ["finished"]


def test_what_was_delivered_to_one_attempt_does_not_reach_the_next(context: RecordingContext) -> None:
    interruption.deliver(Interrupted())
    assert interruption.kept() is not None
    assert run(lambda: 1, context) == Succeeded(result=1)
    assert interruption.kept() is None


# Isolated: a process of its own


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (lambda: os._exit(3), "exited with code 3 without a result"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL without a result"),
        (lambda: os.kill(os.getpid(), signal.SIGRTMIN + 1), "was killed by signal"),
    ],
)
def test_a_process_that_dies_is_an_error_that_says_how(
    context: RecordingContext, deed: Callable[[], None], said: str
) -> None:
    outcome = failed(run(deed, context, isolated=True))
    assert (outcome.reason, outcome.type) == ("error", "ProcessEnded")
    assert said in outcome.message


@pytest.mark.parametrize("isolated", [False, True])
def test_a_forked_child_that_comes_back_ends_there(context: RecordingContext, isolated: bool) -> None:
    def come_back_twice() -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
            child = os.fork()
        if child == 0:
            return "the child"
        assert os.waitpid(child, 0)[1] == 0
        return "the parent"

    assert run(come_back_twice, context, isolated=isolated) == Succeeded(result="the parent")


@pytest.mark.skipif(sys.platform != "linux", reason="address space can be limited on Linux only")
def test_a_memory_limit_ends_in_a_memory_error_and_not_in_the_slot(context: RecordingContext) -> None:
    def hoard() -> int:
        hoarded = []
        while True:
            hoarded.append(bytearray(8 * 1024 * 1024))

    outcome = failed(run(hoard, context, isolated=True, memory_limit_mb=64))
    assert outcome.type == "MemoryError"


def test_output_below_python_is_heard_too(context: RecordingContext) -> None:
    def talk() -> None:
        os.write(1, b"from a library\n")
        subprocess.run([sys.executable, "-c", "import sys; sys.exit('from a program')"], check=False)

    run(talk, context, isolated=True)
    assert sorted(context.lines) == [("info", "from a library"), ("warning", "from a program")]


def test_progress_is_relayed(context: RecordingContext) -> None:
    run(lambda context: context.progress(3, 4, "pages"), context, isolated=True)
    assert context.progressed == [(3, 4, "pages")]


def test_a_value_that_cannot_be_relayed_is_the_jobs_own_error(context: RecordingContext) -> None:
    outcome = failed(run(lambda context: context.progress(object()), context, isolated=True))
    assert outcome.type == "TypeError"


def _ignore_everything(context: JobContext) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    context.log("deaf")
    while True:
        time.sleep(1)


def test_a_deaf_process_is_killed_when_it_is_cancelled(context: RecordingContext) -> None:
    context.cancel_when = lambda line: line == "deaf"
    assert run(_ignore_everything, context, isolated=True) == Cancelled()


def test_a_deaf_process_is_killed_when_its_time_is_over(context: RecordingContext) -> None:
    outcome = failed(run(_ignore_everything, context, isolated=True, timeout_seconds=0.3))
    assert outcome.reason == "timeout"


def test_processes_that_forked_away_die_with_the_job(context: RecordingContext) -> None:
    """A daemon: forked twice, in a session of its own, so no process group leads to it."""

    def start_a_daemon() -> None:
        program = (
            "import os, time; reading, writing = os.pipe(); os.fork() and os._exit(not os.read(reading, 1)); "
            "os.setsid(); print(os.getpid(), flush=True); os.write(writing, b'x'); time.sleep(60)"
        )
        assert subprocess.Popen([sys.executable, "-c", program]).wait() == 0

    assert run(start_a_daemon, context, isolated=True) == Succeeded(result=None)
    daemon = int(context.lines[0][1])
    assert not psutil.pid_exists(daemon)
    assert context.lines[-1] == ("warning", "1 process left behind by the work: killed.")


@pytest.mark.django_db(transaction=True)
def test_an_isolated_job_has_a_database_connection_of_its_own(context: RecordingContext) -> None:
    """Also beside a thread of the slot that has a connection: the fork must end neither of both sessions."""

    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    of_thread: list[int] = []
    go_on, done = threading.Event(), threading.Event()

    def report() -> None:
        of_thread.append(backend())
        done.set()
        go_on.wait(60)
        of_thread.append(backend())
        connection.close()

    thread = threading.Thread(target=report)
    thread.start()
    assert done.wait(60)
    ours = backend()
    outcome = run(backend, context, isolated=True)
    go_on.set()
    thread.join()
    assert isinstance(outcome, Succeeded)
    assert outcome.result not in {ours, of_thread[0]}
    assert backend() == ours
    assert of_thread[0] == of_thread[1]

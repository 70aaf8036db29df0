"""What every executor must do, whatever it runs: one suite over all of them."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_django import Settings

from jobs import executors, registry
from jobs.executors import (
    Cancelled,
    Failed,
    Interrupted,
    InvalidConfiguration,
    JobContext,
    Launch,
    Outcome,
    Succeeded,
    interruption,
)
from tests.jobs.contexts import RecordingContext, a_launch, wait_until
from tests.jobs.outside import Outside, an_outside

KINDS = ("python", "isolated", "command", "http")


@dataclass
class Bench:
    """One executor with the same few pieces of work, each in its own way."""

    kind: str
    outside: Outside
    context: RecordingContext = field(default_factory=RecordingContext)

    @property
    def executor(self) -> executors.Executor:
        return executors.get("python" if self.kind == "isolated" else self.kind)

    def launch(self, work: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> Launch:
        if self.kind == "command":
            script = SCRIPTS[work].replace("{", "{{").replace("}", "}}")
            configuration = {
                "argv": ["python", "-c", script],
                "result": "last_json_line",
                "stdin": "parameters",
            }
            return a_launch("command", configuration, parameters=parameters, **more)
        if self.kind == "http":
            return a_launch("http", {"url": self.outside.url + PATHS[work]}, parameters=parameters, **more)
        return a_launch("python", job=f"{work}-{self.kind}", parameters=parameters, **more)

    def run(self, work: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
        return self.executor.execute(self.launch(work, parameters, **more), self.context)


def succeed() -> dict[str, bool]:
    return {"ok": True}


def fail() -> None:
    raise ValueError("the shop is closed")


def hang(context: JobContext) -> None:
    context.log("started")
    time.sleep(60)


def flood() -> dict[str, bool]:
    for _ in range(20_000):
        print("x" * 50)
    print("y" * 1_000_000)
    return {"ok": True}


def babble() -> dict[str, bool]:
    sys.stdout.buffer.write(b"caf\xe9\n")
    return {"ok": True}


SCRIPTS = {
    "succeed": "import json; print('working'); print(json.dumps({'ok': True}))",
    "fail": "import sys; print('the shop is closed', file=sys.stderr); sys.exit(3)",
    "hang": "import time; print('started'); time.sleep(60)",
    "flood": "for _ in range(20000): print('x' * 50)\nprint('y' * 1000000)\nprint('{\"ok\": true}')",
    "babble": "import sys; sys.stdout.buffer.write(b'caf\\xe9\\n'); print('{\"ok\": true}')",
}
PATHS = {"succeed": "/json", "fail": "/status/500", "hang": "/stall", "flood": "/flood", "babble": "/text"}


@pytest.fixture
def outside() -> Iterator[Outside]:
    with an_outside() as outside:
        yield outside


@pytest.fixture(params=KINDS)
def bench(
    request: pytest.FixtureRequest,
    outside: Outside,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    settings.COMMAND_PROGRAMS = ["python"]
    settings.CANCEL_GRACE_SECONDS = 0.3
    monkeypatch.setattr(registry, "_definitions", {})
    for work in (succeed, fail, hang, flood, babble):
        registry.job(f"{work.__name__}-python")(work)
        registry.job(f"{work.__name__}-isolated", isolated=True)(work)
    processes, descriptors, threads = _processes(), _descriptors(), threading.active_count()
    handler = signal.getsignal(signal.SIGALRM)
    yield Bench(request.param, outside)
    outside.released.set()
    # Nothing of the work is left: no process (not even a zombie), no open file, no thread, no timer.
    assert wait_until(lambda: _processes() == processes)
    assert wait_until(lambda: _descriptors() <= descriptors)
    assert wait_until(lambda: threading.active_count() <= threads)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def _processes() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def _descriptors() -> int:
    return psutil.Process().num_fds()


def test_every_executor_is_known_by_its_slug() -> None:
    assert executors.slugs() == ("python", "command", "http")
    assert [executor.slug for executor in executors.all()] == list(executors.slugs())


def test_an_unknown_executor_is_named_with_those_there_are() -> None:
    with pytest.raises(executors.UnknownExecutor, match="no executor 'fax'; there are python, command, http"):
        executors.get("fax")


def test_work_that_succeeds_gives_its_result_as_json(bench: Bench) -> None:
    outcome = bench.run("succeed")
    assert isinstance(outcome, Succeeded)
    result = outcome.result["json"] if bench.kind == "http" else outcome.result
    assert result == {"ok": True}
    assert json.loads(json.dumps(outcome.result)) == outcome.result


def test_work_that_fails_says_what_happened(bench: Bench) -> None:
    outcome = bench.run("fail")
    assert isinstance(outcome, Failed)
    assert outcome.reason == "error"
    assert outcome.retryable
    expected = {"command": "exited with code 3", "http": "500 Internal Server Error"}
    assert expected.get(bench.kind, "the shop is closed") in outcome.message
    assert str(Path(executors.__file__).parent) not in outcome.traceback


def test_work_that_takes_too_long_is_stopped(bench: Bench) -> None:
    outcome = bench.run("hang", timeout_seconds=0.5)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.type, outcome.retryable) == ("timeout", "TimedOut", True)
    assert "0.5 s" in outcome.message


def test_a_cancel_ends_the_work(bench: Bench) -> None:
    """As in a slot: the cancel is there at once, the interruption comes by a signal after the grace."""
    timer = threading.Timer(0.3, bench.context.cancel)
    signal.signal(signal.SIGUSR1, lambda *_: interruption.deliver(Interrupted()))
    after = threading.Timer(0.8, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        after.start()
        assert bench.run("hang") == Cancelled()
    finally:
        timer.join()
        after.join()
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        interruption.forget()


def test_a_configuration_that_nothing_can_carry_out_is_broken(bench: Bench) -> None:
    bad: dict[str, dict[str, Any]] = {
        "command": {"argv": ["rm", "-rf", "/"]},
        "http": {"url": "ftp://example.com"},
    }
    configuration = bad.get(bench.kind, {"function": "vanished"})
    with pytest.raises(InvalidConfiguration) as refused:
        bench.executor.check(configuration)
    assert all(error.pointer.startswith("/") and error.detail for error in refused.value.errors)
    outcome = bench.executor.execute(a_launch(bench.executor.slug, configuration), bench.context)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.retryable) == ("broken", False)


def test_a_configuration_key_that_nobody_knows_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        bench.executor.check({"colour": "red"})
    assert "/colour" in [error.pointer for error in refused.value.errors]


def test_output_without_end_fills_no_memory_and_breaks_nothing(bench: Bench, settings: Settings) -> None:
    settings.LOG_LINE_LIMIT = 1000
    outcome = bench.run("flood")
    if bench.kind == "http":
        assert isinstance(outcome, Failed)
        assert "more than" in outcome.message
        return
    assert outcome == Succeeded(result={"ok": True})
    assert len(bench.context.lines) >= 20_001
    assert max(len(line) for _, line in bench.context.lines) == 1000
    assert any(line.endswith("… (line cut)") for _, line in bench.context.lines)


def test_bytes_that_are_no_utf8_are_shown_as_such(bench: Bench) -> None:
    outcome = bench.run("babble")
    assert isinstance(outcome, Succeeded)
    shown = outcome.result["text"] if bench.kind == "http" else bench.context.text
    assert "caf\ufffd" in shown


def test_an_outcome_never_shows_the_secrets_of_the_site(
    bench: Bench, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@db/headway")
    monkeypatch.setenv("SECRET_KEY", "hunter2-secret-key")
    for work in ("succeed", "fail"):
        assert "hunter2" not in repr(bench.run(work)) + bench.context.text


def test_a_context_that_breaks_is_an_end_of_the_attempt_too(bench: Bench) -> None:
    def broken(*message: object, level: str = "info") -> None:
        raise ConnectionError("the log is gone")

    bench.context.log = broken  # type: ignore[method-assign]
    outcome = bench.run("flood" if bench.kind != "http" else "succeed")
    assert isinstance(outcome, Failed)
    assert "the log is gone" in outcome.message

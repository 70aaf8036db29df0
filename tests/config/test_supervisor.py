"""Children of the supervisor: what they say is passed on, what crashes comes back, what is asked to end ends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from config import supervisor as module
from config.children import Program, wait_until
from config.embedded import Unavailable
from config.supervisor import Child, Stopped, Supervisor

PYTHON = (sys.executable, "-u", "-S", "-c")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURIAL", 0.1)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    found = Supervisor(on_change=lambda pids: None)
    yield found
    found.stop([child.program.name for child in found.children], seconds=0)
    found.selector.close()


def python(name: str, code: str, *, restarts: bool = True) -> Child:
    child = Child(program=Program(name=name, command=(*PYTHON, code)), restarts=restarts)
    child.delay = 0.05
    return child


def turn_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        supervisor.turn(0.01)


def test_each_line_is_passed_on_with_the_name_of_its_child(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    child = python("talker", "import os; os.write(1, b'one\\ntw'); os.write(2, b'o\\nhalf')", restarts=False)
    supervisor.run(child)
    turn_until(supervisor, lambda: child.code is not None and not supervisor.selector.get_map())
    said = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert said == ["one", "two", "half"]


def test_a_crashed_child_comes_back_later_each_time(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    child = python("crasher", "raise SystemExit(3)")
    supervisor.run(child)
    turn_until(supervisor, lambda: child.delay > 0.3)
    assert "ended (exit code 3), starts again in" in capsys.readouterr().out


def test_a_child_that_cannot_be_started_is_tried_again(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    child = python("late", "import time; time.sleep(60)")
    refusals = iter([Unavailable("Not now"), OSError("Nor now")])

    def refuse() -> None:
        for refusal in refusals:
            raise refusal

    child.before = refuse
    supervisor.run(child)
    turn_until(supervisor, lambda: child.process is not None)
    said = capsys.readouterr().out
    assert "can't be started: Not now" in said
    assert "can't be started: Nor now" in said


def test_the_delay_has_an_end_and_a_steady_child_starts_over(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEADY", 0.0)
    child = python("steady", "raise SystemExit(0)")
    supervisor.run(child)
    child.delay = module.LONGEST_DELAY
    turn_until(supervisor, lambda: child.due_at is not None)
    assert child.delay == module.FIRST_DELAY * 2


def test_the_process_ids_are_told_when_they_change(supervisor: Supervisor) -> None:
    told: list[dict[str, int]] = []
    supervisor.on_change = told.append
    child = python("sleeper", "import time; time.sleep(60)")
    supervisor.run(child)
    assert child.process is not None
    first = child.process.pid
    child.process.kill()
    turn_until(supervisor, lambda: len(told) == 3)
    assert told[0] == {"sleeper": first}
    assert told[1] == {}
    assert told[2]["sleeper"] != first


def test_what_a_dead_child_left_in_its_group_is_killed_after_a_while(supervisor: Supervisor) -> None:
    code = "import os, time; os.fork() or time.sleep(60); os._exit(1)"
    child = python("parent", code, restarts=True)
    child.delay = 60.0
    supervisor.run(child)
    assert child.process is not None
    group = child.process.pid
    turn_until(supervisor, lambda: child.due_at is not None and not _group(group))


def test_a_child_that_ignores_the_question_is_killed(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    child = python("deaf", code)
    supervisor.run(child)
    assert child.process is not None
    pid = child.process.pid
    turn_until(supervisor, lambda: "deaf" in capsys.readouterr().out)
    supervisor.stop(["deaf"], seconds=0.2)
    assert not psutil.pid_exists(pid)


def test_being_asked_to_stop_ends_the_turn(supervisor: Supervisor) -> None:
    supervisor.asked = 1
    with pytest.raises(Stopped):
        supervisor.turn(0)


def test_a_child_dies_with_its_parent() -> None:
    """The parent is a process of its own here, killed so that it can do nothing about it."""
    code = (
        "import time; from config.children import Program, start; "
        "child = start(Program(name='x', command=('sleep', '60'))); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert wait_until(lambda: _is_gone(pid), seconds=60)


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _group(pid: int) -> list[int]:
    return [each.pid for each in psutil.process_iter() if _pgid(each.pid) == pid]


def _pgid(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0

"""What a stranger's code may do to the process that runs it. Each way is a function of the number of megabytes."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

LINE: Final = "x" * 1000
# Where forked children say who they are, so that the suite can look after them.
FORKED: Final = "forked"


class Unspeakable(Exception):
    """An exception that can't even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def _raise(_: int) -> NoReturn:
    raise Unspeakable


def _leave(_: int) -> NoReturn:
    sys.exit("enough")


def _memory(_: int) -> Any:
    return len(bytearray(1 << 46))


def _exit(_: int) -> NoReturn:
    os._exit(3)


def _crash(_: int) -> Any:
    return ctypes.string_at(0)


def _kill_parent(_: int) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    threading.Event().wait()


def _ignore(_: int) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            time.sleep(1)
        except BaseException:
            continue


def _fork_away(_: int) -> str:
    """Leaves a process in a session of its own behind."""
    if os.fork() == 0:
        os.setsid()
        _say_who()
        time.sleep(600)
        os._exit(0)
    return "the parent"


def _fork_and_return(_: int) -> str:
    """Comes back twice: in the process that called, and in a copy of it."""
    if os.fork() == 0:
        _say_who()
        return "the child"
    time.sleep(0.5)  # the child is first
    return "the parent"


def _flood(megabytes: int) -> int:
    lines = megabytes * 1024 * 1024 // len(LINE)
    for _ in range(lines):
        print(LINE)
    return lines


def _say_who() -> None:
    folder = Path(os.environ["HEADWAY_CHAOS_FOLDER"]) / FORKED
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()


WAYS: Final[Mapping[str, Callable[[int], Any]]] = {
    "raise": _raise,
    "leave": _leave,
    "memory": _memory,
    "exit": _exit,
    "crash": _crash,
    "kill-parent": _kill_parent,
    "ignore": _ignore,
    "fork-away": _fork_away,
    "fork-and-return": _fork_and_return,
    "flood": _flood,
}

"""Ways in which job code can go wrong, so that anyone may see what the site does about each."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from jobs.executors import JobContext

# Where a platform enforces no memory limit, the hunger ends here.
MEMORY_MB: Final = 2048
FLOOD_LINES: Final = 80_000


class Misbehaviour(Exception):
    """The exception that `raise` means."""


def misbehave(context: JobContext, how: str) -> Any:
    """Does it; `how` is a key of `WAYS`."""
    context.log(f"About to misbehave: {how}.")
    return WAYS[how]()


def _raise() -> None:
    raise Misbehaviour("This job was told to raise an exception.")


def _exit() -> None:
    os._exit(3)


def _memory() -> None:
    hoard = [b"." * (16 * 1024 * 1024) for _ in range(MEMORY_MB // 16)]
    raise Misbehaviour(f"No limit stopped this job from taking {16 * len(hoard)} MiB.")


def _kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    _hang()


def _ignore_sigterm() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def _hang() -> None:
    threading.Event().wait()


def _flood_log() -> dict[str, int]:
    for number in range(FLOOD_LINES):
        print(f"{number:7} " + "flood " * 20)  # noqa: T201 - what the job prints is its log
    return {"lines": FLOOD_LINES}


WAYS: Final[Mapping[str, Callable[[], Any]]] = {
    "raise": _raise,
    "exit": _exit,
    "memory": _memory,
    "kill-parent": _kill_parent,
    "ignore-sigterm": _ignore_sigterm,
    "hang": _hang,
    "flood-log": _flood_log,
}

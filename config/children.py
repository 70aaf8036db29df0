"""What a child process of `up` and of the tests is: how it is started, and how it is ended for certain."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The user and group that a program runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One program to run in the foreground as a direct child of this process."""

    name: str
    command: Sequence[str]
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  # added to our own
    account: Account | None = None  # None: as ourselves
    stop_signal: signal.Signals = signal.SIGTERM  # asks it to end
    orphan_signal: signal.Signals = signal.SIGKILL  # what the kernel sends when we are gone (Linux)


def start(
    program: Program, *, output: int | IO[bytes] = subprocess.DEVNULL, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start `program` in a process group of its own, so that the terminal's Ctrl-C reaches only us.

    Call it in the main thread: the kernel's "parent died" means the thread that forked. Its standard
    error goes where `output` goes.
    """
    account = f"{program.account.uid}:{program.account.gid}" if program.account else "-"
    leash = [
        sys.executable,
        "-I",
        "-S",
        str(LEASH),
        str(os.getpid()),
        str(int(program.orphan_signal)),
        account,
    ]
    return subprocess.Popen(
        [*leash, *program.command],
        cwd=program.directory,
        env={**os.environ, **program.environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        pass_fds=pass_fds,
    )


def end(process: subprocess.Popen[bytes], *, stop_signal: signal.Signals, seconds: float) -> None:
    """Ask `process` to end, wait up to `seconds`, then kill whatever is left of its group."""
    send(process, stop_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    kill_group(process.pid)
    process.wait()


def send(process: subprocess.Popen[bytes], signal_: signal.Signals) -> None:
    """Signal the process itself, if it is not reaped yet."""
    if process.poll() is None:
        process.send_signal(signal_)


def kill_group(pid: int) -> None:
    """Kill all that is left of the process group that `pid` leads or led."""
    # macOS answers EPERM for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_strangers(mark: tuple[str, str]) -> None:
    """Kill every process that was started with the environment variable `mark`, ourselves left out.

    For what a killed parent left behind, however it was forked. PostgreSQL is left to
    `config.postgres`, which ends it cleanly.
    """
    name, value = mark
    for process in psutil.process_iter(["environ", "name"]):
        environment = process.info["environ"] or {}
        if (
            environment.get(name) == value
            and process.pid != os.getpid()
            and process.info["name"] != "postgres"
        ):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def wait_until(condition: Callable[[], bool], *, seconds: float, pause: float = 0.02) -> bool:
    """Poll `condition` until it holds or `seconds` have passed; says whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True

"""Carries a process of the work from its start to its end, with all it starts: nothing is left behind."""

import ctypes
import os
import selectors
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final, Protocol

import psutil

from jobs.executors.attempt import POLL_SECONDS, Attempt, Stop

CHUNK_BYTES: Final = 64 * 1024
# A killed process that still exists after so long hangs in the kernel; nobody can end it.
REAP_SECONDS: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_GET_CHILD_SUBREAPER: Final = 37
# Loaded here, because between fork and exec nothing may be loaded any more.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Child(Protocol):
    """A started process; subprocess.Popen is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code, or minus the signal that killed it; None while it lives."""


class Reader(Protocol):
    """Takes what comes out of one file descriptor."""

    def feed(self, data: bytes) -> None: ...

    def pause(self) -> None:
        """Called again and again while nothing may come."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the process ended: by itself (`stop` None) or because it had to stop.

    `code` is None only if it could not be ended. `left_behind` processes of it were still alive.
    """

    code: int | None
    stop: Stop | None
    left_behind: int

    @property
    def remark(self) -> str:
        """What the run's log says of processes that were left behind."""
        noun = "process" if self.left_behind == 1 else "processes"
        return f"{self.left_behind} {noun} left behind by the work: killed."


# What is done to a process that must stop, each at so many seconds after the reason arose.
Escalation = Sequence[tuple[float, Callable[[], object]]]


def die_with_parent(parent: int) -> None:
    """Called in a new child: the kernel kills it when the thread that started it dies (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)


class ProcessTree:
    """A child that leads a session of its own, and whatever it starts. Made before the child is started.

    Inside `adopting` that includes daemons: whoever forks away from the tree becomes our child.
    """

    def __init__(self) -> None:
        self._self = psutil.Process()
        self._before = set(self._self.children())

    def members(self) -> list[psutil.Process]:
        """The processes of the tree that exist, zombies included."""
        found: list[psutil.Process] = []
        for child in self._self.children():
            if child in self._before:
                continue
            found.append(child)
            with suppress(psutil.NoSuchProcess):
                found += child.children(recursive=True)
        return found

    def kill(self, root: Child) -> int:
        """Kills all until none is left, because a member may start another meanwhile, and reaps them.

        Returns how many lived although `root` had ended.
        """
        left_behind = None
        deadline = monotonic() + REAP_SECONDS
        while monotonic() < deadline:
            ended = root.poll() is not None
            members = self.members()
            living = [member for member in members if _lives(member)]
            if left_behind is None:
                left_behind = len(living) if ended else 0
            if ended and not members:
                break
            for member in living:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self._reap(members, root)
            sleep(0.005)
        return left_behind or 0

    @staticmethod
    def _reap(members: list[psutil.Process], root: Child) -> None:
        for member in members:
            if member.pid != root.pid:  # whose exit code its own poll() must get
                with suppress(ChildProcessError):
                    os.waitpid(member.pid, os.WNOHANG)


def signal_group(child: Child, number: signal.Signals) -> None:
    """Sends `number` to the process group that `child` leads, unless it has ended."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:  # it is so young that it does not lead its group yet
            os.kill(child.pid, number)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def adopting() -> Iterator[None]:
    """While it lasts, orphans among our descendants become our children (Linux only)."""
    if _libc is None:
        yield
        return
    before = ctypes.c_int()
    _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def supervise(
    child: Child,
    tree: ProcessTree,
    readers: Mapping[int, Reader],
    attempt: Attempt,
    escalation: Callable[[Stop], Escalation],
    *,
    slack_seconds: float = 0.0,
) -> Ending:
    """Reads what comes out of `child` until it has ended; the descriptors of `readers` are closed.

    When the attempt must stop, the steps of `escalation` are taken one after the other. Whatever the
    work started is dead afterwards, also if this raises.
    """
    stop: Stop | None = None
    with _Streams(readers) as streams:
        try:
            steps: list[tuple[float, Callable[[], object]]] = []
            while child.poll() is None:
                streams.read(min([POLL_SECONDS, *(max(0.0, at - monotonic()) for at, _ in steps[:1])]))
                reason = None if stop else attempt.stop(slack_seconds=slack_seconds)
                if reason:
                    stop = reason
                    steps = [(monotonic() + after, act) for after, act in escalation(reason)]
                while steps and monotonic() >= steps[0][0]:
                    steps.pop(0)[1]()
        finally:
            left = tree.kill(child)
        streams.drain()
    return Ending(code=child.poll(), stop=stop, left_behind=left)


class _Streams:
    """The descriptors the work writes to; each is closed at its end, or at the end of all."""

    def __init__(self, readers: Mapping[int, Reader]) -> None:
        self._selector = selectors.DefaultSelector()
        for descriptor, reader in readers.items():
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, reader)

    def __enter__(self) -> "_Streams":
        return self

    def __exit__(self, *error: object) -> None:
        keys = list(self._selector.get_map().values())
        for key in keys:
            os.close(key.fd)
        self._selector.close()
        for key in keys:
            key.data.close()

    def read(self, seconds: float) -> bool:
        """Waits at most `seconds` for something to come; says whether anything did."""
        if not self._selector.get_map():
            sleep(min(seconds, 0.02))  # the work has closed its outputs and will end any moment
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            self._take(key)
        for key in self._selector.get_map().values():
            key.data.pause()
        return bool(ready)

    def drain(self) -> None:
        """Takes what is still in the pipes, whose writers are gone."""
        while self._selector.get_map() and self.read(0):
            pass

    def _take(self, key: selectors.SelectorKey) -> None:
        try:
            data = os.read(key.fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if data:
            key.data.feed(data)
        else:
            self._close(key)

    def _close(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fd)
        os.close(key.fd)
        key.data.close()

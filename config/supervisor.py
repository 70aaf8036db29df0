"""Keeps child processes running: prefixes what they say, restarts what crashed, ends them in order."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from config.children import Program, kill_group, send, start
from config.embedded import Unavailable

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0  # seconds before a crashed child is started again
STEADY = 30.0  # a child that lived so long starts over with the first delay
# A worker that was killed leaves a heartbeat process that hands its runs back at once; let it.
BURIAL = 5.0
LONGEST_LINE = 65536  # bytes; a longer one is broken


class Stopped(Exception):
    """Somebody asked us to stop."""


@dataclass(kw_only=True, slots=True, eq=False)
class Child:
    """One child and what happened to it so far."""

    program: Program
    before: Callable[[], None] | None = None  # called before each start
    pass_fds: Sequence[int] = ()
    restarts: bool = True
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay: float = FIRST_DELAY
    due_at: float | None = None
    code: int | None = None  # how it ended, of a child that is not restarted


@dataclass(kw_only=True, slots=True, eq=False)
class Voice:
    """What one child says. It may outlive the child: grandchildren hold the same pipe."""

    name: str
    pipe: IO[bytes]
    unfinished: bytes = b""

    def read(self) -> bool:
        """Pass on the lines that are there; False when there will be no more."""
        data = os.read(self.pipe.fileno(), 65536)
        *lines, rest = (self.unfinished + data).split(b"\n")
        if rest and (not data or len(rest) > LONGEST_LINE):
            lines, rest = [*lines, rest], b""
        self.unfinished = rest
        for line in lines:
            say(self.name, line.decode(errors="replace"))
        return bool(data)


@dataclass(slots=True)
class Supervisor:
    """The children of this process. Everything happens in the main thread, in `turn`."""

    on_change: Callable[[dict[str, int]], None]  # told the process ids whenever they change
    children: list[Child] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    doomed: list[tuple[float, int]] = field(default_factory=list)
    asked: int = 0
    stopping: bool = False

    def listen(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal end `turn` with `Stopped`."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked += 1

    def run(self, child: Child) -> None:
        """Start `child` and keep it running."""
        self.children.append(child)
        self._start(child)

    def pids(self) -> dict[str, int]:
        """The process ids of the children that run and are meant to."""
        return {
            child.program.name: child.process.pid
            for child in self.children
            if child.process is not None and child.restarts
        }

    def wait(self, condition: Callable[[], bool]) -> None:
        """Do the work of a supervisor until `condition` holds. Raises `Stopped`."""
        while not condition():
            self.turn(0.05)

    def turn(self, seconds: float) -> None:
        """Pass on what the children say for up to `seconds`, then see who ended and who is due.

        Raises `Stopped` when we were asked to stop, except while stopping.
        """
        for key, _ in self.selector.select(seconds):
            if not key.data.read():
                self.selector.unregister(key.fileobj)
                key.data.pipe.close()
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, now)
            elif child.due_at is not None and child.due_at <= now and not self.stopping:
                self._start(child)
        for at, pid in [grave for grave in self.doomed if grave[0] <= now]:
            self.doomed.remove((at, pid))
            kill_group(pid)
        if self.asked and not self.stopping:
            raise Stopped

    def stop(self, names: Iterable[str], *, seconds: float) -> None:
        """Ask the children of these names to end; after `seconds`, or a second Ctrl-C, kill what is left."""
        self.stopping = True
        leaving = [child for child in self.children if child.program.name in set(names) and child.process]
        pids = [child.process.pid for child in leaving if child.process]
        deadline, asked = time.monotonic() + seconds, self.asked
        for child in leaving:
            if child.process:
                send(child.process, child.program.stop_signal)
        while (
            any(child.process for child in leaving)
            and time.monotonic() < deadline
            and self.asked <= max(asked, 1)
        ):
            self.turn(0.02)
        for pid in pids:
            kill_group(pid)
        while any(child.process for child in leaving):
            self.turn(0.02)

    def _start(self, child: Child) -> None:
        child.due_at, child.started_at = None, time.monotonic()
        try:
            if child.before:
                child.before()
            child.process = start(child.program, output=subprocess.PIPE, pass_fds=child.pass_fds)
        except (OSError, Unavailable) as error:
            self._put_off(child, f"can't be started: {error}")
            return
        assert child.process.stdout is not None
        voice = Voice(name=child.program.name, pipe=child.process.stdout)
        self.selector.register(voice.pipe, selectors.EVENT_READ, voice)
        self.on_change(self.pids())

    def _ended(self, child: Child, now: float) -> None:
        """Note the end of `child`, and when it starts again if it wasn't meant to end."""
        assert child.process is not None
        code, pid = child.process.returncode, child.process.pid
        child.process = None
        if self.stopping or not child.restarts:
            child.code = code
        else:
            if now - child.started_at >= STEADY:
                child.delay = FIRST_DELAY
            self._put_off(child, f"ended ({_manner(code)})")
            self.doomed.append((now + BURIAL, pid))
        self.on_change(self.pids())

    def _put_off(self, child: Child, why: str) -> None:
        """Start `child` again after its delay, which doubles."""
        say(child.program.name, f"{why}, starts again in {child.delay:.0f} s")
        child.due_at = time.monotonic() + child.delay
        child.delay = min(child.delay * 2, LONGEST_DELAY)


def _manner(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def say(name: str, text: str) -> None:
    """Print one line with the name of whose it is."""
    print(f"{name:<14} | {text}", flush=True)  # noqa: T201

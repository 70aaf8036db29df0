"""Runs a job function in a forked process of its own, which can be limited and killed without the slot."""

import os
import resource
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import psutil
from django.conf import settings
from django.db import connections

from jobs.executors import interruption, outcomes
from jobs.executors.attempt import Attempt, Stop
from jobs.executors.base import Cancelled, Failed, Interrupted, JobContext, Launch, Outcome
from jobs.executors.channel import Receiver, Sender
from jobs.executors.command import describe_exit
from jobs.executors.guard import Guard
from jobs.executors.lines import Lines
from jobs.executors.processes import (
    Ending,
    Escalation,
    ProcessTree,
    adopting,
    die_with_parent,
    signal_group,
    supervise,
)
from jobs.registry import JobDefinition

# Connections a fork inherited, kept for ever: closing one would end the session of the slot.
_inherited: list[Any] = []


def run_isolated(definition: JobDefinition, launch: Launch, context: JobContext) -> Outcome:
    """Carries out one attempt in a child process; its end, whatever it is, is the end of the attempt.

    The child stops itself by the same timer as a job in the slot. When it doesn't, or when a cancel is
    ignored, it is interrupted (SIGTERM) and then killed, each after the grace.
    """
    attempt = Attempt(launch, context)
    with adopting(), Guard() as guard, ExitStack() as ends:
        tree = ProcessTree()
        work = partial(_work, definition, launch, guard=guard)
        child, channel, readers = _start(work, attempt, ends)
        guard.watch(child.pid)
        escalation = partial(_escalation, child, channel)
        ending = supervise(
            child, tree, readers, attempt, escalation, slack_seconds=settings.CANCEL_GRACE_SECONDS
        )
    if ending.left_behind:
        attempt.log(ending.remark, level="warning")
    receiver = next(reader for reader in readers.values() if isinstance(reader, Receiver))
    return _outcome(ending, receiver, attempt)


def _start(
    work: Callable[..., None], attempt: Attempt, ends: ExitStack
) -> tuple["_Forked", socket.socket, dict[int, Lines | Receiver]]:
    """Forks. Our end of the channel is closed with `ends`, the descriptors to read from by who reads them."""
    ours, childs = map(ends.enter_context, socket.socketpair())
    reading, writing = zip(*(os.pipe() for _ in range(2)), strict=True)
    try:
        child = _Forked(partial(work, channel=childs, outputs=writing))
    except OSError:
        for descriptor in reading:
            os.close(descriptor)
        raise
    finally:
        childs.close()
        for descriptor in writing:
            os.close(descriptor)
    limit = settings.LOG_LINE_LIMIT
    return (
        child,
        ours,
        {
            os.dup(ours.fileno()): Receiver(attempt),
            reading[0]: Lines(attempt.log, limit=limit),
            reading[1]: Lines(partial(attempt.log, level="warning"), limit=limit),
        },
    )


def _escalation(child: "_Forked", channel: socket.socket, stop: Stop) -> Escalation:
    grace = settings.CANCEL_GRACE_SECONDS
    kill = partial(signal_group, child, signal.SIGKILL)
    if stop == "timeout":
        return [(0, kill)]  # its own timer rang a grace ago
    return [
        (0, partial(_tell, channel)),
        (grace, partial(signal_group, child, signal.SIGTERM)),
        (2 * grace, kill),
    ]


def _tell(channel: socket.socket) -> None:
    """One byte for the child means: a cancel was asked."""
    with suppress(OSError):
        channel.send(b"c", socket.MSG_DONTWAIT)


def _outcome(ending: Ending, channel: "Receiver", attempt: Attempt) -> Outcome:
    if channel.outcome is not None:
        return channel.outcome
    if ending.stop == "cancelled":
        return Cancelled()
    if ending.stop == "timeout":
        return outcomes.timed_out(attempt.timeout_seconds)
    message = f"The job's process {describe_exit(ending.code)} without a result."
    return Failed(reason="error", type="ProcessEnded", message=message)


class _Forked:
    """A forked child that calls `work` and ends; for `supervise`."""

    def __init__(self, work: Any) -> None:
        parent = os.getpid()
        _flush()
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads. The child takes no lock of theirs: it forgets
            # the connections and replaces streams and signal handlers before any job code runs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _child(work, parent)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def _child(work: Any, parent: int) -> None:
    """The whole life of the child; it never returns into the slot's code."""
    code = 70
    try:
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: interruption.deliver(Interrupted("A cancel was asked.")))
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        die_with_parent(parent)
        work()
        _flush()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _flush() -> None:
    """Empties the buffers under sys.stdout and sys.stderr: a fork would copy what is in them."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()


def _work(
    definition: JobDefinition,
    launch: Launch,
    *,
    guard: Guard,
    channel: socket.socket,
    outputs: tuple[int, ...],
) -> None:
    from jobs.executors.python import run_here

    guard.release()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, descriptor in enumerate(outputs, start=1):
        os.dup2(descriptor, number)
    _forget_connections()
    if definition.memory_limit_mb is not None:
        _limit_memory(definition.memory_limit_mb * 1024 * 1024)
    sender = Sender(channel, run_id=launch.run_id, attempt=launch.attempt)
    outcome = run_here(definition, launch, sender)
    connections.close_all()
    sender.say("end", outcome=type(outcome).__name__, fields=asdict(outcome))


def _forget_connections() -> None:
    """Lets the child open connections of its own; those of the slot are neither used nor closed."""
    for connection in connections.all(initialized_only=True):
        _inherited.append(connection.connection)
        connection.connection = None


def _limit_memory(size: int) -> None:
    """Allows the job so many bytes of address space beyond what the process has already."""
    limit = psutil.Process().memory_info().vms + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

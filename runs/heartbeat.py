"""The heartbeat process of a worker: renews its lease, notices cancels and time-outs, kills what must die.

It is a process of its own, forked before the slots, because job code may starve every thread of a slot (a
loop that holds the GIL), and because what must be killed cannot be asked to do it. It also sweeps, so that
rescue needs no beat. Everything it decides, it decides from rows.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from jobs.executors import Cancelled, Failed
from runs import dispatch, lifecycle, pinging, sweep, tending, workers
from runs.claims import Claim

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
# To ask what a process holds takes the system 10 ms, in which that process gets no memory.
MEASURE_SECONDS = 60.0
# A slot past its deadline ends the attempt itself; only one that has not done so by then is killed.
DEADLINE_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Charge:
    """A run that must be looked after: its slot's pid, and what is asked of it."""

    run_id: int
    token: int
    pid: int
    cancelling: bool
    overdue: bool


@dataclass(slots=True)
class Asked:
    """What was done so far to cancel one claim: when the slot was asked, and when it was interrupted."""

    at: float
    interrupted_at: float | None = None


@dataclass(slots=True)
class Heartbeat:
    """The loop; `parent` is the worker's main process."""

    name: str
    parent: int
    lanes: Sequence[str]
    concurrency: int
    worker_id: int | None = None
    renewed_at: float = 0.0
    measured_at: float = -MEASURE_SECONDS
    ready: bool = False
    stopping_at: float | None = None
    slots: set[int] = field(default_factory=set)
    asked: dict[int, Asked] = field(default_factory=dict)

    def run(self) -> None:
        """Beats until the worker is gone, then ends its lease and whatever of it still works."""
        while os.getppid() == self.parent:
            try:
                self.beat(time.monotonic())
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                log.warning("heartbeat_missed", worker=self.name, error=str(error).strip())
                self._fence_when_silent(time.monotonic())
            time.sleep(TICK_SECONDS)
        self._bury()

    def beat(self, now: float) -> None:
        """One round: lease, deaths, cancels, deadlines, and the end of a stop's grace."""
        if self.worker_id is None:
            self._register(now)
        elif now - self.renewed_at >= settings.HEARTBEAT_SECONDS:
            self._renew(now)
        assert self.worker_id is not None
        self._look_for_deaths(self.worker_id)
        if self.ready:
            workers.set_ready(self.worker_id)
            dispatch.hint(self.lanes[0], self.concurrency)  # so that slots are at hand before there is work
            self.ready = False
        for charge in self._charges():
            self._look_after(charge, now)
        tending.wake(self.lanes)
        pinging.answer(self.worker_id)
        if self.stopping_at is not None:
            workers.stop(self.worker_id)
            if now - self.stopping_at >= settings.STOP_GRACE_SECONDS:
                self._interrupt_all()

    def _look_for_deaths(self, worker_id: int) -> None:
        """Ends the slots that are dead and rescues what they carried.

        Only slots that are registered can carry anything; to look at these few costs a hundredth of what it takes
        to find all children of a process, which is a look at every process of the machine.
        """
        known = workers.slot_pids(worker_id)
        self.slots = {pid for pid in known if _lives(pid, parent=self.parent)}
        if known > self.slots and workers.end_processes(worker_id, pids=known - self.slots):
            lifecycle.rescue()

    def stop(self) -> None:
        """The worker was asked to stop: it claims nothing more, and its work has the grace to end."""
        self.stopping_at = self.stopping_at or time.monotonic()

    def set_ready(self) -> None:
        """The worker takes hints now."""
        self.ready = True

    def _register(self, now: float) -> None:
        """Takes the worker's lease: a new one, or that of a heartbeat process before us that died."""
        self.worker_id = workers.take_over() or workers.register(
            name=self.name, pid=self.parent, lanes=self.lanes, concurrency=self.concurrency
        )
        self.renewed_at = now
        for pid in self._slots():
            _signal(pid, signal.SIGCONT)  # it may have died between stop and kill
        if workers.is_stopping():
            self.stop()  # it was told so, and not we
        log.info("worker_registered", worker=self.name, lanes=list(self.lanes), id=self.worker_id)

    def _renew(self, now: float) -> None:
        assert self.worker_id is not None
        if workers.renew(self.worker_id, memory_bytes=self._memory_bytes(now)):
            self.renewed_at = now
            return
        # The lease had passed: others may already carry on what our slots still work at.
        log.error("lease_lost", worker=self.name)
        self._kill(self._slots())
        self.worker_id = None
        self._register(now)

    def _fence_when_silent(self, now: float) -> None:
        """Kills our own work before anybody else may start it: well before the lease is over."""
        if self.worker_id is not None and now - self.renewed_at > settings.LEASE_SECONDS * 2 / 3:
            log.error("fencing_itself", worker=self.name)
            self._kill(self._slots())
            self.worker_id = None

    def _slots(self) -> list[int]:
        """The pids of the worker's children that live, ourselves left out."""
        try:
            children = psutil.Process(self.parent).children()
        except psutil.NoSuchProcess:
            return []
        own = os.getpid()
        return [child.pid for child in children if child.pid != own and _lives(child.pid, parent=self.parent)]

    def _memory_bytes(self, now: float) -> int | None:
        """What the worker's processes and all that they started hold, each page that some share counted once a
        sharer in parts, where the system tells that; None if it tells nothing, or was asked a moment ago."""
        if now - self.measured_at < MEASURE_SECONDS:
            return None
        self.measured_at = now
        try:
            parent = psutil.Process(self.parent)
            return sum(_held(process) for process in (parent, *parent.children(recursive=True)))
        except psutil.Error:
            return None

    def _charges(self) -> list[Charge]:
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT r.id, r.claim_token, p.pid, r.cancel_requested_at IS NOT NULL,
                          r.deadline_at + %s * interval '1 second' < clock_timestamp()
                   FROM runs_run r JOIN runs_workerprocess p ON p.id = r.process_id
                   WHERE r.status = 'running' AND p.worker_id = %s AND p.ended_at IS NULL
                     AND (r.cancel_requested_at IS NOT NULL
                          OR r.deadline_at + %s * interval '1 second' < clock_timestamp())""",
                [DEADLINE_GRACE_SECONDS, self.worker_id, DEADLINE_GRACE_SECONDS],
            )
            charges = [Charge(*row) for row in cursor.fetchall()]
        tokens = {charge.token for charge in charges}
        self.asked = {token: asked for token, asked in self.asked.items() if token in tokens}
        return charges

    def _look_after(self, charge: Charge, now: float) -> None:
        if charge.overdue:
            self._end(charge, timed_out=True)
            return
        grace = settings.CANCEL_GRACE_SECONDS
        asked = self.asked.get(charge.token)
        if asked is None:
            self.asked[charge.token] = Asked(at=now)
            _signal(charge.pid, signal.SIGUSR2)
        elif asked.interrupted_at is None and now - asked.at >= grace:
            asked.interrupted_at = now
            _signal(charge.pid, signal.SIGUSR2)
        elif asked.interrupted_at is not None and now - asked.interrupted_at >= grace:
            self._end(charge, timed_out=False)

    def _end(self, charge: Charge, *, timed_out: bool) -> None:
        """Kills the slot, and only then says how the run ended: nothing of it works any more.

        The slot may have ended this run since we looked, and then it carries another one that must not
        die for it. So it is stopped first, looked at again, and killed only if it still holds this claim.
        """
        _signal(charge.pid, signal.SIGSTOP)
        try:
            claim = lifecycle.held(charge.run_id, token=charge.token)
        except (DatabaseError, InterfaceError):
            # It may have ended this run, and then nobody looks at it again.
            _signal(charge.pid, signal.SIGCONT)
            raise
        if claim is None:
            _signal(charge.pid, signal.SIGCONT)
            return
        log.warning("slot_killed", run_id=charge.run_id, pid=charge.pid, timed_out=timed_out)
        self._kill([charge.pid])
        lifecycle.settle([(claim, _timed_out(claim) if timed_out else Cancelled())])

    def _interrupt_all(self) -> None:
        """The grace of a stop is over: what still works is killed and goes back to the queue, uncounted."""
        assert self.worker_id is not None
        held = lifecycle.held_by(self.worker_id)
        if held:
            self._kill(self._slots())
            lifecycle.give_back(held)

    def _bury(self) -> None:
        """The worker's main process is gone: its orphans die, and its runs need not wait for the lease."""
        self._kill(sorted(self.slots))
        if self.worker_id is None:
            return
        try:
            if self.stopping_at is not None:
                lifecycle.give_back(lifecycle.held_by(self.worker_id))
            workers.end_processes(self.worker_id)
            workers.retire(self.worker_id)
            lifecycle.rescue()
        except (DatabaseError, InterfaceError) as error:
            log.warning("burial_left_to_the_sweep", worker=self.name, error=str(error).strip())

    def _kill(self, pids: Sequence[int]) -> None:
        """Kills processes and everything they started, and waits until they are gone."""
        doomed: list[psutil.Process] = []
        for pid in pids:
            try:
                process = psutil.Process(pid)
                doomed += [*process.children(recursive=True), process]
            except psutil.NoSuchProcess:
                continue
        for process in doomed:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(doomed, timeout=5)


def _timed_out(claim: Claim) -> Failed:
    return Failed(
        reason="timeout",
        type="TimeoutError",
        message=f"Killed: it took longer than the {claim.timeout_seconds} s the job allows, and did not stop.",
    )


def _held(process: psutil.Process) -> int:
    """The process's share of the memory, in bytes; 0 if it is gone or may not be looked at."""
    try:
        told = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(told, "pss", told.rss))


def _lives(pid: int, *, parent: int) -> bool:
    """Whether the process of that number is a child of `parent` that has not ended."""
    try:
        process = psutil.Process(pid)
        return process.ppid() == parent and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.info("slot_already_gone", pid=pid)


def fork(*, name: str, lanes: Sequence[str], concurrency: int) -> int:
    """Forks the heartbeat process of this worker; returns its pid in the worker, never returns in the child."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _be(Heartbeat(name=name, parent=parent, lanes=lanes, concurrency=concurrency))
    except BaseException:
        log.exception("heartbeat_died", worker=name)
        os._exit(1)
    os._exit(0)


def _be(heartbeat: Heartbeat) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: heartbeat.stop())
    signal.signal(signal.SIGUSR1, lambda *_: heartbeat.set_ready())
    threading.Thread(target=sweep.run_for_ever, name="sweep", daemon=True).start()
    heartbeat.run()

"""The faults, one function each: what is broken, how often, and what must be true afterwards."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import redis
from django.db import connection
from django.utils import timezone

from jobs.models import Job
from runs.models import Run
from tests.chaos.arena import Arena
from tests.chaos.ledger.crashes import POINTS, Point
from tests.chaos.tally import Row, after_faults, count, percentile
from tests.factories import make_dependency, make_schedule

PATIENCE: Final = 90.0
# How each of the demo's misbehaviours must end (seconds: how long it may take): status and reason.
MISDEEDS: Final = {
    "raise": ("failed", "error"),
    "exit": ("failed", "error"),
    "memory": ("failed", "error"),
    "kill-parent": ("failed", "poisoned"),
    "hang": ("failed", "timeout"),
    "ignore-sigterm": ("failed", "timeout"),
    "flood-log": ("succeeded", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is done: rounds of each fault, how much work a round has, and the site's lease in seconds."""

    rounds: int
    scale: float
    lease: float
    freeze: float


Fault = Callable[[Arena, Sizes], Row]


def worker_killed(arena: Arena, sizes: Sizes) -> Row:
    """A worker's main process is killed; every third time all that belongs to it, so that only the lease tells."""
    arena.start()
    for number in range(sizes.rounds):
        arena.load(sizes.scale)
        arena.pause(0.1, 1.0)
        name = arena.random.choice(sorted(arena.started))
        kill = arena.kill_all_of if number % 3 == 2 else arena.site.kill
        with arena.fault():
            kill(f"worker-{name}")
        arena.restart(name)
    arena.wait(seconds=PATIENCE + sizes.lease)
    return count(arena, "worker killed")


def slot_killed(arena: Arena, sizes: Sizes) -> Row:
    """A slot is killed in the middle of its work."""
    arena.start()
    for _ in range(sizes.rounds):
        arena.load(sizes.scale)
        arena.pause(0.1, 0.6)
        pid = arena.busy_slot()
        if pid is not None:
            with arena.fault():
                os.kill(pid, signal.SIGKILL)
        arena.pause(0.5, 1.0)
    arena.wait(seconds=PATIENCE)
    return count(arena, "slot killed")


def worker_frozen(arena: Arena, sizes: Sizes) -> Row:
    """A worker stops past its lease, others carry its runs, and then it thaws with results of its own."""
    arena.start({"spare": ("high,default,bulk", 2), "high": ("high", 2), "bulk": ("bulk", 2)})
    for number in range(max(sizes.rounds // 3, 1)):
        name = ("high", "bulk")[number % 2]
        for _ in range(8):
            arena.launch(priority=1 if name == "high" else 100, seconds=arena.random.uniform(0.5, 1.5))
        arena.pause(0.3, 0.6)
        worker = arena.site.processes[f"worker-{name}"]
        with arena.fault(), arena.frozen([worker.pid], group=True):
            time.sleep(sizes.lease * 1.6 + 2)
        arena.wait(seconds=PATIENCE)
    return count(arena, "worker frozen past its lease")


def broker_killed(arena: Arena, sizes: Sizes) -> Row:
    """The broker dies with all it held, and comes back empty after a while."""
    return _without_broker(arena, sizes, fault="broker killed", break_it=_broker_away)


def broker_flushed(arena: Arena, sizes: Sizes) -> Row:
    """All hints vanish, again and again."""
    return _without_broker(arena, sizes, fault="broker flushed", break_it=_broker_flushed)


def broker_frozen(arena: Arena, sizes: Sizes) -> Row:
    """The broker takes connections and answers nothing."""
    return _without_broker(arena, sizes, fault="broker frozen", break_it=_broker_stopped)


def _without_broker(
    arena: Arena, sizes: Sizes, *, fault: str, break_it: Callable[[Arena, Sizes, Callable[[], None]], None]
) -> Row:
    arena.start()
    load = partial(arena.load, sizes.scale / 4)
    for _ in range(max(sizes.rounds // 3, 1)):
        load()
        arena.launch_seconds.clear()
        with arena.fault():
            break_it(arena, sizes, load)
        load()
        arena.pause(1, 2)
    arena.wait(seconds=PATIENCE)
    row = count(arena, fault)
    row.recoveries = after_faults(arena)
    slowest = percentile(arena.launch_seconds, 99) or 0.0
    row.note = f"a launch took p99 {slowest * 1000:.0f} ms meanwhile"
    return row


def _broker_away(arena: Arena, sizes: Sizes, load: Callable[[], None]) -> None:
    arena.servers.kill("valkey")
    load()
    time.sleep(sizes.freeze / 4)
    arena.servers.start_valkey()


def _broker_flushed(arena: Arena, sizes: Sizes, load: Callable[[], None]) -> None:
    until = time.monotonic() + sizes.freeze / 4
    with redis.Redis(unix_socket_path=str(arena.servers.valkey.socket)) as client:
        load()
        while time.monotonic() < until:
            client.flushall()
            time.sleep(0.05)


def _broker_stopped(arena: Arena, sizes: Sizes, load: Callable[[], None]) -> None:
    with arena.frozen([arena.servers.processes["valkey"].pid]):
        load()
        time.sleep(sizes.freeze)


def postgres_restarted(arena: Arena, sizes: Sizes) -> Row:
    """PostgreSQL is shut down at once, in the middle of everything, and started again."""
    arena.start()
    arena.start_beat("beat")
    for _ in range(max(sizes.rounds // 3, 1)):
        arena.load(sizes.scale)
        arena.pause(0.2, 1.0)
        with arena.fault():
            arena.restart_postgres()
        arena.load(sizes.scale / 4)
        arena.pause(1, 3)
    arena.wait(seconds=PATIENCE + 2 * sizes.lease)
    row = count(arena, "PostgreSQL restarted at once")
    row.recoveries = after_faults(arena)
    return row


def beats_killed(arena: Arena, sizes: Sizes) -> Row:
    """Three beats fire the same schedules, and one of them is killed while it does."""
    arena.start({"default": ("default", 2)})
    beats = ["beat-1", "beat-2", "beat-3"]
    for name in beats:
        arena.start_beat(name)
    triggers = [
        make_schedule(arena.job, cron="0 0 1 1 *", name=f"schedule {n}", overlap="allow").pk
        for n in range(20)
    ]
    missing = 0
    for _ in range(sizes.rounds):
        due = _make_due(triggers)
        arena.pause(0.0, 1.2)
        name = arena.random.choice(beats)
        with arena.fault():
            arena.site.kill(name)
        arena.start_beat(name)
        fired = Run.objects.filter(trigger_id__in=triggers, slot=due)
        arena.wait_for(lambda fired=fired: fired.count() >= len(triggers), seconds=30)  # type: ignore[misc]
        arena.runs += fired.values_list("pk", flat=True)
        missing += len(triggers) - fired.values("trigger_id").distinct().count()
    arena.wait(seconds=PATIENCE)
    row = count(arena, "one of three beats killed")
    doubled = Run.objects.filter(trigger_id__in=triggers).count() - (len(triggers) * sizes.rounds - missing)
    row.lost += missing
    row.wrong += [f"{doubled} slots fired twice"] if doubled else []
    row.recoveries = after_faults(arena)
    return row


def _make_due(triggers: list[int]) -> datetime:
    """Makes now the next slot of these schedules, as if it had been planned so; returns the slot."""
    slot = timezone.now().replace(microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE triggers_trigger SET next_slot = %s, next_run_at = %s WHERE id = ANY(%s)",
            [slot, slot, triggers],
        )
    return slot


def crash_points(arena: Arena, sizes: Sizes) -> Row:
    """A process vanishes at each named point of launch, publish, claim, announce, execute, settle and follow."""
    arena.start({"high": ("high", 2), "default": ("default", 2), "bulk": ("bulk", 2)})
    follower = Job.objects.create(
        slug="chaos-follower", name="Follower", executor="python", configuration={"function": arena.job.slug}
    )
    dependency = make_dependency(arena.job, job=follower)
    missed = [point.name for point in POINTS if not crash(arena, point)]
    arena.wait(seconds=PATIENCE)
    followed = Run.objects.filter(trigger=dependency)
    ended = Run.objects.filter(pk__in=arena.runs, status="succeeded")
    arena.wait_for(lambda: followed.count() >= ended.count(), seconds=PATIENCE)
    left, surplus = ended.exclude(pk__in=followed.values("parent")).count(), followed.count() - ended.count()
    arena.runs += followed.values_list("pk", flat=True)
    arena.wait(seconds=PATIENCE)
    row = count(arena, f"process exit at {len(POINTS)} points")
    row.wrong += [f"nobody came to the point {name!r}" for name in missed]
    row.wrong += [f"{left} runs were not followed"] if left else []
    row.wrong += [f"{surplus} dependent runs too many"] if surplus > 0 else []
    return row


def crash(arena: Arena, point: Point) -> bool:
    """Lets a process die at `point` with some work; says whether one did, and keeps what was accepted."""
    newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    order = arena.folder / "die-at"
    draft = arena.folder / "draft"
    draft.write_text(point.name)
    draft.rename(order)
    with arena.fault():
        if point.by == "launcher":
            accepted, died = arena.launch_elsewhere(3)
            # Whatever is there was committed, even if nobody was told.
            there = Run.objects.filter(pk__gt=newest, job=arena.job).values_list("pk", flat=True)
            arena.runs += sorted({*there, *accepted})
        else:
            # Bulk runs of some milliseconds come in chunks, and only a chunk announces.
            for _ in range(40):
                arena.launch(priority=100, seconds=0.01)
            arena.launch(priority=1)
            died = arena.wait_for(lambda: not order.exists(), seconds=20)
    order.unlink(missing_ok=True)
    arena.wait(seconds=PATIENCE)
    return died


def misbehaving_jobs(arena: Arena, sizes: Sizes) -> Row:
    """Jobs that raise, exit, eat memory, kill their worker, hang, ignore signals and flood their log."""
    arena.start({"high": ("high", 2)})
    job = Job.objects.get(slug="misbehave")
    wrong = []
    for how, (status, reason) in MISDEEDS.items():
        Job.objects.filter(pk=job.pk).update(timeout_seconds=4 if reason == "timeout" else 60)
        run_id = _misbehave(arena, job, how)
        well = arena.launch()
        _revive_until_ended(arena, [run_id, well])
        run = Run.objects.get(pk=run_id)
        if (run.status, run.failure_reason) != (status, reason):
            wrong.append(f"{how} ended as {run.status} ({run.failure_reason}), not {status} ({reason})")
        if Run.objects.get(pk=well).status != "succeeded":
            wrong.append(f"after {how} nothing else ran")
    row = count(arena, "jobs that misbehave", expected={"error": 3, "timeout": 2})
    row.submitted += len(MISDEEDS)
    row.times = len(MISDEEDS)
    row.wrong += wrong
    return row


def _misbehave(arena: Arena, job: Job, how: str) -> int:
    from runs import causes, launch

    request = launch.Request(parameters={"how": how}, priority=1)
    return launch.launch(job, cause=causes.manual(), request=request).run.pk


def _revive_until_ended(arena: Arena, run_ids: list[int]) -> None:
    """Waits for runs, and does what a supervisor does meanwhile: starts workers again that were killed."""
    until = time.monotonic() + PATIENCE
    while Run.objects.open().filter(pk__in=run_ids).exists() and time.monotonic() < until:
        for name in arena.dead():
            arena.site.kill(name)
            arena.restart(name.removeprefix("worker-"))
        time.sleep(0.1)


ALL: Final[dict[str, Fault]] = {
    "workers": worker_killed,
    "slots": slot_killed,
    "zombies": worker_frozen,
    "broker-killed": broker_killed,
    "broker-flushed": broker_flushed,
    "broker-frozen": broker_frozen,
    "postgres": postgres_restarted,
    "beats": beats_killed,
    "crash-points": crash_points,
    "misbehaviour": misbehaving_jobs,
}

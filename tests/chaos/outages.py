"""Servers that die, forget or answer nothing, while programs go on launching over HTTP."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import redis
from django.db.models import F

from runs.models import Heartbeat, Run, Worker
from tests.chaos.arena import Arena
from tests.chaos.callers import Caller
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count, percentile, until_new_work

PATIENCE: Final = 90.0
# A launch must cost its caller the same whether the broker lives or not (design, Publish), in seconds. A machine on
# which it takes that long while nothing is broken is judged by twice what it takes then.
LAUNCH_P99: Final = 0.2
NEW_WORK_WITHIN: Final = 5.0
CALL_EVERY: Final = 0.05
QUIET_SECONDS: Final = 5.0

Break = Callable[[Arena, Sizes, Callable[[], None]], None]


def broker_killed(arena: Arena, sizes: Sizes) -> Row:
    """The broker dies with all it held, and comes back empty after a while."""
    return _without_broker(arena, sizes, fault="broker killed", break_it=_broker_away)


def broker_flushed(arena: Arena, sizes: Sizes) -> Row:
    """All hints vanish, again and again."""
    return _without_broker(arena, sizes, fault="broker flushed", break_it=_broker_flushed)


def broker_frozen(arena: Arena, sizes: Sizes) -> Row:
    """The broker takes connections and answers nothing."""
    return _without_broker(arena, sizes, fault="broker frozen", break_it=_broker_stopped)


def _without_broker(arena: Arena, sizes: Sizes, *, fault: str, break_it: Break) -> Row:
    arena.start()
    arena.start_web()
    load = partial(arena.load, sizes.scale / 4)
    with Caller(arena.url, arena.key, every=CALL_EVERY) as before:
        time.sleep(QUIET_SECONDS)
    with Caller(arena.url, arena.key, every=CALL_EVERY) as caller:
        for _ in range(sizes.outages):
            load()
            with arena.fault():
                break_it(arena, sizes, load)
            load()
            arena.pause(1, 2)
    arena.runs += before.runs + caller.runs
    arena.wait(seconds=PATIENCE)
    row = count(arena, fault)
    row.recoveries = until_new_work(arena)
    usual = percentile(_waits(before.runs), 99) or 0.0
    row.must_recover_within(NEW_WORK_WITHIN + usual, what="new work")
    _judge_launches(row, caller, before)
    return row


def _waits(runs: list[int]) -> list[float]:
    """How long each waited for its start."""
    started = Run.objects.filter(pk__in=runs, started_at__isnull=False)
    waits = started.values_list(F("started_at") - F("queued_at"), flat=True)
    return [wait.total_seconds() for wait in waits]


def _judge_launches(row: Row, caller: Caller, before: Caller) -> None:
    """Every launch must have been accepted, and the slowest hundredth is what callers feel."""
    slowest, usual = percentile(caller.seconds, 99) or 0.0, percentile(before.seconds, 99) or 0.0
    row.note = (
        f"{len(caller.seconds)} launches over HTTP throughout: p99 {slowest * 1000:.0f} ms, "
        f"{usual * 1000:.0f} ms while nothing was broken"
    )
    if caller.refused:
        row.wrong.append(f"{len(caller.refused)} launches were not accepted, such as: {caller.refused[0]}")
    most = max(LAUNCH_P99, 2 * usual)
    if slowest >= most:
        row.wrong.append(
            f"a launch took p99 {slowest * 1000:.0f} ms; expected less than {most * 1000:.0f} ms"
        )


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
    arena.start_web()
    # Who was told nothing, or a refusal, asks again with the same key: that must not be a second run.
    with Caller(arena.url, arena.key, every=CALL_EVERY * 4, insists=True) as caller:
        for _ in range(sizes.outages):
            began = time.monotonic()
            arena.load(sizes.scale)
            arena.pause(0.2, 1.0)
            with arena.fault():
                arena.restart_postgres()
            arena.load(sizes.scale / 4)
            time.sleep(max(began + sizes.period - time.monotonic(), 1.0))
    arena.runs += caller.runs
    arena.wait(seconds=PATIENCE + 2 * sizes.lease)
    row = count(arena, "PostgreSQL restarted at once")
    row.recoveries = until_new_work(arena)
    row.wrong += caller.doubled()
    row.wrong += _who_stays_dead(arena)
    row.note = f"{len(caller.seconds)} launches over HTTP, {caller.repeats} of them asked again"
    return row


def _who_stays_dead(arena: Arena) -> list[str]:
    """Which processes of the site live but do nothing any more: each of them must have beaten anew."""
    since = arena.now()
    beats = Heartbeat.objects.filter(name__startswith="beat:", at__gt=since)
    workers = Worker.objects.filter(heartbeat_at__gt=since)
    wanted = len(arena.started)
    found = []
    if not arena.wait_for(beats.exists, seconds=PATIENCE):
        found.append("beat lives and ticks no more")
    if not arena.wait_for(lambda: workers.count() >= wanted, seconds=PATIENCE):
        found.append(f"only {workers.count()} of {wanted} workers renew their lease")
    run = arena.launch()
    if not arena.wait_for(lambda: Run.objects.get(pk=run).is_final, seconds=PATIENCE):
        found.append("a new run is not carried out")
    return found

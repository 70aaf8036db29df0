"""Workers and slots that are killed or frozen in the middle of their work."""

import os
import signal
import time
from typing import Final

from django.db.models import Count

from runs import orders, progress
from runs.models import Campaign, Run
from tests.chaos.arena import Arena
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count

PATIENCE: Final = 90.0
CHUNK_KILLS: Final = 10
# Short enough for chunks of many, long enough for a kill to hit one in the middle.
CHUNKED_SECONDS: Final = 0.004


def worker_killed(arena: Arena, sizes: Sizes) -> Row:
    """A worker's main process is killed; every third time all that belongs to it, so that only the lease tells."""
    arena.start()
    for number in range(sizes.rounds):
        arena.load(sizes.scale)
        arena.pause(0.1, 1.0)
        name = arena.random.choice(sorted(arena.started))
        _kill_worker(arena, name, whole=number % 3 == 2)
        arena.restart(name)
    arena.wait(seconds=PATIENCE + sizes.lease)
    row = count(arena, "worker killed")
    row.must_recover_within(sizes.recovery)
    return row


def _kill_worker(arena: Arena, name: str, *, whole: bool) -> None:
    kill = arena.kill_all_of if whole else arena.site.kill
    with arena.fault():
        kill(f"worker-{name}")


def killed_in_chunks(arena: Arena, sizes: Sizes) -> Row:
    """The bulk worker is killed ten times while it holds chunks of a campaign's runs."""
    arena.start({"bulk": ("bulk", 2)})
    arena.start_beat("beat")
    campaign = _campaign(arena, sizes.recipients)
    in_chunks = Run.objects.filter(campaign=campaign, status="running")
    hits = 0
    for number in range(CHUNK_KILLS):
        arena.wait_for(lambda: in_chunks.count() > 1, seconds=PATIENCE)
        arena.pause(0.1, 0.6)
        hits += in_chunks.count() > 1
        _kill_worker(arena, "bulk", whole=number % 3 == 2)
        arena.restart("bulk")
    arena.wait_for(lambda: _reload(campaign).status == "done", seconds=2 * PATIENCE + sizes.lease)
    arena.runs += Run.objects.filter(campaign=campaign).values_list("pk", flat=True)
    row = count(arena, "bulk worker killed in chunks")
    row.must_recover_within(sizes.recovery)
    row.wrong += campaign_faults(campaign, sizes.recipients)
    row.note = f"{hits} of {CHUNK_KILLS} kills hit runs under way"
    return row


def _campaign(arena: Arena, size: int) -> Campaign:
    lines = ((number, {"key": f"recipient-{number}"}) for number in range(1, size + 1))
    shared = {"seconds": CHUNKED_SECONDS}
    return orders.order(orders.Order(job=arena.job, name="chunks", parameters=shared), lines).campaign


def _reload(campaign: Campaign) -> Campaign:
    campaign.refresh_from_db()
    return campaign


def campaign_faults(
    campaign: Campaign, size: int, *, status: str = "done", launched: int | None = None
) -> list[str]:
    """What is wrong with a campaign that must have ended: gaps, repeats, counters that don't agree.

    Of `size` recipients all have a run, unless it was cancelled before; then `launched` of them.
    """
    runs = Run.objects.filter(campaign=campaign)
    recipients = runs.values("target").distinct().count()
    seen = progress.of_campaign(_reload(campaign))
    there = dict(runs.values_list("status").annotate(number=Count("pk")).order_by())
    told = {name: getattr(seen, name) for name in ("succeeded", "failed", "cancelled", "skipped")}
    found = [f"the campaign ended as {campaign.status}"] if campaign.status != status else []
    wanted = size if launched is None else launched
    if recipients != wanted or runs.count() != wanted or campaign.total != size:
        found.append(f"{runs.count()} runs for {recipients} recipients, of {size}; expected {wanted}")
    for name, number in told.items():
        if there.get(name, 0) != number:
            found.append(f"{number} {name} by the counters, {there.get(name, 0)} in the table")
    return found


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
    row = count(arena, "slot killed")
    row.must_recover_within(sizes.recovery)
    return row


def worker_frozen(arena: Arena, sizes: Sizes) -> Row:
    """A worker stops past its lease, others carry its runs, and then it thaws with results of its own."""
    arena.start({"spare": ("high,default,bulk", 2), "high": ("high", 2), "bulk": ("bulk", 2)})
    for number in range(sizes.outages):
        name = ("high", "bulk")[number % 2]
        for _ in range(8):
            arena.launch(priority=1 if name == "high" else 100, seconds=arena.random.uniform(0.5, 1.5))
        arena.pause(0.3, 0.6)
        worker = arena.site.processes[f"worker-{name}"]
        with arena.fault(), arena.frozen([worker.pid], group=True):
            time.sleep(sizes.lease * 1.6 + 2)
        arena.wait(seconds=PATIENCE)
    row = count(arena, "worker frozen past its lease")
    row.must_recover_within(sizes.recovery)
    return row

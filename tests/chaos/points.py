"""Processes that vanish at named points of the engine."""

from pathlib import Path
from typing import Final

from django.db import transaction

from jobs.models import Job
from runs.models import Run
from tests.chaos.arena import Arena
from tests.chaos.ledger.crashes import POINTS, Point
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count
from tests.factories import make_dependency

PATIENCE: Final = 90.0
ROUNDS: Final = 5


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
            # More work until somebody has come there: what a chunk is depends on what slots know of the jobs.
            died = any(_work(arena, order) for _ in range(ROUNDS))
    order.unlink(missing_ok=True)
    arena.wait(seconds=PATIENCE)
    return died


def _work(arena: Arena, order: Path) -> bool:
    """Queues runs in two lanes; says whether a process carried the order out when all of them have ended.

    Bulk runs of some milliseconds come in chunks, and only a chunk announces: all are there at once, or the slots
    keep up with the launches and find one at a time.
    """
    with transaction.atomic():
        for _ in range(40):
            arena.launch(priority=100, seconds=0.01)
    arena.launch(priority=1)
    arena.wait_for(lambda: not order.exists() or not arena.open().exists(), seconds=PATIENCE)
    return not order.exists()

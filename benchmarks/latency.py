"""From trigger to start, and runs one by one.

From trigger to start is from before `runs.launch.launch` is called, with the job at hand as a peer's task is, to the
start that the run's row has.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.figures import HEADWAY, Figure, milliseconds
from benchmarks.site import Site, Sizes, figure, until

if TYPE_CHECKING:
    from jobs.models import Job


def settle_down() -> None:
    """Lets what a start leaves to be done be done, and every slot have carried out a run."""
    noop = job("noop")
    for _ in range(30):
        launch(noop)
        time.sleep(0.05)
    time.sleep(1)


def job(slug: str) -> "Job":
    """The job of that slug."""
    from jobs.models import Job

    return Job.objects.get(slug=slug)


def launch(job: "Job", **request: Any) -> int:
    """Launches a run as whoever has a job does; returns its id."""
    from runs import causes
    from runs.launch import Request
    from runs.launch import launch as launch_run

    return launch_run(job, cause=causes.manual(), request=Request(**request)).run.pk


def probe(count: int, *, gap: float, while_: Callable[[], bool] = lambda: True) -> list[float]:
    """Launches runs one by one, in between nothing; returns how long each took to start, in seconds."""
    from runs.models import Run

    noop, asked = job("noop"), dict[int, float]()
    while len(asked) < count and while_():
        at = time.time()
        asked[launch(noop)] = at
        time.sleep(gap)
    runs = Run.objects.filter(pk__in=asked)
    until(lambda: not runs.filter(started_at__isnull=True).exists())
    return [run.started_at.timestamp() - asked[run.pk] for run in runs if run.started_at]


def idle(site: Site, sizes: Sizes) -> list[Figure]:
    """While nothing else is to be done."""
    waits = probe(sizes.probes, gap=sizes.gap)
    return milliseconds("trigger to start, idle", waits, system=HEADWAY, p50=3, p99=6)


def post(site: Site, sizes: Sizes) -> list[Figure]:
    """The same for a program: how long its call takes, and until when the run has started."""
    from runs.models import Run

    took, asked = [], dict[int, float]()
    for _ in range(sizes.probes):
        at = time.time()
        answer = site.client.post("/api/jobs/noop/run", json={})
        took.append(time.time() - at)
        asked[answer.raise_for_status().json()["id"]] = at
        time.sleep(sizes.gap)
    runs = Run.objects.filter(pk__in=asked)
    until(lambda: not runs.filter(started_at__isnull=True).exists())
    waits = [run.started_at.timestamp() - asked[run.pk] for run in runs if run.started_at]
    return [
        *milliseconds("a launching POST, answered", took, system=HEADWAY),
        *milliseconds("a launching POST, run started", waits, system=HEADWAY),
    ]


def one_by_one(site: Site, sizes: Sizes) -> list[Figure]:
    """Runs of the lane high, which are claimed and settled one by one."""
    from django.db import transaction

    noop = job("noop")
    with transaction.atomic():
        ids = [launch(noop) for _ in range(sizes.single)]
    per_second = rate(ids[0], ids[-1])
    return [
        figure(
            "tracked no-op runs, one by one", per_second, "/s", target=1000, is_rate=True, note="lane high"
        )
    ]


def rate(first: int, last: int) -> float:
    """Runs a second, from the first start to the last end, when all have ended."""
    from django.db.models import Count, Max, Min

    from runs.models import Run

    runs = Run.objects.filter(pk__gte=first, pk__lte=last)
    # The last one first, or who waits would read through all that have ended, again and again.
    until(lambda: not runs.open().filter(pk=last).exists(), pause=0.2)
    until(lambda: not runs.open().exists(), pause=0.2)
    seen = runs.filter(status="succeeded").aggregate(Count("pk"), Min("started_at"), Max("finished_at"))
    return float(seen["pk__count"] / (seen["finished_at__max"] - seen["started_at__min"]).total_seconds())

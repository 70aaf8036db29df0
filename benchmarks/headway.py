"""Measures this checkout: every row of Headway, one site for all of them."""

import traceback
from collections.abc import Callable, Collection
from typing import Final

from benchmarks import campaigns, history, latency, polling, schedules
from benchmarks.figures import Figure
from benchmarks.site import Site, Sizes, figure, site

Step = Callable[[Site, Sizes], list[Figure]]
# History goes last: it is what the others are to be compared with, and in their way.
STEPS: Final[tuple[Step, ...]] = (
    latency.idle,
    latency.post,
    latency.one_by_one,
    campaigns.creation,
    campaigns.bulk,
    campaigns.sleeping,
    campaigns.saturated,
    polling.run_pages,
    schedules.firing,
    history.growth,
)


NAMES: Final = tuple(dict.fromkeys(step.__module__.rpartition(".")[2] for step in STEPS))


def measure(sizes: Sizes, *, names: Collection[str] = NAMES) -> list[Figure]:
    """The figures of Headway, all or those of the named modules; a step that fails is told and left out."""
    with site() as measured:
        figures = [
            figure("make up, first page", measured.first_page, "s", target=8),
            figure("make up, all workers ready", measured.ready, "s", target=12),
        ]
        latency.settle_down()
        for step in STEPS:
            name = step.__module__.rpartition(".")[2]
            if name not in names:
                continue
            print(f"Headway: {name}, {step.__name__} …", flush=True)
            try:
                figures += step(measured, sizes)
            except Exception:
                traceback.print_exc()
    return figures

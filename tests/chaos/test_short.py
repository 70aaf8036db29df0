"""The chaos suite in small: two faults and one point, so that a change that breaks a promise is seen at once."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.chaos import killing, points
from tests.chaos.arena import START_SECONDS, Arena
from tests.chaos.ledger.crashes import POINTS
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count, lines_of
from tests.servers import Servers
from tests.site import Site

pytestmark = pytest.mark.slow
SEED = 20260101
# How fast a machine starts workers that is busy with other tests says nothing.
SMALL = Sizes(rounds=1, scale=0.5, outages=1, freeze=2.0, margin=START_SECONDS)


@pytest.fixture
def arena(servers: Servers, site: Site, tmp_path: Path) -> Arena:
    """A site of the suite's own settings, nothing of it started yet."""
    return Arena(servers=servers, site=site, folder=tmp_path, random=Random(SEED))


@pytest.mark.parametrize("fault", [killing.worker_killed, killing.slot_killed])
def test_a_fault_loses_nothing_and_repeats_nothing_unseen(
    arena: Arena, fault: Callable[[Arena, Sizes], Row]
) -> None:
    row = fault(arena, SMALL)
    assert row.holds, lines_of(row)
    assert row.submitted == len(arena.runs) > 0


def test_a_slot_that_vanishes_once_it_has_claimed_is_rescued(arena: Arena) -> None:
    name = "claim, committed"
    arena.start({"high": ("high", 1), "bulk": ("bulk", 1)})
    (point,) = [point for point in POINTS if point.name == name]
    assert points.crash(arena, point)
    row = count(arena, name)
    assert row.holds, lines_of(row)


def test_the_suite_would_see_a_lost_run(arena: Arena) -> None:
    arena.launch()
    row = count(arena, "nobody works")
    assert (row.lost, row.holds) == (1, False)

"""The faults, by the name of their row."""

from collections.abc import Callable
from typing import Final

from tests.chaos import beats, campaigns, cancels, draining, hostile, killing, outages, points, repeats
from tests.chaos.arena import Arena
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row

Fault = Callable[[Arena, Sizes], Row]
ALL: Final[dict[str, Fault]] = {
    "workers": killing.worker_killed,
    "chunks": killing.killed_in_chunks,
    "slots": killing.slot_killed,
    "zombies": killing.worker_frozen,
    "broker-killed": outages.broker_killed,
    "broker-flushed": outages.broker_flushed,
    "broker-frozen": outages.broker_frozen,
    "postgres": outages.postgres_restarted,
    "beats": beats.beats_killed,
    "crash-points": points.crash_points,
    "misbehaviour": hostile.misbehaving_jobs,
    "cancels": cancels.cancelled_in_each_state,
    "repeats": repeats.everything_repeated,
    "million": campaigns.very_many_recipients,
    "drain": draining.drained,
}

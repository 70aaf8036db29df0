"""Histograms of times: how long runs waited and took, in buckets that can be added up over any hours.

A bucket is a quarter of a doubling: bucket b holds the times from 2 ** (b / 4) to 2 ** ((b + 1) / 4) seconds. So what
is read from it is right to within a fifth at worst, and with many runs to a few hundredths. PostgreSQL's `runs_bucket`
does the same as `bucket`.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

# From a sixteenth of a millisecond to seven weeks: what is shorter or longer is in the first or last bucket.
FIRST: Final = -56
LAST: Final = 88


def bucket(seconds: float) -> int:
    """The bucket that a time belongs to."""
    return FIRST if seconds <= 0 else max(FIRST, min(LAST, math.floor(4 * math.log2(seconds))))


class Histogram:
    """How many times lie in which bucket."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter(counts or {})

    def read(self, told: str | None) -> None:
        """Adds what the tallies say: lines of JSON, each an object of bucket and count, or a list of buckets.

        Of thousands of lines, as where ten thousand schedules fired in an hour, most say the same.
        """
        for line, times in Counter(told.split("\n") if told else ()).items():
            part = json.loads(line)
            counted = part if isinstance(part, dict) else Counter(part)
            for name, count in counted.items():
                self._counts[int(name)] += count * times

    def join(self, other: "Histogram") -> None:
        """Adds another one."""
        self._counts.update(other._counts)

    @property
    def total(self) -> int:
        """How many there are."""
        return self._counts.total()

    def quantile(self, share: float) -> float | None:
        """The time in seconds that the `share` (0 to 1) of them does not exceed; None if there are none."""
        total = self._counts.total()
        rank = max(math.ceil(share * total), 1)
        before = 0
        for number in sorted(self._counts):
            count = self._counts[number]
            if before + count >= rank:
                return float(2 ** ((number + (rank - before - 0.5) / count) / 4))
            before += count
        return None

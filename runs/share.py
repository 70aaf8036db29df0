"""Bulk's share of a slot that serves bulk and other lanes, whose hints the broker always gives out first.

An endless stream of urgent work would starve bulk there. So a slot owes bulk time for the time that it gave to
others: at least `BULK_SHARE` of both together. Where bulk has workers of its own, as `up` starts them, nothing is owed.
"""

from django.conf import settings


class Share:
    """What one slot owes bulk, in seconds."""

    def __init__(self) -> None:
        self._owed = 0.0

    def note(self, lane: str, seconds: float) -> None:
        """The slot worked for `lane` for so long."""
        if lane == "bulk":
            self._owed = max(0.0, self._owed - seconds)
        else:
            self._owed += seconds * settings.BULK_SHARE / (1 - settings.BULK_SHARE)

    def owed(self) -> float:
        """For how long it should work for bulk now."""
        return self._owed

    def forget(self) -> None:
        """Bulk had no work: what it did not need is not saved up for it."""
        self._owed = 0.0

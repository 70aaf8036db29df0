"""How long the pages of runs wait before they ask again: as long as suits each, and longer when many are open.

A site slows its own pollers. What a web process answers beside all else is limited: if the pages that are open with it
would ask more often than `CALM`, all of them wait longer by the same factor, so that two hundred young runs that are
watched cost no more than thirty. With fewer nothing changes.
"""

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from django.conf import settings
from django.http import HttpRequest

# So many polls a second a process is asked for: with all that the database does, a quarter of a slow core at most.
CALM: Final = 30.0
# No page waits longer for its crowd, in seconds.
LONGEST: Final = 15.0
# How often the open pages are counted, and how late a poll may come before its page is taken for closed.
_LOOK: Final = 1.0
_LATE: Final = 5.0

Page = tuple[str, int]


@dataclass(slots=True)
class Crowd:
    """The pages that are open with one process: until when each is believed to be, and how often it would ask."""

    _pages: dict[Page, tuple[float, float]] = field(default_factory=dict)
    _factor: float = 1.0
    _look_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def wait(self, page: Page, seconds: float, *, now: float) -> float:
        """How long `page`, which would ask again in so many seconds, is to wait; `now` is any steady clock's."""
        with self._lock:
            if now >= self._look_at:
                self._look(now)
            waits = max(seconds, min(seconds * self._factor, LONGEST))
            self._pages[page] = now + 2 * waits + _LATE, 1 / seconds
            return round(waits, 1)

    def _look(self, now: float) -> None:
        self._pages = {page: known for page, known in self._pages.items() if known[0] > now}
        self._factor = max(sum(wished for _, wished in self._pages.values()) / CALM, 1.0)
        self._look_at = now + _LOOK


_crowd = Crowd()


def wait(request: HttpRequest, seconds: float, *, run: int) -> float:
    """After how many seconds the run's page is to ask again that would do so after `seconds` if few were open."""
    page = request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), run
    return _crowd.wait(page, seconds, now=time.monotonic())

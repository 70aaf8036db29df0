"""What it costs that people leave the pages of open runs open."""

import html
import re
import time
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import Final

from benchmarks.campaigns import bulk_paused
from benchmarks.figures import Figure
from benchmarks.latency import job, launch
from benchmarks.site import Site, Sizes, figure

PAGES: Final = 200
# How long they are left open before it counts, and while it does.
BEFORE_SECONDS: Final = 15.0
SECONDS: Final = 30.0
_POLLER: Final = re.compile(r'id="poller"[^>]*hx-get="([^"]+)"[^>]*data-poll="([^"]+)"')


@dataclass(order=True, slots=True)
class Page:
    """An open page: when it asks again, by `time.monotonic`, and where."""

    due: float
    address: str


def run_pages(site: Site, sizes: Sizes) -> list[Figure]:
    """How much of one core all processes of the site use for 200 pages of young runs that wait.

    Each asks when the site told it to, and goes on from its last answer, as in a browser.
    """
    with bulk_paused():
        noop = job("noop")
        began = time.monotonic()
        pages = []
        for number in range(PAGES):
            run = launch(noop, priority=100)
            address, seconds = _poller(site.client.get(f"/runs/{run}/").raise_for_status().text)
            pages.append(Page(began + number / PAGES + seconds, address))
        _polled(site, pages, BEFORE_SECONDS)
        before = site.cpu_seconds()
        polls = _polled(site, pages, SECONDS)
        busy = site.cpu_seconds() - before - _unused(site, SECONDS)
    note = f"{busy / polls * 1000:.2f} ms of CPU a poll, each page every {PAGES * SECONDS / polls:.1f} s"
    share = 100 * busy / SECONDS
    return [figure(f"polling {PAGES} open run pages", share, "% of a core", target=25, note=note)]


def _poller(page: str) -> tuple[str, float]:
    """Where the page asks again, and after how many seconds."""
    address, seconds = _POLLER.search(page).groups()  # type: ignore[union-attr]
    return html.unescape(address), float(seconds)


def _polled(site: Site, pages: list[Page], seconds: float) -> int:
    """Lets the pages poll for so long; returns how often they did."""
    heapify(pages)
    polls, until = 0, time.monotonic() + seconds
    while (page := pages[0]).due < until:
        time.sleep(max(page.due - time.monotonic(), 0))
        answer = site.client.get(page.address, headers={"HX-Request": "true"}).raise_for_status()
        if answer.status_code == 200:
            page.address, wait = _poller(answer.text)
        else:
            wait = float(answer.headers["X-Poll"])
        page.due = time.monotonic() + wait
        heapreplace(pages, page)
        polls += 1
    return polls


def _unused(site: Site, seconds: float) -> float:
    """The CPU seconds that are used in so many seconds when nobody polls."""
    before = site.cpu_seconds()
    time.sleep(seconds)
    return site.cpu_seconds() - before

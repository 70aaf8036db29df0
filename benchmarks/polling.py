"""What it costs that people leave the pages of open runs open."""

import html
import re
import time
from typing import Final

from benchmarks.campaigns import bulk_paused
from benchmarks.figures import Figure
from benchmarks.latency import job, launch
from benchmarks.site import Site, Sizes, figure

PAGES: Final = 200
POLLED: Final = 20
ROUNDS: Final = 25
_POLLER: Final = re.compile(r'id="poller"[^>]*hx-get="([^"]+)"[^>]*data-poll="([^"]+)"')


def run_pages(site: Site, sizes: Sizes) -> list[Figure]:
    """How much of one core all processes of the site use for 200 pages of runs that wait, at the pages' own pace."""
    with bulk_paused():
        noop = job("noop")
        runs = [launch(noop, priority=100) for _ in range(POLLED)]
        found = [_poller(site.client.get(f"/runs/{run}/").raise_for_status().text) for run in runs]
        pace = min(seconds for _, seconds in found)
        busy, took = _polled(site, [address for address, _ in found], pace)
        cost = (busy - _unused(site, took)) / (POLLED * ROUNDS)
    share = 100 * cost * PAGES / pace
    note = f"{cost * 1000:.2f} ms of CPU a poll, every {pace:g} s"
    return [figure(f"polling {PAGES} open run pages", share, "% of a core", target=25, note=note)]


def _poller(page: str) -> tuple[str, float]:
    """Where the page asks again, and after how many seconds."""
    address, seconds = _POLLER.search(page).groups()  # type: ignore[union-attr]
    return html.unescape(address), float(seconds)


def _polled(site: Site, addresses: list[str], pace: float) -> tuple[float, float]:
    """The CPU seconds that all polls take, and how long they took; each goes on from the page's last answer.

    At the pages' own pace: what is looked at anew after some seconds is so here as often as in a browser.
    """
    before, began = site.cpu_seconds(), time.monotonic()
    for number in range(ROUNDS):
        time.sleep(max(began + number * pace - time.monotonic(), 0))
        for place, address in enumerate(addresses):
            answer = site.client.get(address, headers={"HX-Request": "true"}).raise_for_status()
            if answer.status_code == 200:
                addresses[place] = _poller(answer.text)[0]
    return site.cpu_seconds() - before, time.monotonic() - began


def _unused(site: Site, seconds: float) -> float:
    """The CPU seconds that are used in so many seconds when nobody polls."""
    before = site.cpu_seconds()
    time.sleep(seconds)
    return site.cpu_seconds() - before

"""Campaigns: making them, carrying them out, cancelling them, and what triggers feel of them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.figures import HEADWAY, Figure, milliseconds
from benchmarks.latency import probe, rate
from benchmarks.site import PATIENCE, Site, Sizes, figure, until


def order(site: Site, job: str, recipients: int, parameters: dict[str, Any] | None = None) -> int:
    """Sends a campaign of so many recipients as NDJSON; returns its id."""
    given = json.dumps(parameters or {})
    body = "".join(f'{{"key": "user-{n}", "parameters": {given}}}\n' for n in range(recipients))
    answer = site.client.post(
        f"/api/campaigns?job={job}&name=bench",
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )
    if not answer.is_success:
        raise RuntimeError(f"The campaign was refused: {answer.status_code} {answer.text[:500]}")
    return int(answer.json()["id"])


@contextmanager
def bulk_paused() -> Iterator[None]:
    """While it lasts, no run of the lane bulk starts."""
    from runs import lanes
    from runs.models import Lane

    lane = Lane.objects.get(name="bulk")
    lanes.pause(lane, by="benchmarks")
    try:
        yield
    finally:
        lanes.resume(lane, by="benchmarks")


def _launched(campaign: int) -> bool:
    from django.db.models import F

    from runs.models import Campaign

    return Campaign.objects.filter(pk=campaign, launched__gte=F("total")).exists()


def creation(site: Site, sizes: Sizes) -> list[Figure]:
    """From the request to the last run's row, while the lane is paused; each recipient's number is validated.

    Then all are cancelled: from the call to the last run's end.
    """
    from runs import campaigns
    from runs.models import Campaign

    with bulk_paused():
        began = time.monotonic()
        number = order(site, "sleep", sizes.bulk, {"seconds": 0.005})
        until(lambda: _launched(number))
        made = time.monotonic() - began
        began = time.monotonic()
        campaigns.cancel(Campaign.objects.get(pk=number), by="benchmarks")
        until(lambda: Campaign.objects.filter(pk=number, status="cancelled").exists())
        cancelled = time.monotonic() - began
    target = max(1.5 * sizes.bulk / 100_000, 0.5)
    return [
        figure(f"a campaign of {sizes.bulk:,} recipients", made, "s", target=target),
        figure(f"cancelling {sizes.bulk:,} queued runs of a campaign", cancelled, "s"),
    ]


def bulk(site: Site, sizes: Sizes) -> list[Figure]:
    """The whole life cycle of a campaign's runs, all of them queued before the first one starts."""
    from django.db.models import Max, Min

    from runs.models import Run

    with bulk_paused():
        campaign = order(site, "noop", sizes.bulk)
        until(lambda: _launched(campaign))
    ids = Run.objects.filter(campaign=campaign).aggregate(Min("pk"), Max("pk"))
    per_second = rate(ids["pk__min"], ids["pk__max"])
    measure = "tracked no-op runs, bulk"
    return [figure(measure, per_second, "/s", target=15_000, is_rate=True, note="lane bulk")]


def _under(site: Site, sizes: Sizes, *, job: str, recipients: int, **parameters: Any) -> list[float]:
    """Probes while a campaign keeps the lane bulk busy, with one campaign after the other if need be."""
    from runs import campaigns
    from runs.models import Campaign, Run

    waits: list[float] = []
    end = time.monotonic() + PATIENCE
    while len(waits) < sizes.probes and time.monotonic() < end:
        campaign = order(site, job, recipients, parameters)
        busy = Run.objects.open().filter(campaign=campaign)
        waits += probe(sizes.probes - len(waits), gap=sizes.gap / 2, while_=busy.exists)
        if len(waits) >= sizes.probes and busy.exists():
            campaigns.cancel(Campaign.objects.get(pk=campaign), by="benchmarks")
        while busy.exists():
            time.sleep(0.1)
    return waits


def sleeping(site: Site, sizes: Sizes) -> list[Figure]:
    """While a campaign's runs sleep 5 ms each."""
    waits = _under(site, sizes, job="sleep", recipients=sizes.bulk, seconds=0.005)
    return milliseconds("trigger to start, bulk sleeps 5 ms", waits, system=HEADWAY, p50=3, p99=6)


def saturated(site: Site, sizes: Sizes) -> list[Figure]:
    """While a campaign of no-op runs keeps every core busy."""
    waits = _under(site, sizes, job="noop", recipients=sizes.bulk * 2)
    return milliseconds("trigger to start, bulk saturates the CPUs", waits, system=HEADWAY, p50=6, p99=12)

"""The demo's jobs that are Python functions: three to try things out with, the scraper of story S1, the chain of S2."""

import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

from demo import (
    chain,  # noqa: F401 - declares ingest, clean, report, alert and audit
    misbehaviour,
)
from jobs.executors import JobContext
from jobs.registry import job
from jobs.retry import RetryPolicy

NAP_SECONDS = 0.25
INDIANAPOLIS = ["Indianapolis, IN"]


@job("noop", name="No operation", tags=("demo",))
def noop() -> None:
    """Does nothing and succeeds: the shortest run there is."""


@job("sleep", tags=("demo",), on_lost="retry")
def sleep(
    context: JobContext, seconds: Annotated[float, {"minimum": 0, "title": "Seconds"}] = 5
) -> dict[str, float]:
    """Sleeps, says each second how long already, and stops when it is cancelled."""
    begun, said = time.monotonic(), -1
    while (slept := time.monotonic() - begun) < seconds and not context.is_cancelled():
        if int(slept) > said:
            said = int(slept)
            context.progress(said, seconds, f"{said} of {seconds:g} s")
        time.sleep(min(NAP_SECONDS, seconds - slept))
    context.progress(min(slept, seconds), seconds)
    context.log(f"Slept {slept:.1f} s.")
    return {"slept_seconds": round(slept, 3)}


@job("misbehave", tags=("demo",), timeout_seconds=20, isolated=True, memory_limit_mb=512)
def misbehave(
    context: JobContext,
    how: Annotated[
        Literal["raise", "exit", "memory", "kill-parent", "ignore-sigterm", "hang", "flood-log"],
        {"title": "How"},
    ],
) -> Any:
    """Goes wrong in the way you choose, to show that the site survives it and says what happened."""
    return misbehaviour.misbehave(context, how)


@job(
    "sold-daily-indy",
    name="Daily sold properties, Indianapolis",
    tags=("demo", "scraper"),
    timeout_seconds=300,
    max_concurrent_runs=1,
    retry=RetryPolicy(max_attempts=3, first_delay_seconds=5, longest_delay_seconds=60),
)
def sold_daily_indy(
    context: JobContext,
    locations: Annotated[
        list[str],
        {"title": "Locations", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        "Cities of the listing site, such as Indianapolis, IN.",
    ] = INDIANAPOLIS,
    listing_type: Annotated[Literal["sold", "for_sale", "pending"], {"title": "Listing type"}] = "sold",
) -> dict[str, int]:
    """Reads the listing site page by page and keeps what is new or has changed."""
    from demo.scraper import scrape

    return asdict(scrape(context, locations=locations, listing_type=listing_type))

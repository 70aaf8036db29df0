"""Scrapes the listing site: page after page, past pages that fail, into the demo's own table."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import httpx2
from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from demo import pages
from demo.models import SoldProperty
from demo.pages import Page, Property, Unreadable
from jobs.executors import JobContext

TIMEOUT_SECONDS = 10.0
TRIES = 2


class NothingRead(Exception):
    """Not a single page could be read, so there is nothing to show for the run."""


class PageFailed(Exception):
    """One page could not be had or read, and why."""


@dataclass(slots=True)
class Count:
    """What came of a scrape; the names are those of the run's result."""

    properties_scraped: int = 0
    properties_saved: int = 0
    pages: int = 0
    pages_failed: int = 0


def scrape(context: JobContext, *, locations: Sequence[str], listing_type: str) -> Count:
    """Reads all listings of one type in the given places and keeps what is new or has changed.

    A page that fails is tried once more, then logged and left out. Raises NothingRead if all failed.
    """
    count = Count()
    with httpx2.Client(base_url=settings.DEMO_URL, timeout=TIMEOUT_SECONDS) as client:
        for location in locations:
            for page in _pages(context, client, location=location, listing_type=listing_type, count=count):
                count.properties_scraped += len(page.properties)
                count.properties_saved += keep(page.properties, location=location, listing_type=listing_type)
    if not count.pages:
        raise NothingRead(f"None of {count.pages_failed} pages at {settings.DEMO_URL} could be read.")
    return count


def keep(properties: Sequence[Property], *, location: str, listing_type: str) -> int:
    """Stores what is new or has changed, as the page said it last; returns how many that were."""
    said = {
        each.reference: asdict(each) | {"location": location, "listing_type": listing_type}
        for each in properties
    }
    with transaction.atomic():
        rows = SoldProperty.objects.select_for_update().filter(reference__in=said).order_by("reference")
        known = {row.reference: {name: getattr(row, name) for name in said[row.reference]} for row in rows}
        changed = [SoldProperty(**each) for reference, each in said.items() if known.get(reference) != each]
        SoldProperty.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["reference"],
            update_fields=[name for name in next(iter(said.values()), {}) if name != "reference"],
        )
    return len(changed)


def _pages(
    context: JobContext, client: httpx2.Client, *, location: str, listing_type: str, count: Count
) -> Iterator[Page]:
    """The readable pages of one place; what can't be read is logged and counted. Ends when cancelled."""
    number, last = 1, 1
    while number <= last and not context.is_cancelled():
        try:
            page = _fetch(client, f"/demo/listings/{slugify(location)}/{listing_type}/?page={number}")
        except PageFailed as failure:
            context.log(f"{location}, page {number}: {failure}", level="warning")
            count.pages_failed += 1
        else:
            last = page.pages
            count.pages += 1
            for problem in page.problems:
                context.log(f"{location}, page {number}: {problem}", level="warning")
            context.log(f"{location}, page {number} of {last}: {len(page.properties)} properties")
            yield page
        context.progress(number, last, f"{location}, page {number} of {last}")
        number += 1


def _fetch(client: httpx2.Client, address: str) -> Page:
    """Gets and reads one page, with a second try; raises PageFailed with the last reason."""
    reason = ""
    for _ in range(TRIES):
        try:
            return pages.read(client.get(address).raise_for_status().text)
        except httpx2.HTTPStatusError as error:
            reason = f"the site answered {error.response.status_code} {error.response.reason_phrase}"
        except httpx2.HTTPError as error:
            reason = f"no answer ({type(error).__name__}: {error})"
        except Unreadable as error:
            reason = f"it can't be read: {error}"
    raise PageFailed(f"{reason}, {TRIES} times; left out.")

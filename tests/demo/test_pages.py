"""demo.pages: what a listing page says, and what it can't say."""

from dataclasses import asdict
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from demo import listings, pages


def html(number: int = 1, *, city: str = "indianapolis-in", kind: str = "sold") -> str:
    return render_to_string(
        "demo/listings.html",
        {
            "city": listings.CITIES[city],
            "kind": kind,
            "word": listings.WORDS[kind],
            "listings": listings.page(city, kind, number),
            "number": number,
            "last": listings.pages(city, kind),
        },
    )


def test_every_listing_is_read_as_it_was_written() -> None:
    page = pages.read(html())
    assert page.pages == 9
    assert page.properties == [
        pages.Property(**asdict(each) | {"baths": Decimal(str(each.baths))})
        for each in listings.page("indianapolis-in", "sold", 1)
    ]


def test_a_listing_without_a_price_is_named_and_left_out() -> None:
    page = pages.read(html(3))
    assert len(page.properties) == listings.PAGE_SIZE - 1
    assert page.problems == [
        "Listing IND-S0047: its price is 'Ask the agent', expected something like '$245,000'."
    ]


@pytest.mark.parametrize("text", ["", "<html>Maintenance", "<p class=pages>Page one of many</p>"])
def test_what_is_no_page_of_listings_is_refused(text: str) -> None:
    with pytest.raises(pages.Unreadable, match="Page 1 of 9"):
        pages.read(text)


def test_a_date_that_is_none_is_named() -> None:
    broken = html().replace("Nov 20, 2026", "Foo 20, 2026", 1)
    (problem,) = pages.read(broken).problems
    assert "its date is 'Foo 20, 2026'" in problem


def test_the_site_has_enough_to_read_past_its_broken_page() -> None:
    readable = [
        listing
        for number in range(1, listings.pages("indianapolis-in", "sold") + 1)
        for listing in listings.page("indianapolis-in", "sold", number)
        if number != listings.BROKEN_PAGE and listing.price is not None
    ]
    assert len(readable) >= 150
    assert len({listing.reference for listing in readable}) == len(readable)

"""The listing site's stock: the same listings on every machine and every day, made from a seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

CITIES: Final[Mapping[str, str]] = {
    "indianapolis-in": "Indianapolis, IN",
    "carmel-in": "Carmel, IN",
    "fishers-in": "Fishers, IN",
}
# How many listings of each kind the largest city has; the others have a third of it.
COUNTS: Final[Mapping[str, int]] = {"sold": 176, "for_sale": 84, "pending": 33}
WORDS: Final[Mapping[str, str]] = {"sold": "Sold", "for_sale": "Listed", "pending": "Pending since"}
PAGE_SIZE: Final = 20
# What every scraper meets some day: a slow page, a page that fails, and a listing without a price.
SLOW_PAGE: Final = 3
BROKEN_PAGE: Final = 5
PRICELESS: Final = 47

_NEWEST: Final = date(2026, 11, 20)
_STREETS: Final = (
    "Meridian St", "College Ave", "Keystone Ave", "Guilford Ave", "Pennsylvania St", "Talbott St",
    "Broad Ripple Ave", "Kessler Blvd", "Massachusetts Ave", "Fall Creek Pkwy", "Delaware St", "Park Ave",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One property on offer or gone; `price` None is a listing without one."""

    reference: str
    address: str
    price: int | None
    beds: int
    baths: float
    area: int
    listed_on: date


def pages(city: str, kind: str) -> int:
    """How many pages of `PAGE_SIZE` listings there are."""
    return -(-len(stock(city, kind)) // PAGE_SIZE)


def page(city: str, kind: str, number: int) -> tuple[Listing, ...]:
    """The listings of page `number`, counted from 1."""
    return stock(city, kind)[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


@cache
def stock(city: str, kind: str) -> tuple[Listing, ...]:
    """All listings of a city (a key of CITIES) and a kind (a key of COUNTS), the newest first."""
    count = COUNTS[kind] if city == "indianapolis-in" else COUNTS[kind] // 3
    chance = random.Random(f"{city}/{kind}")
    return tuple(_listing(city, kind, number, chance) for number in range(1, count + 1))


def _listing(city: str, kind: str, number: int, chance: random.Random) -> Listing:
    area = chance.randrange(780, 4200, 10)
    price = area * chance.randrange(110, 260) // 1000 * 1000
    return Listing(
        reference=f"{city[:3].upper()}-{kind[0].upper()}{number:04d}",
        address=f"{chance.randrange(100, 9900)} {chance.choice('NSEW')} {chance.choice(_STREETS)}",
        price=None if number == PRICELESS else price,
        beds=chance.randrange(1, 6),
        baths=chance.choice((1, 1.5, 2, 2.5, 3, 3.5)),
        area=area,
        listed_on=_NEWEST - timedelta(days=number // 4),
    )

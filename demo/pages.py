"""Reads a page of the listing site: HTML in, plain records out. What can't be read is named, not guessed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, Final

FIELDS: Final = ("address", "price", "beds", "baths", "area", "date")


class Unreadable(ValueError):
    """A text on the page that is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One listing of the site: its own reference number, and what it says of the property."""

    reference: str
    address: str
    price: int
    beds: int
    baths: Decimal
    area: int
    listed_on: date


@dataclass(slots=True, kw_only=True)
class Page:
    """What was read: properties, sentences about listings that could not be, and how many pages there are."""

    properties: list[Property] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    pages: int


def read(html: str) -> Page:
    """The listings of a page; raises Unreadable if it is not a page of listings at all."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    found = re.fullmatch(r"Page \d+ of (\d+)", parser.pages.strip())
    if found is None:
        raise Unreadable(f"it says {parser.pages.strip()!r} where 'Page 1 of 9' was expected")
    page = Page(pages=int(found[1]))
    for reference, texts in parser.listings:
        try:
            page.properties.append(_property(reference, texts))
        except Unreadable as error:
            page.problems.append(f"Listing {reference}: {error}.")
    return page


class _Parser(HTMLParser):
    """Collects the text of each marked element of each listing."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = ""
        self.listings: list[tuple[str, dict[str, str]]] = []
        self._field: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        kind = attributes.get("class")
        if kind == "listing":
            self.listings.append((attributes.get("id") or "?", {}))
        elif kind == "pages" or (kind in FIELDS and self.listings):
            self._field = kind

    def handle_endtag(self, tag: str) -> None:
        self._field = None

    def handle_data(self, data: str) -> None:
        if self._field == "pages":
            self.pages += data
        elif self._field is not None:
            texts = self.listings[-1][1]
            texts[self._field] = texts.get(self._field, "") + data


def _property(reference: str, texts: Mapping[str, str]) -> Property:
    read = {name: _value(name, texts.get(name, "").strip()) for name in FIELDS}
    return Property(reference=reference, listed_on=read.pop("date"), **read)


def _value(name: str, text: str) -> Any:
    pattern, convert, example = _READERS[name]
    found = re.fullmatch(pattern, text)
    try:
        if found:
            return convert(found[1])
    except ValueError:
        pass
    raise Unreadable(f"its {name} is {text!r}, expected something like {example!r}")


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _date(text: str) -> date:
    month, day, year = text.replace(",", "").split()
    return date(int(year), _MONTHS.index(month) + 1, int(day))


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_READERS: Final[Mapping[str, tuple[str, Callable[[str], Any], str]]] = {
    "address": (r"(.+)", str, "12 N Meridian St"),
    "price": (r"\$([\d,]+)", _number, "$245,000"),
    "beds": (r"(\d+) bd", int, "3 bd"),
    "baths": (r"(\d+(?:\.\d)?) ba", Decimal, "2.5 ba"),
    "area": (r"([\d,]+) sqft", _number, "1,540 sqft"),
    "date": (r"(\w{3} \d{1,2}, \d{4})", _date, "Nov 3, 2025"),
}

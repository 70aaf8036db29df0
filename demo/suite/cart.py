"""The cart of the demo's little shop: what is in it, and what it costs."""

from collections import Counter
from dataclasses import dataclass, field

from demo.suite.prices import share

FREE_SHIPPING_FROM = 5000
SHIPPING = 490
# From so many of one article on, each costs so many per cent less.
BULK_QUANTITY, BULK_PERCENT = 10, 15


class UnknownArticle(KeyError):
    """The shop has no such article."""


@dataclass(slots=True)
class Cart:
    """Quantities by article; `prices` are the shop's, in cents."""

    prices: dict[str, int]
    quantities: Counter[str] = field(default_factory=Counter)

    def add(self, article: str, quantity: int = 1) -> None:
        """Puts some of an article in; raises UnknownArticle, and ValueError for less than one."""
        if article not in self.prices:
            raise UnknownArticle(article)
        if quantity < 1:
            raise ValueError(f"The quantity is {quantity}; expected 1 or more.")
        self.quantities[article] += quantity

    def remove(self, article: str) -> None:
        """Takes all of an article out; one that is not there is no mistake."""
        del self.quantities[article]

    @property
    def goods(self) -> int:
        """What the articles cost, bulk discounts taken off."""
        return sum(self._cost(article, quantity) for article, quantity in self.quantities.items())

    @property
    def shipping(self) -> int:
        """What sending costs: nothing for an empty cart or an expensive one."""
        return SHIPPING if 0 < self.goods < FREE_SHIPPING_FROM else 0

    @property
    def total(self) -> int:
        """Goods and shipping."""
        return self.goods + self.shipping

    def _cost(self, article: str, quantity: int) -> int:
        cost = self.prices[article] * quantity
        return cost - share(cost, BULK_PERCENT) if quantity >= BULK_QUANTITY else cost

"""One side of an order book: quantities by price, in order of price."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from decimal import Decimal

Level = tuple[Decimal, Decimal]
"""Price and quantity, digits as the venue sent them."""


class Side:
    """Bids or asks. A dict of levels beside a sorted list of prices.

    Measured on recordings: a plain list takes 60 to 85% of the time of sortedcontainers' up to 5,000 levels, 1.5 times
    as long at 60,000.
    """

    __slots__ = ("_levels", "bids", "prices")

    def __init__(self, bids: bool) -> None:
        self.bids = bids
        self.prices: list[Decimal] = []  # ascending on both sides
        self._levels: dict[Decimal, Level] = {}

    def __len__(self) -> int:
        return len(self.prices)

    def load(self, prices: Iterable[Decimal], quantities: Iterable[Decimal]) -> None:
        """Replace everything."""
        self._levels = {
            price: (price, quantity) for price, quantity in zip(prices, quantities, strict=True) if quantity
        }
        self.prices = sorted(self._levels)

    def update(self, prices: Iterable[Decimal], quantities: Iterable[Decimal]) -> None:
        """Set the quantity of each price; 0 takes the price out, whether it is there or not."""
        levels = self._levels
        for price, quantity in zip(prices, quantities, strict=True):
            if quantity:
                count = len(levels)
                levels[price] = (price, quantity)
                if len(levels) != count:  # cheaper than asking first: a Decimal's hash costs as much as the rest
                    insort(self.prices, price)
            elif levels.pop(price, None) is not None:
                del self.prices[bisect_left(self.prices, price)]

    def truncate(self, depth: int) -> None:
        """Keep the best `depth` levels."""
        over = len(self.prices) - depth
        if over <= 0:
            return
        outside = slice(0, over) if self.bids else slice(depth, None)
        for price in self.prices[outside]:
            del self._levels[price]
        del self.prices[outside]

    @property
    def best(self) -> Level | None:
        """The best level."""
        if not self.prices:
            return None
        return self._levels[self.prices[-1 if self.bids else 0]]

    def top(self, n: int) -> list[Level]:
        """Return the n best levels, best first."""
        prices = self.prices[: -n - 1 : -1] if self.bids else self.prices[:n]
        levels = self._levels
        return [levels[price] for price in prices]

    def until(self, price: Decimal) -> Decimal:
        """Sum the quantities from the best price to this one, inclusive."""
        if self.bids:
            prices = self.prices[bisect_left(self.prices, price) :]
        else:
            prices = self.prices[: bisect_right(self.prices, price)]
        levels = self._levels
        return sum((levels[price][1] for price in prices), Decimal(0))

"""What Coinbase's products are called on the platform: as the venue calls them, on both endpoints."""

from sources.fields import symbol


def instrument(product: object, name: str = "product_id") -> str:
    """Name the instrument of a product: BTC-USD is BTC-USD. Fault when it can be no name."""
    return symbol(product, name)


def product(instrument: str) -> str:
    """Return the product id of an instrument, as requests name it."""
    return instrument

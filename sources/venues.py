"""The venues by name. A venue is added here and in a folder of its own; docs/add-a-venue.md is the checklist."""

from contracts.errors import TerminalError
from contracts.imports import IMPORT
from sources import binance, coinbase, generic, importing, kraken
from sources.endpoints import Venue

# Those with a folder of their own; any other that ccxt knows is polled by sources.generic.
VENUES: dict[str, Venue] = {known.name: known for known in (binance.VENUE, coinbase.VENUE, kraken.VENUE)}


def venue(name: str) -> Venue:
    """Return the venue of that name; TerminalError lists the valid names."""
    known = VENUES.get(name)
    if known is not None:
        return known
    if name == IMPORT:
        return importing.VENUE
    if generic.known(name):
        return generic.venue(name)
    raise TerminalError(
        f"no venue is called {name!r}; valid: {', '.join(sorted(VENUES))}, and polled over REST any of ccxt's names, "
        "such as okx or bitstamp"
    )

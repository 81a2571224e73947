"""The venues by name. A venue is added here and in a folder of its own."""

from contracts.errors import TerminalError
from sources import binance
from sources.endpoints import Venue

VENUES: dict[str, Venue] = {binance.VENUE.name: binance.VENUE}


def venue(name: str) -> Venue:
    """Return the venue of that name; TerminalError lists the valid names."""
    try:
        return VENUES[name]
    except KeyError:
        raise TerminalError(f"no venue is called {name!r}; valid: {', '.join(sorted(VENUES))}") from None

"""Any venue that ccxt knows, polled over REST: trades, one-minute bars, instruments; neither books nor refills.

What is on the tape is the venue's answer as ccxt reads it (sources/generic/poller.py says how), not its own bytes. A
venue that matters gets a folder of its own: docs/add-a-venue.md.
"""

import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sources.endpoints import Endpoint, Venue
from sources.generic.config import endpoint
from sources.generic.parse import Parse
from sources.generic.rest import REST

if TYPE_CHECKING:
    import aiohttp

    from sources.connection import Feed, Sink

__all__ = ["known", "venue"]

_NAME = re.compile(r"[a-z][a-z0-9]*", re.ASCII)


@lru_cache(maxsize=256)
def known(name: str) -> bool:
    """Return whether ccxt has a venue of that name. ccxt itself is not imported: that takes a second and 60 MB."""
    found = importlib.util.find_spec("ccxt") if _NAME.fullmatch(name) else None
    places = found.submodule_search_locations if found else None
    return any((Path(place) / "async_support" / f"{name}.py").is_file() for place in places or ())


@lru_cache(maxsize=256)
def venue(name: str) -> Venue:
    """Return a venue by ccxt's name for it."""
    feed = endpoint(name)
    return Venue(
        name=name,
        endpoints=(feed,),
        dialects={},
        rests={feed.name: REST},
        parse=Parse(name),
        counted=frozenset(),
        open=_open,
    )


def _open(endpoint: Endpoint, streams: tuple[str, ...], sink: "Sink", session: "aiohttp.ClientSession") -> "Feed":
    # Whoever only parses, as Spark's workers do, needs nothing that talks.
    from sources.generic.poller import Poller

    return Poller(endpoint, streams, sink, session)

"""Kraken: spot, WebSocket v2 and v1."""

from sources.endpoints import Venue
from sources.kraken.checksum import checksum
from sources.kraken.client import DIALECTS
from sources.kraken.config import ENDPOINTS, NAME
from sources.kraken.parse import parse
from sources.kraken.rest import REST
from sources.kraken.trades import NUMBERED

VENUE = Venue(
    name=NAME,
    endpoints=ENDPOINTS,
    dialects=DIALECTS,
    rests={endpoint.name: REST for endpoint in ENDPOINTS},
    parse=parse,
    counted=frozenset({NUMBERED}),
    checksum=checksum,
)

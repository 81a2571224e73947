"""Binance: spot and USD-M futures."""

from sources.binance.client import DIALECTS
from sources.binance.config import COUNTED, ENDPOINTS, NAME
from sources.binance.parse import parse
from sources.binance.rest import KEY_HEADER, KEYED_RESTS, RESTS
from sources.endpoints import Venue

VENUE = Venue(
    name=NAME,
    endpoints=ENDPOINTS,
    dialects=DIALECTS,
    rests=RESTS,
    keyed_rests=KEYED_RESTS,
    key_header=KEY_HEADER,
    parse=parse,
    counted=COUNTED,
)

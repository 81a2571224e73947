"""Coinbase: the Exchange feed and Advanced Trade."""

from sources.coinbase.client import DIALECTS
from sources.coinbase.config import ENDPOINTS, NAME
from sources.coinbase.parse import parse
from sources.coinbase.rest import RESTS
from sources.coinbase.sequence import message_sequence
from sources.coinbase.trades import ADVANCED_SPACE, EXCHANGE_SPACE
from sources.endpoints import Venue

VENUE = Venue(
    name=NAME,
    endpoints=ENDPOINTS,
    dialects=DIALECTS,
    rests=RESTS,
    parse=parse,
    counted=frozenset({EXCHANGE_SPACE, ADVANCED_SPACE}),
    message_sequence=message_sequence,
)

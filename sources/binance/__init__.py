"""Binance: spot and USD-M futures."""

from sources.binance.client import DIALECT
from sources.binance.config import ENDPOINTS, NAME
from sources.binance.parse import parse
from sources.endpoints import Venue

VENUE = Venue(name=NAME, endpoints=ENDPOINTS, dialect=DIALECT, parse=parse)

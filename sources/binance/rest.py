"""What Binance's REST side is asked. Weights are those of its documentation, for the limits asked for here.

Answers to trades, books and bars name no symbol: parse() takes it from the request.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson

from sources import fields
from sources.binance.config import REST_PATHS
from sources.binance.instruments import symbol_of
from sources.endpoints import Missing, Request

_PAGE = 1_000
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Weights:
    """What a request of each kind costs, and how many old trades one page has."""

    aggregates: float
    recent: float
    old: float
    old_page: int
    book: float
    bars: float
    instruments: float


SPOT_WEIGHTS = Weights(aggregates=4, recent=25, old=25, old_page=1_000, book=50, bars=2, instruments=20)
# Pages of 500 old trades cost 200 since July 2026, 20 before.
USDM_WEIGHTS = Weights(aggregates=20, recent=5, old=200, old_page=500, book=20, bars=5, instruments=1)


@dataclass(frozen=True)
class BinanceRest:
    """The REST side of one market.

    `old_trades`: whether single trades of before the newest thousand can be had. On spot anybody may ask for them; on
    USD-M historicalTrades wants an API key in a header (no signature), and without one is answered 401. Then only the
    newest thousand are asked for, which is enough for short holes that are repaired at once. Aggregated trades, the
    default on USD-M, need no key.
    """

    market: str
    weights: Weights
    old_trades: bool

    def trades(self, missing: Missing) -> Request | None:
        """Ask from the first missing id on, else from the first missing time; None in a series that isn't trades'.

        USD-M lists trades of the market alone: ids that its insurance fund and deleveraging used up stay missing.
        """
        symbol = symbol_of(self.market, missing.instrument)
        if missing.id_space == f"{self.market}.agg_trade":
            return self._aggregates(symbol, missing)
        if missing.id_space != f"{self.market}.trade":
            return None
        if missing.first_id is None or not self.old_trades:
            # Single trades can't be asked for by time.
            return self._request("trades", self.weights.recent, symbol=symbol, limit=_PAGE)
        limit = _page(missing, self.weights.old_page)
        return self._request("historicalTrades", self.weights.old, symbol=symbol, fromId=missing.first_id, limit=limit)

    def _aggregates(self, symbol: str, missing: Missing) -> Request:
        weight = self.weights.aggregates
        if missing.first_id is not None:
            return self._request(
                "aggTrades", weight, symbol=symbol, fromId=missing.first_id, limit=_page(missing, _PAGE)
            )
        asked: dict[str, str | int] = {"symbol": symbol, "startTime": missing.from_time // 1000}
        # Both ends must lie within an hour; the start alone gives the first thousand from there on.
        if missing.to_time - missing.from_time < _HOUR_US:
            asked["endTime"] = missing.to_time // 1000
        return self._request("aggTrades", weight, **asked, limit=_PAGE)

    def book(self, instrument: str) -> Request | None:
        """Ask for the best thousand levels a side."""
        symbol = symbol_of(self.market, instrument)
        return self._request("depth", self.weights.book, symbol=symbol, limit=_PAGE)

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:
        """Ask for a thousand one-minute bars from the time on."""
        return self._request(
            "klines",
            self.weights.bars,
            symbol=symbol_of(self.market, instrument),
            interval="1m",
            startTime=from_time // 1000,
            endTime=to_time // 1000,
            limit=_PAGE,
        )

    def instruments(self, instruments: tuple[str, ...]) -> Request:
        """Ask for these instruments on spot, which refuses them all when it does not know one; for all on USD-M."""
        if self.market != "spot" or not instruments:
            return self._request("exchangeInfo", self.weights.instruments)
        symbols = orjson.dumps([symbol_of(self.market, name) for name in instruments]).decode()
        return self._request("exchangeInfo", self.weights.instruments, symbols=symbols)

    def time(self) -> Request:
        """Ask for the venue's clock."""
        return self._request("time", 1)

    def server_time(self, payload: bytes) -> int:
        """Read `{"serverTime":1499827319559}`."""
        message = orjson.loads(payload)
        try:
            return fields.epoch_time(message, "serverTime")
        except (fields.Fault, TypeError) as error:
            raise ValueError(f"no server time: {payload[:64]!r}") from error

    def _request(self, path: str, weight: float, **asked: str | int) -> Request:
        query = f"?{urlencode(asked, quote_via=quote)}" if asked else ""
        return Request(f"{REST_PATHS[self.market]}{path}{query}", weight)


def _page(missing: Missing, most: int) -> int:
    if missing.first_id is None or missing.last_id is None:
        return most
    return max(1, min(most, missing.last_id - missing.first_id + 1))


_SPOT = BinanceRest("spot", SPOT_WEIGHTS, old_trades=True)
_USDM = BinanceRest("usdm", USDM_WEIGHTS, old_trades=False)
_USDM_WITH_KEY = BinanceRest("usdm", USDM_WEIGHTS, old_trades=True)
RESTS = {"spot": _SPOT, "usdm": _USDM, "usdm_market": _USDM}
KEYED_RESTS = {"usdm": _USDM_WITH_KEY, "usdm_market": _USDM_WITH_KEY}
KEY_HEADER = "X-MBX-APIKEY"

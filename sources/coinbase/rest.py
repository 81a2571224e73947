"""What is asked of Coinbase's two REST sides. Answers are read by sources.coinbase.answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import orjson

from sources.coinbase.instruments import product
from sources.coinbase.trades import ADVANCED_SPACE, EXCHANGE_SPACE
from sources.endpoints import Missing, Request, Rest

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_TRADES = 1000  # the most that the Exchange gives at once; Advanced Trade documents no limit
_EXCHANGE_CANDLES = 300  # a span of more is refused
_ADVANCED_CANDLES = 350
_ADVANCED = "/api/v3/brokerage"


class ExchangeRest:
    """The REST side of the Exchange."""

    def trades(self, missing: Missing) -> Request | None:
        """Ask for the newest page of what is missing: `after` gives trades older than the id, newest first.

        Without a last id the newest page of all is asked for: the venue can't be asked by time.
        """
        if missing.id_space != EXCHANGE_SPACE:
            return None
        asked: dict[str, int] = {}
        if missing.last_id is not None:
            asked["after"] = missing.last_id + 1
        asked["limit"] = _TRADES
        if missing.first_id is not None and missing.last_id is not None:
            asked["limit"] = min(_TRADES, missing.last_id - missing.first_id + 1)
        query = urlencode(asked)
        return Request(f"{_exchange_path(missing.instrument)}/trades?{query}")

    def book(self, instrument: str) -> Request | None:  # noqa: ARG002 - the protocol's
        """Return None: level2 numbers nothing, so that no snapshot but a new subscription's can be joined with it."""
        return None

    def snapshot(self, instrument: str) -> Request:
        """Ask for the book as it is, on its own."""
        return Request(f"{_exchange_path(instrument)}/book?level=2")

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:
        """Ask for the first 300 one-minute candles; minutes without a trade have none."""
        first = from_time // _MINUTE * _MINUTE
        last = min(to_time, first + (_EXCHANGE_CANDLES - 1) * _MINUTE)
        query = urlencode({"granularity": 60, "start": _iso(first), "end": _iso(last)}, safe=":")
        return Request(f"{_exchange_path(instrument)}/candles?{query}")

    def instruments(self, instruments: tuple[str, ...]) -> Request:
        """Ask for one product, or for all."""
        return Request(_exchange_path(instruments[0]) if len(instruments) == 1 else "/products")

    def time(self) -> Request:
        """Ask for the clock, which tells milliseconds."""
        return Request("/time")

    def server_time(self, payload: bytes) -> int:
        """Read `{"iso":"2015-01-07T23:47:25.201Z","epoch":1420674445.201}`."""
        told = _answer(payload).get("iso")
        if type(told) is not str:
            raise ValueError(f"no time in {payload[:80]!r}")
        moment = datetime.fromisoformat(told)
        if moment.tzinfo is None:
            raise ValueError(f"a time without its zone: {told[:40]}")
        return int(moment.replace(microsecond=0).timestamp()) * _SECOND + moment.microsecond


class AdvancedRest:
    """The public REST side of Advanced Trade. Its answers may be a second old: the venue caches them."""

    def trades(self, missing: Missing) -> Request | None:
        """Ask for the newest page of the span by time, in whole seconds: the venue can't be asked by id."""
        if missing.id_space != ADVANCED_SPACE:
            return None
        query = urlencode(
            {
                "limit": _TRADES,
                "start": missing.from_time // _SECOND,
                "end": missing.to_time // _SECOND + 1,
            }
        )
        return Request(f"{_advanced_path(missing.instrument)}/ticker?{query}")

    def book(self, instrument: str) -> Request | None:  # noqa: ARG002 - the protocol's
        """Return None: level2 numbers nothing, so that no snapshot but a new subscription's can be joined with it."""
        return None

    def snapshot(self, instrument: str) -> Request:
        """Ask for the book as it is, on its own."""
        return Request(f"{_ADVANCED}/market/product_book?{urlencode({'product_id': product(instrument)})}")

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:
        """Ask for the first 350 one-minute candles."""
        first = from_time // _MINUTE * _MINUTE
        last = min(to_time, first + (_ADVANCED_CANDLES - 1) * _MINUTE)
        query = urlencode(
            {
                "granularity": "ONE_MINUTE",
                "start": first // _SECOND,
                "end": last // _SECOND,
                "limit": _ADVANCED_CANDLES,
            }
        )
        return Request(f"{_advanced_path(instrument)}/candles?{query}")

    def instruments(self, instruments: tuple[str, ...]) -> Request:
        """Ask for these products, or for all."""
        query = urlencode([("product_ids", product(instrument)) for instrument in instruments])
        return Request(f"{_ADVANCED}/market/products{'?' if query else ''}{query}")

    def time(self) -> Request:
        """Ask for the clock."""
        return Request(f"{_ADVANCED}/time")

    def server_time(self, payload: bytes) -> int:
        """Read `{"iso":"2023-06-12T10:00:00Z","epochSeconds":"1686564000","epochMillis":"1686564000123"}`."""
        told = _answer(payload).get("epochMillis")
        if type(told) is not str or not told.isascii() or not told.isdigit() or len(told) > 15:
            raise ValueError(f"no time in {payload[:80]!r}")
        return int(told) * 1000


RESTS: Mapping[str, Rest] = {"exchange": ExchangeRest(), "advanced": AdvancedRest()}


def _exchange_path(instrument: str) -> str:
    return f"/products/{quote(product(instrument), safe='')}"


def _advanced_path(instrument: str) -> str:
    return f"{_ADVANCED}/market/products/{quote(product(instrument), safe='')}"


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(payload: bytes) -> dict[str, object]:
    message = orjson.loads(payload)  # its error is a ValueError
    if type(message) is not dict:
        raise ValueError(f"no time in {payload[:80]!r}")
    return message

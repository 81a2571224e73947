"""Binance's REST side as far as what was played can answer it."""

from bisect import bisect_left
from decimal import Decimal
from typing import Any

import orjson

from sources.replay.memory import Memory, Series
from sources.replay.protocol import Answer, Asked, Level, Trade

_MOST = 1000
_DEEPEST = 5000
_MILLI = 1_000_000  # nanoseconds
# Times are milliseconds, or microseconds where they were asked for: 13 digits or 16 in this century.
_MICROSECONDS_FROM = 10**14


def trades(message: Any) -> list[Trade]:
    """Read what the stream or REST tells of trades as REST tells it."""
    if isinstance(message, list):
        return [trade for entry in message for trade in _listed(entry)]
    if message["e"] == "aggTrade":
        return _listed({name: message[name] for name in ("a", "p", "q", "f", "l", "T", "m", "M") if name in message})
    # Taken over by the insurance fund or closed by deleveraging: these are no trades of the market.
    if message.get("X", "MARKET") != "MARKET":
        return []
    entry = {
        "id": message["t"],
        "price": message["p"],
        "qty": message["q"],
        "quoteQty": format(Decimal(message["p"]) * Decimal(message["q"]), "f"),
        "time": message["T"],
        "isBuyerMaker": message["m"],
    }
    if "M" in message:
        entry["isBestMatch"] = message["M"]
    return _listed(entry)


def _listed(entry: dict[str, Any]) -> list[Trade]:
    time = int(entry["T"] if "T" in entry else entry["time"])
    nanos = time * _MILLI if time < _MICROSECONDS_FROM else time * 1000
    return [Trade(int(entry["a"] if "a" in entry else entry["id"]), nanos, orjson.dumps(entry))]


async def answer(path: str, asked: Asked, memory: Memory) -> Answer | None:
    """Answer a request whose path follows the side's prefix."""
    if path == "time":
        return Answer(orjson.dumps({"serverTime": asked.now // 1000}))
    symbol = asked.query.get("symbol", "").lower()
    if path not in ("depth", "trades", "historicalTrades", "aggTrades"):
        return None
    if not symbol:
        return Answer(orjson.dumps({"code": -1102, "msg": "Mandatory parameter 'symbol' was not sent."}), 400)
    if path == "depth":
        return await _depth(symbol, asked, memory)
    known = await memory.trades(f"{symbol}@{'aggTrade' if path == 'aggTrades' else 'trade'}") or Series()
    page = known.entries[-_most(asked, 500, _MOST) :] if path == "trades" else _page(known, asked)
    return Answer(b"[" + b",".join(page) + b"]")


def _page(known: Series, asked: Asked) -> list[bytes]:
    most = _most(asked, 500, _MOST)
    if "fromId" in asked.query:
        begin = bisect_left(known.numbers, asked.number("fromId", 0))
        return known.entries[begin : begin + most]
    if "startTime" not in asked.query and "endTime" not in asked.query:
        return known.entries[-most:]
    # Trades with rising ids have rising times.
    start, end = asked.number("startTime", 0) * _MILLI, (asked.number("endTime", 2**62) + 1) * _MILLI
    found = known.entries[bisect_left(known.times, start) : bisect_left(known.times, end)]
    return found[:most] if "startTime" in asked.query else found[-most:]


async def _depth(symbol: str, asked: Asked, memory: Memory) -> Answer:
    async with memory.book(symbol) as book:
        if book is None:
            # The venue would know it: whoever asks is to ask again once the tape has told.
            return Answer(orjson.dumps({"code": -1008, "msg": "no snapshot of this book was played yet"}), 503)
        most = _most(asked, 100, _DEEPEST)
        told = {"lastUpdateId": book.last, **book.about}
        return Answer(orjson.dumps(told | {"bids": _pairs(book.bids(most)), "asks": _pairs(book.asks(most))}))


def _pairs(levels: list[Level]) -> list[tuple[str, str]]:
    return [(level.price, level.quantity) for level in levels]


def _most(asked: Asked, default: int, most: int) -> int:
    return max(1, min(asked.number("limit", default), most))


def chosen(asked: Asked, recorded: bytes | None) -> bytes | None:
    """Return a recorded exchangeInfo with the symbols that were asked for, untouched when none was."""
    if recorded is None or not asked.query:
        return recorded
    wanted = orjson.loads(asked.query["symbols"]) if "symbols" in asked.query else [asked.query.get("symbol")]
    told = orjson.loads(recorded)
    return orjson.dumps(told | {"symbols": [entry for entry in told["symbols"] if entry["symbol"] in wanted]})

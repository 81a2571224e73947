"""Kraken's REST side as far as what was played can answer it."""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import orjson

from sources.replay.memory import Memory
from sources.replay.protocol import Answer, Asked, Level, Trade

_MOST = 1000
_DEEPEST = 500
_SECOND = 1_000_000_000
# Currencies that are older than Kraken's present names carry a letter before them in REST's names of pairs.
_X = frozenset({"ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC"})
_Z = frozenset({"AUD", "CAD", "EUR", "GBP", "JPY", "USD"})
# v2 says what everybody says.
_V2 = {"XBT": "BTC", "XDG": "DOGE"}


def v1_trades(entries: list[list[str]]) -> list[Trade]:
    """Read the trades of a v1 message: [price, volume, time, side, order type, misc] each; they have no ids."""
    return [_trade(*entry[:5], misc=entry[5], number="-1") for entry in entries]


def v2_trades(entries: list[dict[str, str]]) -> list[Trade]:
    """Read the trades of a v2 message, numbers as text."""
    found = []
    for entry in entries:
        moment = datetime.fromisoformat(entry["timestamp"])
        seconds = f"{int(moment.replace(microsecond=0).timestamp())}.{moment.microsecond:06d}"
        side, kind = entry["side"][0], entry["ord_type"][0]
        found.append(_trade(entry["price"], entry["qty"], seconds, side, kind, misc="", number=entry["trade_id"]))
    return found


def rest_trades(result: Mapping[str, Any]) -> list[Trade]:
    """Read the trades of a REST answer, numbers as text."""
    pages = [entries for name, entries in result.items() if name != "last"]
    return [_trade(*entry[:5], misc=entry[5], number=entry[6]) for page in pages for entry in page]


def _trade(price: str, volume: str, seconds: str, side: str, kind: str, *, misc: str, number: str) -> Trade:
    # Price and volume are strings in REST; the time is a number, with the digits that the feed told.
    told = [price, volume, orjson.Fragment(seconds), side, kind, misc]
    entry = orjson.dumps(told if number == "-1" else [*told, int(number)])
    return Trade(int(number), int(Decimal(seconds) * _SECOND), entry)


async def answer(asked: Asked, memory: Memory, version: str) -> Answer | None:
    """Answer a request of either version's endpoint; they differ in the pairs' names."""
    match asked.path.removeprefix("/0/public/"):
        case "Time":
            seconds = asked.now // 1_000_000
            told = {"unixtime": seconds, "rfc1123": formatdate(seconds).replace("-0000", "+0000")}
            return Answer(orjson.dumps({"error": [], "result": told}))
        case "SystemStatus":
            now = datetime.fromtimestamp(asked.now // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            return Answer(orjson.dumps({"error": [], "result": {"status": "online", "timestamp": now}}))
        case "Trades":
            return await _trades(asked, memory, version)
        case "Depth":
            return await _depth(asked, memory, version)
    return None


async def _trades(asked: Asked, memory: Memory, version: str) -> Answer:
    pair = asked.query.get("pair", "")
    known = await memory.trades(f"trade:{feed_pair(pair, version)}")
    if known is None:
        return Answer(b'{"error":["EQuery:Unknown asset pair"]}')
    most = max(1, min(asked.number("count", _MOST), _MOST))
    if "since" in asked.query:
        since = asked.number("since", 0)
        # Seconds are understood as well; the trade of that very time was told before.
        since *= 1 if since >= 10**15 else _SECOND
        begin = bisect_right(known.times, since)
    else:
        since, begin = 0, max(len(known.times) - most, 0)
    page = slice(begin, begin + most)
    numbered = zip(known.entries[page], known.numbers[page], strict=True)
    # Only v2's trades brought a number of their own.
    entries = b",".join(entry if version == "v2" else entry[:-1] + b",%d]" % number for entry, number in numbered)
    last = known.times[page][-1] if known.times[page] else since
    return Answer(b'{"error":[],"result":{%b:[%b],"last":"%d"}}' % (orjson.dumps(rest_pair(pair)), entries, last))


async def _depth(asked: Asked, memory: Memory, version: str) -> Answer:
    pair = asked.query.get("pair", "")
    most = max(1, min(asked.number("count", 100), _DEEPEST))
    for depth in (1000, 500, 100, 25, 10):
        async with memory.book(f"book-{depth}:{feed_pair(pair, version)}") as book:
            if book is not None:
                sides = {"asks": _levels(book.asks(most)), "bids": _levels(book.bids(most))}
                return Answer(orjson.dumps({"error": [], "result": {rest_pair(pair): sides}}))
    return Answer(b'{"error":["EService:Unavailable: no snapshot of this book was played yet"]}', 503)


def _levels(levels: list[Level]) -> list[tuple[str, str, int]]:
    return [(level.price, level.quantity, int(Decimal(level.time or 0))) for level in levels]


def _parts(pair: str) -> tuple[str, str]:
    """Split a pair in any of its names: XBT/USD, BTC/USD, XBTUSD, XXBTZUSD."""
    if "/" in pair:
        base, _, quote = pair.partition("/")
    elif len(pair) == 8 and pair[0] in "XZ" and pair[4] in "XZ" and pair[1:4] in _X | _Z and pair[5:] in _X | _Z:
        base, quote = pair[1:4], pair[5:]
    else:
        base, quote = (pair[:-4], pair[-4:]) if pair.endswith(("USDT", "USDC")) else (pair[:-3], pair[-3:])
    return _V1.get(base, base), _V1.get(quote, quote)


_V1 = {new: old for old, new in _V2.items()}


def feed_pair(pair: str, version: str) -> str:
    """Return the name that the feed has for a pair in any of its names."""
    parts = _parts(pair)
    return "/".join(_V2.get(part, part) if version == "v2" else part for part in parts)


def rest_pair(pair: str) -> str:
    """Return the name under which REST answers."""
    base, quote = _parts(pair)
    if base in _X and quote in _X | _Z:
        return f"X{base}{'X' if quote in _X else 'Z'}{quote}"
    return f"{base}{quote}"


def chosen(asked: Asked, recorded: bytes | None) -> bytes | None:
    """Return recorded AssetPairs, of the pairs asked for where some are."""
    if recorded is None or "pair" not in asked.query:
        return recorded
    wanted = {_parts(pair) for pair in asked.query["pair"].split(",")}
    told = orjson.loads(recorded)
    found = {name: pair for name, pair in told["result"].items() if _parts(pair.get("wsname", name)) in wanted}
    if not found:
        return b'{"error":["EQuery:Unknown asset pair"]}'
    return orjson.dumps({"error": [], "result": found})

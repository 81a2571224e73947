"""Coinbase's two REST sides as far as what was played can answer them."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson

from sources.replay.memory import Memory, Series
from sources.replay.protocol import Answer, Asked, Level, Trade

_MOST = 1000
_SECOND = 1_000_000_000
_PREFIX = "/api/v3/brokerage/"
# Each trade is told in full by the feed; REST names these of it.
_EXCHANGE = ("time", "trade_id", "price", "size", "side")
_ADVANCED = ("trade_id", "product_id", "price", "size", "time", "side")
_NO_BOOK = "no snapshot of this book was played yet"


def exchange_trades(message: Any) -> list[Trade]:
    """Read what the feed or REST tells of trades as REST tells it."""
    entries = message if isinstance(message, list) else [message]
    return [_trade(entry, _EXCHANGE) for entry in entries]


def advanced_trades(message: Any) -> list[Trade]:
    """Read what the feed or REST tells of trades as REST tells it."""
    if "trades" in message:
        return [_trade(entry, _ADVANCED) for entry in message["trades"]]
    return [_trade(entry, _ADVANCED) for event in message["events"] for entry in event["trades"]]


def _trade(entry: dict[str, Any], names: tuple[str, ...]) -> Trade:
    moment = datetime.fromisoformat(entry["time"])
    nanos = int(moment.replace(microsecond=0).timestamp()) * _SECOND + moment.microsecond * 1000
    return Trade(int(entry["trade_id"]), nanos, orjson.dumps({name: entry[name] for name in names}))


async def exchange(asked: Asked, memory: Memory) -> Answer | None:
    """Answer time, books and trades of the Exchange."""
    if asked.path == "/time":
        return Answer(orjson.dumps({"iso": _iso(asked.now), "epoch": asked.now // 1000 / 1000}))
    match [unquote(part) for part in asked.path.strip("/").split("/")]:
        case ["products", product, "trades"]:
            return _exchange_page(await memory.trades(f"matches:{product}") or Series(), asked)
        case ["products", product, "book"]:
            return await _exchange_book(product, asked, memory)
    return None


def _exchange_page(known: Series, asked: Asked) -> Answer:
    begin, end = 0, len(known.numbers)
    if "after" in asked.query:  # older
        end = bisect_left(known.numbers, asked.number("after", 0))
    if "before" in asked.query:  # newer
        begin = bisect_left(known.numbers, asked.number("before", 0) + 1)
    begin = max(begin, end - _most(asked))
    if begin >= end:
        return Answer(b"[]")
    headers = {"cb-before": str(known.numbers[end - 1]), "cb-after": str(known.numbers[begin])}
    return Answer(_newest_first(known.entries[begin:end]), headers=headers)


async def _exchange_book(product: str, asked: Asked, memory: Memory) -> Answer:
    level = asked.number("level", 1)
    if level not in (1, 2):
        return Answer(orjson.dumps({"message": f"level {level} was not recorded"}), 404)
    async with memory.book(f"level2:{product}") as book:
        if book is None:
            return Answer(orjson.dumps({"message": _NO_BOOK}), 503)
        most = 1 if level == 1 else 0
        last = memory.last(f"matches:{product}")
        told: dict[str, Any] = {"bids": _counted(book.bids(most)), "asks": _counted(book.asks(most))}
        # The feed numbers trades and not changes of its book: this is as near as can be told.
        told["sequence"] = orjson.loads(last).get("sequence", 0) if last else 0
        told |= {"auction_mode": False, "auction": None}
        return Answer(orjson.dumps(told | ({"time": book.about["time"]} if "time" in book.about else {})))


def exchange_products(asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
    """Return products as recorded, or one of a recorded list."""
    if asked.path in recorded or "/products" not in recorded:
        return recorded.get(asked.path)
    wanted = unquote(asked.path.rpartition("/")[2])
    found = [entry for entry in orjson.loads(recorded["/products"]) if entry["id"] == wanted]
    return orjson.dumps(found[0]) if found else None


async def advanced(asked: Asked, memory: Memory) -> Answer | None:
    """Answer time, books and trades of Advanced Trade."""
    if not asked.path.startswith(_PREFIX):
        return None
    match [unquote(part) for part in asked.path.removeprefix(_PREFIX).removeprefix("market/").split("/")]:
        case ["time"]:
            millis = asked.now // 1000
            told = {"iso": _iso(asked.now), "epochSeconds": str(millis // 1000), "epochMillis": str(millis)}
            return Answer(orjson.dumps(told))
        case ["products", product, "ticker"]:
            return await _advanced_page(product, asked, memory)
        case ["product_book"]:
            return await _advanced_book(asked, memory)
    return None


async def _advanced_page(product: str, asked: Asked, memory: Memory) -> Answer:
    known = await memory.trades(f"market_trades:{product}") or Series()
    start, end = asked.number("start", 0) * _SECOND, (asked.number("end", 2**33) + 1) * _SECOND
    # Trades with rising ids have rising times.
    page = known.entries[bisect_left(known.times, start) : bisect_left(known.times, end)][-_most(asked) :]
    best_bid = best_ask = ""
    async with memory.book(f"level2:{product}") as book:
        if book is not None:
            best_bid = next((level.price for level in book.bids(1)), "")
            best_ask = next((level.price for level in book.asks(1)), "")
    prices = orjson.dumps({"best_bid": best_bid, "best_ask": best_ask})
    return Answer(b'{"trades":' + _newest_first(page) + b"," + prices[1:])


async def _advanced_book(asked: Asked, memory: Memory) -> Answer:
    product = asked.query.get("product_id", "")
    async with memory.book(f"level2:{product}") as book:
        if book is None:
            return Answer(orjson.dumps({"error": "unknown", "message": _NO_BOOK}), 503)
        most = asked.number("limit", 0)
        told: dict[str, Any] = {"product_id": product, "bids": _named(book.bids(most)), "asks": _named(book.asks(most))}
        return Answer(orjson.dumps({"pricebook": told | {"time": book.about["timestamp"]}}))


def advanced_product(path: str) -> str | None:
    """Return the product that the path asks about, empty for all of them, None when it asks for something else."""
    match path.removeprefix(_PREFIX).removeprefix("market/").split("/") if path.startswith(_PREFIX) else []:
        case ["products"]:
            return ""
        case ["products", product]:
            return unquote(product)
    return None


def advanced_products(asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
    """Return products as recorded, those asked for, or one of a recorded list."""
    one = advanced_product(asked.path)
    listed = next((body for path, body in recorded.items() if advanced_product(path) == ""), None)
    if listed is None or (not one and "product_ids" not in asked.query):
        return recorded.get(asked.path, listed if not one else None)
    wanted = [one] if one else asked.query["product_ids"].split("\n")
    products = [entry for entry in orjson.loads(listed)["products"] if entry["product_id"] in wanted]
    if one:
        return recorded.get(asked.path, orjson.dumps(products[0]) if products else None)
    return orjson.dumps({"products": products, "num_products": len(products)})


def _most(asked: Asked) -> int:
    return max(1, min(asked.number("limit", _MOST), _MOST))


def _newest_first(page: list[bytes]) -> bytes:
    return b"[" + b",".join(reversed(page)) + b"]"


def _counted(levels: list[Level]) -> list[tuple[str, str, int]]:
    # How many orders a level holds is not told by the feed.
    return [(level.price, level.quantity, 1) for level in levels]


def _named(levels: list[Level]) -> list[dict[str, str]]:
    return [{"price": level.price, "size": level.quantity} for level in levels]


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1000 / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

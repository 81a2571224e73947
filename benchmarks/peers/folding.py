"""Trades into bars in plain Python, exact: whole numbers of any size. For systems that run Python a record.

A bar is a list: first and last (event time, sequence, price) each, high, low, volume, notional, count.
"""

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from contracts.avro import avro_schema
from contracts.dataset import Dataset
from contracts.trades import PRICE, QUANTITY, TRADES

MINUTE = 60_000_000
Partial = list[Any]


def plain_schema(dataset: Dataset = TRADES) -> dict[str, Any]:
    """Return a dataset's schema without logical types: whole numbers are read without making objects of them."""
    schema = avro_schema(dataset)
    for field in schema["fields"]:
        if isinstance(field["type"], dict):
            field["type"] = field["type"]["type"]
    return schema


def body(value: bytes) -> BytesIO:
    """Return the record behind its frame, a zero byte and the schema's id."""
    return BytesIO(memoryview(value)[5:])


def partial(trade: dict[str, Any]) -> Partial:
    """Return the bar of one trade."""
    price, quantity = int.from_bytes(trade["price"]), int.from_bytes(trade["quantity"])
    at = [trade["event_time"], trade["venue_sequence"], price]
    return [at, at, price, price, quantity, price * quantity, trade["trade_count"]]


def merge(bar: Partial, other: Partial) -> None:
    """Add another bar of the same minute."""
    if other[0] < bar[0]:
        bar[0] = other[0]
    if other[1] > bar[1]:
        bar[1] = other[1]
    if other[2] > bar[2]:
        bar[2] = other[2]
    if other[3] < bar[3]:
        bar[3] = other[3]
    bar[4] += other[4]
    bar[5] += other[5]
    bar[6] += other[6]


def fold(trades: Iterable[dict[str, Any]]) -> dict[tuple[str, int], Partial]:
    """Return the bars of some trades by instrument and minute."""
    bars: dict[tuple[str, int], Partial] = {}
    for trade in trades:
        event_time = trade["event_time"]
        key = (trade["instrument"], event_time - event_time % MINUTE)
        known = bars.get(key)
        if known is None:
            bars[key] = partial(trade)
        else:
            merge(known, partial(trade))
    return bars


def written(instrument: str, minute: int, bar: Partial) -> bytes:
    """Return what is stored of a bar: its numbers as decimals."""
    told = {
        "instrument": instrument,
        "minute": minute,
        "open": decimal(bar[0][2], PRICE.scale),
        "high": decimal(bar[2], PRICE.scale),
        "low": decimal(bar[3], PRICE.scale),
        "close": decimal(bar[1][2], PRICE.scale),
        "volume": decimal(bar[4], QUANTITY.scale),
        "notional": decimal(bar[5], PRICE.scale + QUANTITY.scale),
        "trade_count": bar[6],
    }
    return json.dumps(told).encode()


def decimal(number: int, scale: int) -> str:
    """Write a whole number of 10^-scale as a decimal."""
    digits = str(number).zfill(scale + 1)
    return f"{digits[:-scale]}.{digits[-scale:]}"

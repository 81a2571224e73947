"""The events as the venue's own messages, which is what the tape holds: the parsers read the same trades from them."""

from collections.abc import Iterator

import polars as pl

from benchmarks.events import PRICE_DIGITS, QUANTITY_DIGITS, SIDES, TRADES_A_MESSAGE, Events

MESSAGES_AT_ONCE = 20_000


def payloads(events: Events) -> Iterator[list[bytes]]:
    """Yield the messages in their order, some at a time."""
    rows = MESSAGES_AT_ONCE * TRADES_A_MESSAGE
    frame = events.frame().with_columns(pl.Series("message", events.message))
    names = pl.Series(events.names)
    for start in range(0, frame.height, rows):
        part = frame.slice(start, rows)
        told = part.select(
            "message",
            entry=pl.concat_str(
                pl.lit('{"symbol":"'),
                names.gather(part["instrument"]),
                pl.lit('","side":"'),
                pl.Series(SIDES).gather(part["side"]),
                pl.lit('","price":'),
                _decimal("price", PRICE_DIGITS),
                pl.lit(',"qty":'),
                _decimal("quantity", QUANTITY_DIGITS),
                pl.lit(',"ord_type":"limit","trade_id":'),
                "sequence",
                pl.lit(',"timestamp":"'),
                pl.from_epoch("event_time", "us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
                pl.lit('"}'),
            ),
        )
        messages = told.group_by("message", maintain_order=True).agg(pl.col("entry").str.join(","))
        yield [f'{{"channel":"trade","type":"update","data":[{entries}]}}'.encode() for entries in messages["entry"]]


def _decimal(column: str, digits: int) -> pl.Expr:
    whole, rest = pl.col(column) // 10**digits, pl.col(column) % 10**digits
    return pl.format("{}.{}", whole, rest.cast(pl.String).str.zfill(digits))

"""W4 with polars: the bars of a day from the stored trades in Parquet, streamed, in exact whole numbers."""

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers.folding import MINUTE, written
from benchmarks.peers.rounds import Job, serve


def run(job: Job, number: int) -> dict[str, Any]:
    """Read the Parquet, write the bars."""
    # Decimals of 24 digits whose product has 24 after the point: as whole numbers they fit 128 bits.
    price = pl.col("price").cast(pl.Decimal(38, 12)).reinterpret(dtype=pl.Int128)
    quantity = pl.col("quantity").cast(pl.Decimal(38, 12)).reinterpret(dtype=pl.Int128)
    time = pl.col("event_time").dt.timestamp("us")
    # Time in its minute and sequence in one number: it has the order of both.
    place = time % MINUTE * 2**36 + pl.col("venue_sequence")
    found = (
        pl.scan_parquet(job.more["trades"])
        .select(
            "instrument", "trade_count", minute=time // MINUTE * MINUTE, place=place, price=price, quantity=quantity
        )
        .group_by("instrument", "minute")
        .agg(
            open=pl.col("price").get(pl.col("place").arg_min()),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").get(pl.col("place").arg_max()),
            volume=pl.col("quantity").sum(),
            notional=(pl.col("price") * pl.col("quantity")).sum(),
            trade_count=pl.col("trade_count").sum(),
        )
        .collect(engine="streaming")
    )
    with Path(job.more["out"]).open("wb") as out:
        for row in found.iter_rows(named=True):
            numbers = [row[name] for name in ("high", "low", "volume", "notional", "trade_count")]
            bar = [[0, 0, row["open"]], [0, 0, row["close"]], *numbers]
            out.write(written(row["instrument"], row["minute"], bar) + b"\n")
    return {"round": number}


if __name__ == "__main__":
    serve(run)

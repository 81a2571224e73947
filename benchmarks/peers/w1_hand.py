"""W1 by hand, the near limit: one loop, confluent-kafka in large reads, numpy for Avro, polars for bars, no framework.

Nothing is checked, nothing is remembered of what was seen: bars in a dictionary, stored after each read.
"""

from typing import Any

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from benchmarks.avro_columns import NAME_BYTES, decode_trades
from benchmarks.peers.folding import MINUTE, Partial, merge, written
from benchmarks.peers.rounds import Job, serve

READ = 50_000


def partials(values: list[bytes]) -> list[tuple[str, int, Partial]]:
    """Return the bars of one read."""
    columns = decode_trades(values)
    name = np.ascontiguousarray(columns["instrument"]).view(f"S{NAME_BYTES}").ravel()
    halves = np.ascontiguousarray(columns["instrument"]).view(np.uint64)
    frame = pl.DataFrame(
        {
            "row": np.arange(len(values)),
            "left": halves[:, 0],
            "right": halves[:, 1],
            "minute": columns["event_time"] // MINUTE * MINUTE,
            "at": (columns["event_time"] % MINUTE << 36) + columns["sequence"],
            "sequence": columns["sequence"],
            "price": columns["price"],
            "quantity": columns["quantity"],
        }
    )
    price, quantity, at = pl.col("price"), pl.col("quantity"), pl.col("at")
    # Twelve digits after the point of both do not fit 128 bits in sums: the last four zeros of each are not needed.
    notional = ((price // 1_000_000).cast(pl.Int128) * (quantity // 10_000)).sum()
    found = frame.group_by("left", "right", "minute").agg(
        pl.col("row").first(),
        at.min().alias("first_at"),
        at.max().alias("last_at"),
        price.get(at.arg_min()).alias("open"),
        price.get(at.arg_max()).alias("close"),
        price.max().alias("high"),
        price.min().alias("low"),
        quantity.cast(pl.Int128).sum().alias("volume"),
        notional.alias("notional"),
        pl.len().alias("count"),
    )
    return [
        (
            name[row["row"]].decode(),
            row["minute"],
            [
                [row["first_at"], 0, row["open"]],
                [row["last_at"], 0, row["close"]],
                row["high"],
                row["low"],
                row["volume"],
                row["notional"] * 10**10,
                row["count"],
            ],
        )
        for row in found.iter_rows(named=True)
    ]


def run(job: Job, number: int) -> dict[str, Any]:
    """Read the topic to its end."""
    settings = {
        "bootstrap.servers": job.bootstrap,
        "group.id": "hand",
        "enable.auto.commit": False,
        "fetch.message.max.bytes": 8 << 20,
        "queued.min.messages": 500_000,
        "queued.max.messages.kbytes": 256 << 10,
        "check.crcs": False,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(job.topic, partition, OFFSET_BEGINNING) for partition in job.ends])
    producer = Producer({"bootstrap.servers": job.bootstrap, "linger.ms": 5})
    bars: dict[tuple[str, int], Partial] = {}
    left = job.events
    while left:
        values = [message.value() or b"" for message in consumer.consume(READ, timeout=0.5)]
        if not values:
            continue
        left -= len(values)
        for instrument, minute, bar in partials(values):
            known = bars.setdefault((instrument, minute), bar)
            if known is not bar:
                merge(known, bar)
            producer.produce(job.out(number), written(instrument, minute, known), f"{instrument}|{minute}")
        producer.poll(0)
    producer.flush(60)
    consumer.close()
    return {}


if __name__ == "__main__":
    serve(run)

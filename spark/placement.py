"""Which of the rows that arrived belong in the table: a pure comparison with what is stored.

A row belongs there when its grain is new, or when it lies earlier on the tape than the stored row of its grain.
The result is the same whatever the order of arrival, and the same when a write is repeated.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.provenance import TAPE_POSITION

POSITION = [column.name for column in TAPE_POSITION]
# The place in Kafka comes last: what a producer sent twice has one tape position and two offsets, or two places in a
# record.
ORDER = [*POSITION, "kafka_offset", "kafka_index"]
_MODULUS = 1 << 64


@dataclass(frozen=True)
class Range:
    """The offsets that one write covers."""

    topic_id: str
    partition: int
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """What a write amounts to.

    `insert` holds the column `row`, the index of each arrived row to insert in the order of insertion, with its
    displaced_count and displaced_hash. `counted` holds the column `row` of every row that this range stored, also when
    an earlier attempt stored it already; `touched` the grain's series and event_time of these and of the rows that they
    displaced, of a minute's rows at least one.
    """

    insert: pl.DataFrame
    counted: pl.DataFrame
    touched: pl.DataFrame
    stored_count: int
    duplicate_count: int
    content_hash: int


def place(arrived: pl.DataFrame, stored: pl.DataFrame, grain: list[str], covered: Range) -> Placement:
    """Compare arrived rows with the stored rows of their grains.

    `arrived`: row, the grain, ORDER, event_time, hash. `stored`: the grain, ORDER, event_time, topic_id,
    kafka_partition, displaced_count, displaced_hash, hash.
    """
    winners = arrived.sort(ORDER).unique(subset=grain, keep="first", maintain_order=True)
    pairs = winners.join(stored, on=grain, how="left", suffix="_stored", coalesce=True)
    known = pl.col("topic_id").is_not_null()
    # What an earlier, unfinished attempt at this very range stored is ours: it was never entered in the ledger.
    ours = (
        known
        & (pl.col("topic_id") == covered.topic_id)
        & (pl.col("kafka_partition") == covered.partition)
        & pl.col("kafka_offset_stored").is_between(covered.first, covered.last)
    )
    itself = ours & pl.all_horizontal(pl.col(n) == pl.col(f"{n}_stored") for n in ("kafka_offset", "kafka_index"))
    pairs = pairs.with_columns(
        base=pl.when(ours).then("displaced_hash").when(known).then("hash_stored").otherwise(0).cast(pl.UInt64),
        itself=itself.fill_null(False),
        known=known,
        earlier=_earlier(ORDER),
    )
    counted = pairs.filter(~pl.col("known") | pl.col("itself") | pl.col("earlier"))
    insert = (
        counted.filter(~pl.col("itself"))
        .select(
            "row",
            displaced_count=(pl.col("displaced_count").fill_null(-1) + 1).cast(pl.Int32),
            displaced_hash="base",
        )
        .sort("row")
    )
    stored_count = counted.filter(pl.col("base") == 0).height
    total = sum(counted["hash"].to_list()) - sum(counted["base"].to_list())
    series = grain[:3]
    times = [counted.select(*series, "event_time")]
    times.append(counted.filter("known").select(*series, event_time=pl.col("event_time_stored")))
    return Placement(
        insert=insert,
        counted=counted.select("row"),
        touched=pl.concat(times).unique(),
        stored_count=stored_count,
        duplicate_count=arrived.height - stored_count,
        content_hash=total % _MODULUS,
    )


def place_new(order: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64], touched: pl.DataFrame) -> Placement:
    """Place rows of which nothing is stored and no grain came twice, as place() does: all belong there, in `order`.

    `hashes` are of all rows that arrived.
    """
    rows = pl.DataFrame({"row": pl.Series(order, dtype=pl.UInt32)})
    return Placement(
        insert=rows.with_columns(displaced_count=pl.lit(0, pl.Int32), displaced_hash=pl.lit(0, pl.UInt64)),
        counted=rows,
        touched=touched,
        stored_count=rows.height,
        duplicate_count=0,
        content_hash=int(hashes[order].sum(dtype=np.uint64)),
    )


def together(one: Placement, other: Placement, order: npt.NDArray[np.int64]) -> Placement:
    """Take together what becomes of two sets of rows that have no grain in common; inserts lie in `order`."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    insert = pl.concat([one.insert, other.insert])
    return Placement(
        insert=insert[np.argsort(rank[insert["row"].to_numpy()])],
        counted=pl.concat([one.counted, other.counted]),
        touched=pl.concat([one.touched, other.touched]).unique(),
        stored_count=one.stored_count + other.stored_count,
        duplicate_count=one.duplicate_count + other.duplicate_count,
        content_hash=(one.content_hash + other.content_hash) % _MODULUS,
    )


def _earlier(order: list[str]) -> pl.Expr:
    """Hold where the arrived row lies before the stored one: a comparison of tuples, column by column."""
    result = pl.lit(False)
    for name in reversed(order):
        mine, theirs = pl.col(name), pl.col(f"{name}_stored")
        result = (mine < theirs) | ((mine == theirs) & result)
    return result.fill_null(False)

"""What is told of a range by series is what its rows say one by one, and new rows are placed as place() places them."""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.trades import TRADES
from spark.arrival import Arrival, arrange, encode_repeats, plain
from spark.clocks import MINUTE
from spark.placement import POSITION, Range, place, place_new

GRAIN = list(TRADES.grain)
names = st.sampled_from(["a", "b", "é", "Z", "ab"])
drawn_rows = st.lists(
    st.tuples(names, names, names, st.integers(-4, 40), st.integers(-3 * MINUTE, 3 * MINUTE)), min_size=1, max_size=40
)


def table(drawn: list[tuple[str, str, str, int, int]]) -> pa.Table:
    venues, instruments, spaces, sequences, times = (list(column) for column in zip(*drawn, strict=True))
    count = len(drawn)
    columns = {
        "venue": venues, "instrument": instruments, "id_space": spaces,
        "venue_sequence": pa.array(sequences, pa.int64()), "trade_id": [str(s) for s in sequences],
        "side": ["buy"] * count, "connection_id": ["c"] * count,
        "event_time": pa.array(times, pa.timestamp("us", "UTC")),
        "received_time": pa.array(range(count), pa.timestamp("us", "UTC")),
        "message_number": pa.array(range(count), pa.int64()), "message_index": pa.array([0] * count, pa.int32()),
        "kafka_offset": pa.array(range(count), pa.int64()),
    }  # fmt: skip
    return pa.table(columns)


def arranged(rows: pa.Table) -> Arrival:
    return arrange(encode_repeats(rows, TRADES), TRADES)


@settings(max_examples=150)
@given(drawn_rows)
def test_rows_are_put_in_the_order_of_the_sort_key_and_runs_tell_what_is_in_them(drawn: Any) -> None:
    arrival = arranged(table(drawn))
    expected = sorted(range(len(drawn)), key=lambda n: (*(text.encode() for text in drawn[n][:3]), drawn[n][3]))
    assert arrival.order.tolist() == expected
    runs: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for *series, sequence, time in drawn:
        runs.setdefault((series[0], series[1], series[2]), []).append((sequence, time))
    assert {
        series: (low, high, newest)
        for series, low, high, newest in zip(arrival.series, arrival.low, arrival.high, arrival.newest, strict=True)
    } == {s: (min(r)[0], max(r)[0], max(time for _, time in r)) for s, r in runs.items()}
    assert arrival.distinct == all(len({sequence for sequence, _ in r}) == len(r) for r in runs.values())
    wanted = {(*s, time // MINUTE * MINUTE) for s, r in runs.items() for _, time in r}
    assert sorted(arrival.minutes().rows()) == sorted(wanted)
    venues = {venue for venue, _, _ in runs}
    newest = {v: max(time for s, r in runs.items() if s[0] == v for _, time in r) for v in venues}
    assert arrival.newest_of_venues() == newest


@settings(max_examples=100)
@given(st.lists(drawn_rows.map(lambda rows: rows[0]), min_size=1, max_size=40, unique_by=lambda row: row[:4]))
def test_new_rows_are_placed_as_any_rows_are(drawn: Any) -> None:
    rows = table(drawn)
    arrival = arranged(rows)
    assert arrival.distinct
    hashes = np.arange(len(drawn), dtype=np.uint64) * np.uint64(2**62 + 7)
    quick = place_new(arrival.order, hashes, arrival.minutes())
    frame = pl.DataFrame(pl.from_arrow(rows.select([*GRAIN, *POSITION, "kafka_offset", "event_time"])))
    times = [pl.col(name).dt.timestamp("us") for name in ("received_time", "event_time")]
    arrived = frame.with_row_index("row").with_columns(*times, hash=pl.Series(hashes))
    nothing = {name: arrived.schema[name] for name in [*GRAIN, *POSITION, "event_time", "kafka_offset", "hash"]}
    platform = {"topic_id": pl.String, "kafka_partition": pl.Int32, "displaced_count": pl.Int32}
    stored = pl.DataFrame(schema=nothing | platform | {"displaced_hash": pl.UInt64})
    slow = place(arrived, stored, GRAIN, Range("t", 0, 0, len(drawn)))
    assert quick.insert.sort("row").equals(slow.insert)
    assert quick.insert.schema == slow.insert.schema
    assert quick.counted.sort("row").equals(slow.counted.sort("row"))
    told = (quick.stored_count, quick.duplicate_count, quick.content_hash)
    assert told == (slow.stored_count, slow.duplicate_count, slow.content_hash)
    floored = slow.touched.with_columns(pl.col("event_time") // MINUTE * MINUTE).unique()
    assert sorted(quick.touched.rows()) == sorted(floored.rows())


def test_numbered_columns_are_written_out_again_as_they_were() -> None:
    rows = table([("a", "é", "", 1, 0), ("b", "é", "x", 2, 0)])
    assert plain(encode_repeats(rows, TRADES)).equals(rows)

"""What is told of a range by series is what its rows say one by one, and new rows are placed as place() places them."""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.trades import TRADES
from spark.arrival import Arrival, arrange, encode_repeats, plain
from spark.clocks import MINUTE
from spark.placement import ORDER, Range, place, place_new, together

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
        "kafka_offset": pa.array(range(count), pa.int64()), "kafka_index": pa.array([0] * count, pa.int32()),
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
    counts = Counter(row[:4] for row in drawn)
    assert arrival.repeated.tolist() == [counts[drawn[n][:4]] > 1 for n in arrival.order]
    assert arrival.sequences.tolist() == [drawn[n][3] for n in arrival.order]
    wanted = {(*s, time // MINUTE * MINUTE) for s, r in runs.items() for _, time in r}
    every = np.ones(len(drawn), bool)
    assert sorted(arrival.minutes(every).rows()) == sorted(wanted)
    assert arrival.minutes(~every).is_empty()
    venues = {venue for venue, _, _ in runs}
    newest = {v: max(time for s, r in runs.items() if s[0] == v for _, time in r) for v in venues}
    assert arrival.newest_of_venues() == newest


STORED = {"topic_id": pl.String, "kafka_partition": pl.Int32, "displaced_count": pl.Int32, "displaced_hash": pl.UInt64}


def frame(rows: pa.Table, hashes: Any) -> pl.DataFrame:
    """Return rows as place() takes them."""
    found = pl.DataFrame(pl.from_arrow(rows.select([*GRAIN, *ORDER, "event_time"])))
    times = [pl.col(name).dt.timestamp("us") for name in ("received_time", "event_time")]
    return found.with_row_index("row").with_columns(*times, hash=pl.Series(hashes))


@settings(max_examples=200)
@given(drawn_rows, st.data())
def test_rows_behind_all_that_is_stored_are_placed_as_if_they_had_been_compared(drawn: Any, data: Any) -> None:
    rows = table(drawn)
    arrival = arranged(rows)
    hashes = np.arange(len(drawn), dtype=np.uint64) * np.uint64(2**62 + 7)
    arrived = frame(rows, hashes)
    # Of the grains that came, and of others, some are stored from elsewhere, received before, between or after.
    kept = data.draw(st.lists(st.tuples(st.integers(0, len(drawn) - 1), st.integers(-2, 2)), max_size=8))
    places = {(*drawn[n][:3], drawn[n][3] + step): n for n, step in kept}
    held = [
        dict(zip(GRAIN, (*key, str(key[3])), strict=True))
        | {"received_time": 2 * n - 20, "connection_id": "c", "message_number": n, "message_index": 0,
           "event_time": 7 * MINUTE, "kafka_offset": 0, "kafka_index": 0, "hash": n + 5, "topic_id": "before",
           "kafka_partition": 0, "displaced_count": 0, "displaced_hash": 0}
        for key, n in places.items()
    ]  # fmt: skip
    names = [*GRAIN, *ORDER, "event_time", "hash"]
    stored = pl.DataFrame(held, schema={**{name: arrived.schema[name] for name in names}, **STORED}, orient="row")
    covered = Range("t", 0, 0, len(drawn))
    wanted = place(arrived, stored, GRAIN, covered)

    highest = np.full(len(arrival.series), np.iinfo(np.int64).min)
    for run, series in enumerate(arrival.series):
        within = [k[3] for k in places if k[:3] == series and arrival.low[run] <= k[3] <= arrival.high[run]]
        highest[run] = max(within, default=highest[run])
    simple = arrival.beyond(highest)
    new = place_new(arrival.order[simple], hashes, arrival.minutes(simple))
    others = place(arrived[arrival.order[~simple]], stored, GRAIN, covered)
    found = together(new, others, arrival.order)

    assert found.insert.sort("row").equals(wanted.insert)
    assert found.insert.schema == wanted.insert.schema
    rank = {row: at for at, row in enumerate(arrival.order.tolist())}
    at = [rank[row] for row in found.insert["row"].to_list()]
    assert at == sorted(at)
    assert found.counted.sort("row").equals(wanted.counted.sort("row"))
    told = (found.stored_count, found.duplicate_count, found.content_hash)
    assert told == (wanted.stored_count, wanted.duplicate_count, wanted.content_hash)
    floored = [p.touched.with_columns(pl.col("event_time") // MINUTE * MINUTE).unique() for p in (found, wanted)]
    assert sorted(floored[0].rows()) == sorted(floored[1].rows())


def test_numbered_columns_are_written_out_again_as_they_were() -> None:
    rows = table([("a", "é", "", 1, 0), ("b", "é", "x", 2, 0)])
    assert plain(encode_repeats(rows, TRADES)).equals(rows)

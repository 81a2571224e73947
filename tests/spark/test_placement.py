"""Placement against an oracle: whatever the batches, crashes and order, the table and the ledger come out the same."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from spark.placement import Range, place

GRAIN = ["venue", "instrument", "id_space", "venue_sequence", "trade_id"]
Row = tuple[int, int, int]  # trade id, place on the tape, content

ARRIVED = {
    **dict.fromkeys(GRAIN[:3], pl.String),
    "venue_sequence": pl.Int64,
    "trade_id": pl.String,
    "received_time": pl.Int64,
    "connection_id": pl.String,
    "message_number": pl.Int64,
    "message_index": pl.Int32,
    "kafka_offset": pl.Int64,
    "kafka_index": pl.Int32,
    "event_time": pl.Int64,
    "hash": pl.UInt64,
}
STORED = ARRIVED | {
    "topic_id": pl.String,
    "kafka_partition": pl.Int32,
    "displaced_count": pl.Int32,
    "displaced_hash": pl.UInt64,
}


EVENTS = 3  # in each record


def as_row(row: Row, number: int) -> dict[str, object]:
    trade, place_on_tape, content = row
    return {
        "venue": "v", "instrument": "i", "id_space": "s", "venue_sequence": trade, "trade_id": str(trade),
        # Half of the positions share a time: then connection and number decide.
        "received_time": place_on_tape // 2, "connection_id": "c", "message_number": place_on_tape,
        "message_index": 0, "kafka_offset": number // EVENTS, "kafka_index": number % EVENTS, "event_time": content,
        "hash": content * 7919 + trade + 1,
    }  # fmt: skip


class Table:
    """A model of the stored table: ReplacingMergeTree read with FINAL, by displaced_count."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, object]] = {}

    def stored(self) -> pl.DataFrame:
        return pl.DataFrame(list(self.rows.values()), schema=STORED, orient="row")

    def insert(self, rows: list[dict[str, object]]) -> None:
        for row in rows:
            trade = int(str(row["venue_sequence"]))
            held = self.rows.get(trade)
            if held is None or int(str(row["displaced_count"])) >= int(str(held["displaced_count"])):
                self.rows[trade] = row


def write(table: Table, rows: list[Row], first: int, last: int, keep: int | None = None) -> tuple[int, int, int]:
    """Write records first..last; `keep` inserts only so many rows, as a crash would leave it."""
    batch = [as_row(row, n) for n, row in enumerate(rows) if first <= n // EVENTS <= last]
    arrived = pl.DataFrame(batch, schema=ARRIVED, orient="row").with_row_index("row")
    placement = place(arrived, table.stored(), GRAIN, Range("t", 0, first, last))
    inserts = [
        {**batch[row], "topic_id": "t", "kafka_partition": 0, "displaced_count": count, "displaced_hash": digest}
        for row, count, digest in placement.insert.iter_rows()
    ]
    table.insert(inserts[:keep])
    return placement.stored_count, placement.duplicate_count, placement.content_hash


rows_strategy = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1000), st.integers(0, 3)), min_size=1, max_size=30
).map(lambda rows: [(trade, position * 100 + i, content) for i, (trade, position, content) in enumerate(rows)])


@st.composite
def attempts(draw: st.DrawFn) -> tuple[list[Row], list[tuple[int, int, int | None]]]:
    """Draw rows in order of arrival, and attempts at ranges: some crash half done and are tried again, maybe longer."""
    rows = draw(rows_strategy)
    tries: list[tuple[int, int, int | None]] = []
    first, records = 0, -(-len(rows) // EVENTS)
    while first < records:
        last = draw(st.integers(first, records - 1))
        tries += [
            (first, draw(st.integers(first, last)), draw(st.integers(0, 5))) for _ in range(draw(st.integers(0, 2)))
        ]
        tries.append((first, last, None))
        first = last + 1
    return rows, tries


@settings(max_examples=300)
@given(attempts())
def test_crashes_and_repeats_leave_the_earliest_row_of_each_grain_and_a_ledger_that_adds_up(
    drawn: tuple[list[Row], list[tuple[int, int, int | None]]],
) -> None:
    rows, tries = drawn
    table, stored, duplicate, digest = Table(), 0, 0, 0
    for first, last, keep in tries:
        counts = write(table, rows, first, last, keep)
        if keep is None:  # only what finished is entered in the ledger
            stored, duplicate, digest = stored + counts[0], duplicate + counts[1], (digest + counts[2]) % 2**64
    oracle: dict[int, Row] = {}
    for row in rows:
        if row[0] not in oracle or row[1] < oracle[row[0]][1]:
            oracle[row[0]] = row
    assert {t: r["message_number"] for t, r in table.rows.items()} == {t: r[1] for t, r in oracle.items()}
    assert (stored, duplicate) == (len(oracle), len(rows) - len(oracle))
    assert digest == sum(int(str(r["hash"])) for r in table.rows.values()) % 2**64


@settings(max_examples=200)
@given(rows_strategy, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    tables = []
    for order in (rows, shuffled):
        table = Table()
        write(table, order, 0, len(order) - 1)
        tables.append({trade: row["message_number"] for trade, row in table.rows.items()})
    assert tables[0] == tables[1]


def test_a_duplicate_counts_its_minute_only_when_it_changes_a_row() -> None:
    table = Table()
    write(table, [(1, 10, 0)], 0, 0)
    rows: list[Row] = [(1, 10, 0), (1, 20, 5)]
    batch = pl.DataFrame([as_row(rows[1], 1)], schema=ARRIVED, orient="row").with_row_index("row")
    placement = place(batch, table.stored(), GRAIN, Range("t", 0, 1, 1))
    assert placement.insert.is_empty()
    assert placement.touched.is_empty()
    assert (placement.stored_count, placement.duplicate_count, placement.content_hash) == (0, 1, 0)


def test_within_a_record_the_first_of_two_of_one_place_stands_however_they_come() -> None:
    first, second = as_row((1, 10, 0), 0), as_row((1, 10, 5), 1)  # one record, one place on the tape, other contents
    arrived = pl.DataFrame([second, first], schema=ARRIVED, orient="row").with_row_index("row")
    placement = place(arrived, Table().stored(), GRAIN, Range("t", 0, 0, 0))
    assert placement.insert["row"].to_list() == [1]
    # The second lies in the table, from a try that did not end: it is not the first, which takes its place.
    stored = second | {"topic_id": "t", "kafka_partition": 0, "displaced_count": 0, "displaced_hash": 0}
    again = place(arrived, pl.DataFrame([stored], schema=STORED, orient="row"), GRAIN, Range("t", 0, 0, 0))
    assert again.insert.rows() == [(1, 1, 0)]
    assert (again.stored_count, again.content_hash) == (1, first["hash"])

"""As-of: what is asked of a past moment is what was read at that moment, whatever came afterwards."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.trades import DISPLACED_TRADES, TRADES
from orchestration.read import trades as trades_here
from orchestration.settings import BARS_QUERY
from serving.bars import bars
from serving.trades import trades
from spark.bars import now_micros, refresh
from spark.deliver import WritePlan, covered_range, write_decoded
from stores.arrow import arrow_schema
from stores.warehouse import Warehouse

MINUTE = 60_000_000
DAY = int(datetime(2022, 9, 1, tzinfo=UTC).timestamp()) * 1_000_000
NUMBERS = itertools.count(1)
Told = tuple[int, int, int, int]  # which trade, its price, its minute, its place on the tape


class Feed:
    """An instrument of its own, written as the streams write: a range of offsets, then the bars of its minutes."""

    def __init__(self, store: Warehouse, where: Any) -> None:
        self.store, self.where = store, where
        self.instrument = f"FEED-{next(NUMBERS)}"
        self.offset = 0

    def hear(self, told: Sequence[Told]) -> int:
        """Store a batch and return a moment by which it is known."""
        rows = [
            {
                "venue": "v", "instrument": self.instrument, "id_space": "s", "trade_id": str(which),
                "venue_sequence": which, "price": Decimal(price), "quantity": Decimal(1), "side": "buy",
                "trade_count": 1, "event_time": DAY + minute * MINUTE + which, "received_time": DAY + place,
                "connection_id": "c", "message_number": place, "message_index": 0, "topic": TRADES.name,
                "kafka_partition": 0, "kafka_offset": self.offset + number, "kafka_index": 0, "rejection": None,
                "rejected_value": None,
            }
            for number, (which, price, minute, place) in enumerate(told)
        ]  # fmt: skip
        status = {
            "topic": pa.string(), "kafka_partition": pa.int32(), "kafka_offset": pa.int64(), "kafka_index": pa.int32(),
            "rejection": pa.string(), "rejected_value": pa.binary(),
        }  # fmt: skip
        schema = pa.schema([*status.items(), *arrow_schema(TRADES.wire_columns)])
        plan = WritePlan(TRADES.name, TRADES.name, self.instrument, None, self.where, True, TRADES.table)
        table = pa.Table.from_pylist(rows, schema=schema)
        touched = write_decoded(table, covered_range(table, plan), plan).touched
        self.offset += len(rows)
        if touched:
            minutes = [((v, i, s, t), "final") for v, i, s, t in touched]
            refresh(self.store, BARS_QUERY.read_text(), minutes, known_time=now_micros())
        return now_micros()

    def read(self, as_of: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return trades and bars, as they are known now or were at a moment."""
        moment = None if as_of is None else datetime.fromtimestamp(as_of / 1e6, UTC)
        return (
            trades(self.where, self.instrument, exact=True, as_of=moment),
            bars(self.where, self.instrument, exact=True, as_of=moment),
        )


@pytest.fixture
def feed(answering: Any) -> Feed:
    return Feed(answering.warehouse, answering.settings)


told = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 1), st.integers(1, 1000))
batches = st.lists(st.lists(told, min_size=1, max_size=5), min_size=1, max_size=5)


@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches)
def test_a_past_moment_is_answered_as_it_was_then_though_rows_were_replaced_and_merged_away(
    answering: Any, drawn: list[list[Told]]
) -> None:
    feed = Feed(answering.warehouse, answering.settings)
    seen = [(feed.hear(batch), *feed.read()) for batch in drawn]
    answering.warehouse.run(f"OPTIMIZE TABLE {TRADES.table} FINAL")
    for moment, trades_then, bars_then in seen:
        trades_now, bars_now = feed.read(as_of=moment)
        assert trades_now.equals(trades_then)
        assert bars_now.equals(bars_then)
    before = feed.read(as_of=seen[0][0] - 60 * MINUTE)
    assert [frame.height for frame in before] == [0, 0]


def test_a_trade_that_was_replaced_twice_is_there_in_each_of_its_forms(feed: Feed) -> None:
    moments = [feed.hear([(1, price, 0, place)]) for price, place in ((5, 300), (6, 200), (7, 100))]
    found = [feed.read(as_of=moment) for moment in moments]
    assert [[row["price"] for row in one.to_dicts()] for one, _ in found] == [[5], [6], [7]]
    assert [[row["close"] for row in one.to_dicts()] for _, one in found] == [[5], [6], [7]]
    kept = feed.store.rows(
        f"SELECT price, displaced_count FROM {DISPLACED_TRADES.table} FINAL WHERE instrument = {{i:String}} "
        "ORDER BY displaced_count",
        {"i": feed.instrument},
    )
    assert kept == [(5, 0), (6, 1)]


def test_coarser_bars_of_a_moment_are_made_from_the_minutes_known_then(feed: Feed, answering: Any) -> None:
    first = feed.hear([(1, 5, 0, 1), (3, 7, 6, 3)])
    feed.hear([(2, 9, 1, 2)])

    def highs(grain: str, as_of: int) -> list[tuple[Any, ...]]:
        moment = datetime.fromtimestamp(as_of / 1e6, UTC)
        found = bars(answering.settings, feed.instrument, grain=grain, exact=True, as_of=moment)
        return [(int((row["bar_time"].timestamp() * 1e6 - DAY) / MINUTE), row["high"]) for row in found.to_dicts()]

    now = now_micros()
    assert (highs("5m", first), highs("5m", now)) == ([(0, 5), (5, 7)], [(0, 9), (5, 7)])
    assert (highs("1d", first), highs("1d", now)) == ([(0, 7)], [(0, 9)])
    assert (highs("1h", first), highs("1m", first)) == ([(0, 7)], [(0, 5), (6, 7)])


def test_trades_come_in_order_within_their_span_and_in_every_form(
    feed: Feed, answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.hear([(3, 3, 1, 3), (1, 1, 0, 1), (2, 2, 0, 2)])
    found = trades(answering.settings, feed.instrument)
    assert found["trade_id"].to_list() == ["1", "2", "3"]
    assert (found["price"].dtype, found["event_time"].dtype) == (pl.Float64, pl.Datetime("us", "UTC"))
    late = datetime.fromtimestamp((DAY + MINUTE) / 1e6, UTC)
    assert trades(answering.settings, feed.instrument, "v", start=late)["trade_id"].to_list() == ["3"]
    assert trades(answering.settings, feed.instrument, end=late, as_="arrow").num_rows == 2
    assert len(trades(answering.settings, feed.instrument, "other", as_="pandas")) == 0
    monkeypatch.setenv("TAPEHOUSE_CONFIG", "")
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_PORT", str(answering.settings.port))
    assert trades_here(feed.instrument, as_of="2022-01-01").height == 0
    with pytest.raises(TerminalError, match="as_of 'yesterday' is no time"):
        trades(answering.settings, feed.instrument, as_of="yesterday")

"""What a training set says was known is what computing at that moment, from what had come by then, would have said."""

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalog import chosen
from features.compute import compute, revised
from features.training import training_set
from tests.features.series import START, walk

MINUTE = timedelta(minutes=1)
# Several windows, so that late bars lie inside of some and outside of others.
FEATURES = chosen(["return_1m", "return_5m", "range_15m", "minutes_since_trade", "notional_60m"])
NAMES = [feature.name for feature in FEATURES]
MINUTES = 7
END = 17  # by then all has come

# For a minute: when its bar came, and whether and when it was corrected; in half minutes after its end.
ARRIVALS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.one_of(st.integers(0, 2), st.integers(0, 9)), st.one_of(st.none(), st.integers(1, 9))),
    ),
    min_size=MINUTES,
    max_size=MINUTES,
)


def revisions(arrivals: list[tuple[int, int | None] | None]) -> pl.DataFrame:
    """Return every revision of the bars, each with the time it became known."""
    bars = walk(MINUTES)
    parts = []
    for minute, came in enumerate(arrivals):
        if came is None:
            continue
        first = bars[minute].with_columns(known_time=pl.col("bar_time") + MINUTE * (1 + came[0] / 2))
        parts.append(first)
        if came[1] is not None:
            later = pl.col("known_time") + MINUTE * (came[1] / 2)
            parts.append(first.with_columns(known_time=later, close=pl.col("close") + Decimal(1)))
    return pl.concat(parts) if parts else bars.clear()


def as_known(rows: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Return the bars as they were known at a moment."""
    known = rows.filter(pl.col("known_time") <= pl.lit(moment, pl.Datetime("us", "UTC")))
    return known.sort("known_time").group_by("bar_time", maintain_order=True).last().select(rows.columns)


def whole_minute(moment: datetime) -> datetime:
    """Return the end of the last minute that has ended."""
    return moment.replace(second=0, microsecond=0)


@settings(max_examples=15)
@given(ARRIVALS)
def test_a_label_gets_what_could_be_computed_at_its_moment(
    arrivals: list[tuple[int, int | None] | None],
) -> None:
    rows = revisions(arrivals)
    # Made anew whenever something came, and at the end of each minute.
    ends = (START + minute * MINUTE for minute in range(END + 1))
    stored = compute(FEATURES, {"bars": rows.clear()})["bars"]
    for moment in sorted({*rows["known_time"], *ends}):
        made = compute(FEATURES, {"bars": as_known(rows, moment)}, until=whole_minute(moment))["bars"]
        stored = pl.concat([stored, revised(stored, made)])

    moments = [START + half * MINUTE / 2 for half in range(2 * END)]
    labels = pl.DataFrame({"venue": "binance", "instrument": "BTCUSDT", "time": moments})
    found = training_set(labels, {"bars": stored}, times=True)
    assert (found["bars.known_time"] <= found["time"]).all()
    for moment, row in zip(moments, found.to_dicts(), strict=True):
        now = compute(FEATURES, {"bars": as_known(rows, moment)}, until=whole_minute(moment))["bars"]
        expected = now.row(-1, named=True) if now.height else dict.fromkeys(NAMES)
        assert {name: row[name] for name in NAMES} == {name: expected[name] for name in NAMES}

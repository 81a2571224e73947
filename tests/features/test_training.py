"""Training sets hold what was known, by a slow implementation that reads like the definition."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from features.asof import AS_OF, AsOf
from features.catalog import chosen
from features.compute import compute, revised
from features.training import lives, training_set, vectors
from tests.features.series import START, walk

US = pl.Datetime("us", "UTC")
MINUTE = timedelta(minutes=1)
Row = tuple[str, int, int, float | None]


def at(minute: int) -> datetime:
    """Return a moment."""
    return START + minute * MINUTE


def table(rows: Sequence[Row]) -> pl.DataFrame:
    """Return feature rows: instrument, minute of the event, minutes until it was known, value."""
    made = [("binance", name, at(event), at(event + wait), value) for name, event, wait, value in rows]
    return pl.DataFrame(
        made,
        schema={"venue": pl.String, "instrument": pl.String, "event_time": US, "known_time": US, "price": pl.Float64},
        orient="row",
    )


def labels(rows: list[tuple[str, int]]) -> pl.DataFrame:
    """Return labels: instrument, minute."""
    made = [("binance", name, at(minute), place) for place, (name, minute) in enumerate(rows)]
    return pl.DataFrame(
        made, schema={"venue": pl.String, "instrument": pl.String, "time": US, "label": pl.Int64}, orient="row"
    )


def obvious(wanted: list[tuple[str, int]], rows: list[Row], as_of: AsOf, life: int | None) -> list[float | None]:
    """Return what each label may know, by going through every row."""
    out: list[float | None] = []
    for name, moment in wanted:
        usable = [
            (event, event + wait, place, value)
            for place, (instrument, event, wait, value) in enumerate(rows)
            if instrument == name and event <= moment and (as_of == "event" or event + wait <= moment)
        ]
        if not usable:
            out.append(None)
            continue
        # The newest moment, of it the last revision, of equal ones the one appended last.
        event, _, _, value = max(usable, key=lambda row: row[:3])
        out.append(value if life is None or moment - event <= life else None)
    return out


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.integers(0, 40),
        # Mostly at once, some late, some very late.
        st.one_of(st.integers(0, 2), st.integers(0, 60)),
        st.one_of(st.none(), st.floats(-9, 9)),
    ),
    max_size=60,
)
LABELS = st.lists(st.tuples(st.sampled_from(["A", "B", "D"]), st.integers(-5, 110)), max_size=25)


@settings(max_examples=300)
@given(LABELS, ROWS, st.sampled_from(AS_OF), st.one_of(st.none(), st.integers(1, 30)))
def test_a_label_gets_what_the_slow_implementation_says(
    wanted: list[tuple[str, int]], rows: list[Row], as_of: AsOf, life: int | None
) -> None:
    made = training_set(
        labels(wanted),
        {"bars": table(rows)},
        as_of=as_of,
        time_to_live=None if life is None else timedelta(minutes=life),
    )
    assert made["label"].to_list() == list(range(len(wanted)))
    assert made["price"].to_list() == obvious(wanted, rows, as_of, life)


@settings(max_examples=100)
@given(LABELS, ROWS, st.integers(0, 100))
def test_what_becomes_known_later_changes_no_label_before_it(
    wanted: list[tuple[str, int]], rows: list[Row], moment: int
) -> None:
    until = [row for row in rows if row[1] + row[2] <= moment]
    early = [label for label in wanted if label[1] <= moment]
    with_future = training_set(labels(early), {"bars": table(rows)}, times=True)
    without = training_set(labels(early), {"bars": table(until)}, times=True)
    assert with_future.equals(without, null_equal=True)
    leaked = with_future.filter(pl.col("bars.known_time") > pl.col("time"))
    assert leaked.height == 0


def test_a_late_backfill_neither_stands_for_what_is_newer_nor_comes_early() -> None:
    rows = [("A", 10, 1, 1.0), ("A", 20, 1, 2.0), ("A", 15, 30, 9.0), ("A", 20, 40, 3.0)]
    wanted = labels([("A", 12), ("A", 22), ("A", 50), ("A", 60), ("A", 10)])
    known = training_set(wanted, {"bars": table(rows)})
    assert known["price"].to_list() == [1.0, 2.0, 2.0, 3.0, None]
    event = training_set(wanted, {"bars": table(rows)}, as_of="event")
    assert event["price"].to_list() == [1.0, 3.0, 3.0, 3.0, 1.0]


def test_many_rows_that_become_known_together_give_the_newest() -> None:
    rows = [("A", minute, 100 - minute, float(minute)) for minute in range(50)]
    made = training_set(labels([("A", 99), ("A", 100)]), {"bars": table(rows[::-1])})
    assert made["price"].to_list() == [None, 49.0]


def test_names_may_come_as_categories() -> None:
    rows, wanted = table([("A", 0, 0, 1.0), ("B", 0, 0, 2.0)]), labels([("B", 3), ("A", 4)])
    as_categories = pl.col("venue", "instrument").cast(pl.Categorical)
    made = training_set(wanted, {"bars": rows.with_columns(as_categories)})
    assert made["price"].to_list() == [2.0, 1.0]
    assert training_set(wanted.with_columns(as_categories), {"bars": rows})["price"].to_list() == [2.0, 1.0]


def test_features_live_as_long_as_they_are_declared_to() -> None:
    both = table([("A", 0, 0, 1.0)]).with_columns(other=pl.lit(2.0))
    made = training_set(labels([("A", 5), ("A", 6)]), {"bars": both}, time_to_live={"price": timedelta(minutes=5)})
    assert made["price"].to_list() == [1.0, None]
    assert made["other"].to_list() == [2.0, 2.0]
    assert lives(chosen(["return_1m", "return_1d"])) == {"return_1m": 5 * MINUTE, "return_1d": 60 * MINUTE}


def test_labels_of_a_quality_that_was_not_known_to_be_good_are_left_out() -> None:
    scores = table([("A", 0, 0, 0.95), ("A", 10, 20, 0.5), ("B", 0, 0, 0.8)]).rename({"price": "quality_score"})
    tables = {"bars": table([("A", 0, 0, 1.0), ("B", 0, 0, 2.0)]), "quality": scores}
    wanted = labels([("A", 5), ("B", 5), ("A", 29), ("A", 30), ("C", 5)])
    made = training_set(wanted, tables, features=["price"], min_quality=0.9)
    assert made["label"].to_list() == [0, 2]
    assert made.columns == ["venue", "instrument", "time", "label", "price"]
    # With hindsight the label at 29 is of a bad minute.
    assert training_set(wanted, tables, features=["price"], min_quality=0.9, as_of="event")["label"].to_list() == [0]


def test_revisions_of_computed_features_never_leak() -> None:
    bars, late = walk(120), START + timedelta(minutes=100, seconds=30)
    hit = pl.int_range(pl.len()) == 50
    moved = bars.with_columns(
        close=pl.when(hit).then(pl.col("close") * 2).otherwise("close"),
        known_time=pl.when(hit).then(late).otherwise("known_time"),
    )
    features = chosen(["return_1m", "return_5m"])
    first = compute(features, {"bars": bars})["bars"]
    stored = pl.concat([first, revised(first, compute(features, {"bars": moved})["bars"])])
    moments = pl.datetime_range(START, START + timedelta(minutes=130), "37s", time_unit="us", eager=True).cast(US)
    wanted = pl.DataFrame({"venue": "binance", "instrument": "BTCUSDT", "time": moments})
    made = training_set(wanted, {"bars": stored})
    before = training_set(wanted, {"bars": first})
    assert made.equals(before, null_equal=True), "the newest moment was never the one that was corrected"
    assert not training_set(wanted, {"bars": stored}, as_of="event").equals(before, null_equal=True)


def test_the_vector_of_a_moment_is_what_a_label_of_then_gets() -> None:
    rows = [("A", 0, 0, 1.0), ("A", 5, 9, 2.0), ("B", 1, 0, 3.0), ("C", 40, 0, 4.0)]
    made = vectors({"bars": table(rows)}, at(10), time_to_live=timedelta(minutes=9))
    assert made.select("instrument", "price").rows() == [("A", None), ("B", 3.0), ("C", None)]


def test_what_is_asked_wrongly_is_refused() -> None:
    wanted, rows = labels([("A", 1)]), table([("A", 0, 0, 1.0)])
    with pytest.raises(TerminalError, match="as_of is 'now'; valid are known, event"):
        training_set(wanted, {"bars": rows}, as_of="now")  # type: ignore[arg-type]
    with pytest.raises(TerminalError, match="labels lack moment"):
        training_set(wanted, {"bars": rows}, time="moment")
    with pytest.raises(TerminalError, match="no table has the feature 'size'"):
        training_set(wanted, {"bars": rows}, features=["size"])
    with pytest.raises(TerminalError, match="min_quality needs quality_score"):
        training_set(wanted, {"bars": rows}, min_quality=0.9)
    with pytest.raises(TerminalError, match="is in several tables"):
        training_set(wanted, {"bars": rows, "more": rows})
    with pytest.raises(TerminalError, match="labels have a column 'price'"):
        training_set(wanted.with_columns(price=1), {"bars": rows})
    with pytest.raises(TerminalError, match="can't be given features"):
        training_set(wanted.with_columns(instrument=pl.lit(None, pl.String)), {"bars": rows})
    with pytest.raises(TerminalError, match="they belong to no moment"):
        training_set(wanted, {"bars": rows.with_columns(known_time=pl.lit(None, US))})
    with pytest.raises(TerminalError, match="'bars' lacks known_time"):
        training_set(wanted, {"bars": rows.drop("known_time")})

"""A day of features: what the frames say, appended once, and again only where something new was known."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assets import feature_frames as read
from assets.feature_day import DAY as ONE_DAY
from assets.feature_day import make_day, stored_rows
from assets.feature_frames import Span
from assets.indicator_bars import day_of
from contracts.bars import BARS
from contracts.features import FEATURES as STORED
from features.catalog import CATALOG, FEATURES
from features.compute import compute
from features.sample import START, sample
from features.stored import unpacked
from stores.seals import Seal, write_seals
from tests.features.warehouse import empty, insert, rows

# The sample ends some hours into it.
DAY = START.date() + ONE_DAY
LATER = datetime(2024, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FRAMES = sample()


@pytest.fixture
def filled(stored: Any) -> Iterator[Any]:
    empty(stored.warehouse)
    insert(stored.warehouse, FRAMES)
    yield stored
    empty(stored.warehouse)


def held(stored: Any, day: date = DAY) -> dict[str, pl.DataFrame]:
    """Return the last revisions of a day by source."""
    found = stored_rows(stored.warehouse, day_of(day), day_of(day) + ONE_DAY)
    return {
        str(source): unpacked(of.drop("source"), "features", [f.name for f in FEATURES if f.source.name == source])
        for (source,), of in found.group_by("source", maintain_order=True)
    }


def revisions(stored: Any) -> list[tuple[Any, ...]]:
    found = stored.warehouse.rows(
        "SELECT source, venue, event_time, known_time FROM market_features FINAL ORDER BY ALL"
    )
    return [(*names, event.replace(tzinfo=UTC), known.replace(tzinfo=UTC)) for *names, event, known in found]


def corrected_bar(stored: Any, at: datetime, known: datetime, **changes: Any) -> None:
    """Insert the next revision of the first venue's bar of a minute."""
    [was] = FRAMES["bars"].filter(pl.col("bar_time") == at, pl.col("venue") == "here").rows(named=True)
    now: Mapping[str, Any] = was | {"known_time": known, "revision": 2} | changes
    insert(stored.warehouse, {"bars": pl.DataFrame([now])})


def test_a_day_from_the_warehouse_is_what_the_frames_say(filled: Any) -> None:
    found = make_day(filled.warehouse, DAY, LATER)
    wanted = compute(FEATURES, FRAMES, until=day_of(DAY) + ONE_DAY)
    assert set(found.tables) == set(wanted)
    for source, table in held(filled).items():
        right = wanted[source].filter(pl.col("event_time") > day_of(DAY)).sort("venue", "instrument", "event_time")
        assert table.select("venue", "event_time", "known_time").equals(
            right.select("venue", "event_time", "known_time")
        )
        for name in (name for name in table.columns if name in CATALOG):
            assert table[name].is_null().equals(right[name].is_null()), name
            far = (table[name] - right[name]).abs() / right[name].abs().clip(1e-6)
            assert float(far.max() or 0) < 1e-5, name  # type: ignore[arg-type]
    assert found.stored == {source: table.height for source, table in found.tables.items()}
    assert not found.bare.height


def test_made_twice_it_appends_nothing(filled: Any) -> None:
    first = make_day(filled.warehouse, DAY, LATER)
    assert all(first.appended.values())
    before = revisions(filled)
    assert set(make_day(filled.warehouse, DAY, LATER + ONE_DAY).appended.values()) == {0}
    assert revisions(filled) == before


def test_a_late_bar_appends_what_it_changed_as_far_as_windows_reach(filled: Any) -> None:
    for day in (START.date(), DAY):
        make_day(filled.warehouse, day, LATER, others=[START.date(), DAY])
    before = set(revisions(filled))
    at, known = day_of(DAY) - 30 * MINUTE, day_of(DAY) + timedelta(days=2)
    corrected_bar(filled, at, known, close=110.0, high=110.0)
    found = make_day(filled.warehouse, START.date(), LATER)
    assert list(found.touched) == [DAY]
    new = [row for row in revisions(filled) if row not in before]
    assert {known_time for *_, known_time in new} == {known}
    reached = {(source, venue): max(e for s, v, e, _ in new if (s, v) == (source, venue)) for source, venue, *_ in new}
    # The bar's minute ends at `at` + 1; an hour's window ends with it 60 minutes later, a day's not before the data.
    assert reached["bars", "here"] == at + 61 * MINUTE
    assert min(event for _, _, event, _ in new) == at + MINUTE
    assert ("bars", "there") not in reached
    assert ("venues", "there") in reached
    assert set(make_day(filled.warehouse, START.date(), LATER).touched.values()) == {0}


def test_a_value_that_changed_with_nothing_new_known_is_known_now(filled: Any) -> None:
    """As when a feature's code is repaired: nobody can have known the right value before."""
    make_day(filled.warehouse, DAY, LATER)
    [last] = (
        stored_rows(filled.warehouse, day_of(DAY), day_of(DAY) + ONE_DAY, "source = 'bars' AND venue = 'here'")
        .tail(1)
        .rows(named=True)
    )
    wrong = last | {
        "known_time": last["known_time"] + timedelta(microseconds=1),
        "numbers": [0 for _ in last["numbers"]],
    }
    rows(filled.warehouse, STORED, pl.DataFrame([wrong], schema_overrides={"numbers": pl.List(pl.Float64)}))
    assert make_day(filled.warehouse, DAY, LATER).appended["bars"] == 1
    assert [known for *_, known in revisions(filled)[-5:]].count(LATER) <= 1
    assert max(known for *_, known in revisions(filled)) == LATER


def test_a_moment_that_nothing_tells_of_any_more_has_no_values(filled: Any) -> None:
    make_day(filled.warehouse, DAY, LATER)
    filled.warehouse.run("ALTER TABLE market_quotes DELETE WHERE venue = 'there' SETTINGS mutations_sync = 1")
    found = make_day(filled.warehouse, DAY, LATER)
    assert found.appended["quotes"] == 1440
    table = held(filled)["quotes"].filter(venue="there")
    assert table.select(pl.all_horizontal(pl.col("spread", "quote_rate_15m").is_null()).all()).item()
    assert set(make_day(filled.warehouse, DAY, LATER).appended.values()) == {0}


def test_of_two_feeds_of_one_market_the_one_with_more_trades_counts(filled: Any) -> None:
    make_day(filled.warehouse, DAY, LATER)
    other = FRAMES["bars"].with_columns(id_space=pl.lit("thin"), trade_count=pl.lit(1), close=pl.lit(1.0))
    rows(filled.warehouse, BARS, other.with_columns(state=pl.lit("final"), revision=pl.lit(1)))
    assert set(make_day(filled.warehouse, DAY, LATER).appended.values()) == {0}


def test_a_revision_that_only_labels_a_bar_final_is_no_news(filled: Any) -> None:
    at, span = day_of(DAY) + 30 * MINUTE, Span(day_of(DAY), day_of(DAY) + ONE_DAY)

    def known() -> dict[datetime, datetime]:
        bars = read.bars(filled.warehouse, span, [("here", "BTC-USD", "sample")])
        return dict(bars.select("bar_time", "known_time").rows())

    before = known()
    corrected_bar(filled, at, LATER)
    assert known() == before
    corrected_bar(filled, at, LATER, revision=3, close=150.0, high=150.0)
    assert known() == before | {at: LATER}
    # Back again, it says what it said at first, but that is known anew.
    corrected_bar(filled, at, LATER + MINUTE, revision=4)
    assert known() == before | {at: LATER + MINUTE}


def test_what_is_made_from_retired_rows_stays_as_it_is(filled: Any) -> None:
    make_day(filled.warehouse, DAY, LATER)
    before = revisions(filled)
    filled.warehouse.run("ALTER TABLE market_trades DELETE WHERE event_time > '2024-03-05' SETTINGS mutations_sync = 1")
    seal = Seal("market.trades", DAY, "here", "topic", 0, 1, 1, "market.trades: 90 days")
    write_seals(filled.warehouse, [seal], LATER)
    try:
        found = make_day(filled.warehouse, DAY, LATER)
    finally:
        filled.warehouse.run("TRUNCATE TABLE system_seals")
    assert "trades" not in found.tables
    assert revisions(filled) == before

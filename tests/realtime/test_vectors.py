"""The latest features in real Redis: the same as offline, and never an older row over a newer one."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assets.feature_day import DAY, make_day
from assets.features_asset import last_rows
from assets.indicator_bars import day_of
from assets.training_sets import build
from contracts.errors import RetryableError, TerminalError
from features.catalog import FEATURES
from features.sample import START, sample
from features.training import lives
from serving.vectors import Row, key, latest_vector, show
from stores.settings import CacheSettings
from stores.warehouse import Warehouse
from tests.features.warehouse import empty, insert

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(minute: int, known: int = 0, value: float = 1.0, source: str = "bars", instrument: str = "ABC") -> Row:
    event = NOON + minute * MINUTE
    return Row(
        source, "test", instrument, event, event + known * MINUTE, {f"{source}_one": value, f"{source}_two": 0.1}
    )


@pytest.fixture
def cache(platform: Any) -> CacheSettings:
    settings: CacheSettings = platform.settings.cache
    from serving.latest import connect

    redis = connect(settings)
    redis.delete(*(key("test", name) for name in ("ABC", "XYZ")))
    redis.close()
    return settings


def test_whatever_the_order_the_newest_row_and_its_last_revision_stand(cache: CacheSettings) -> None:
    told = [row(minute, known, float(10 * minute + known)) for minute in range(4) for known in range(3)]
    told += [row(minute, 0, -float(minute), source="quotes") for minute in range(9)]
    draw = random.Random(5)
    for _ in range(5):
        draw.shuffle(told)
        for one in told[:7]:
            show(cache, [one])
        show(cache, told)
        found = latest_vector(cache, "test", "ABC")
        assert found.values == {"bars_one": 32.0, "bars_two": 0.1, "quotes_one": -8.0, "quotes_two": 0.1}
        assert found.rows["bars"].times == (NOON + 3 * MINUTE, NOON + 5 * MINUTE)
    assert show(cache, told) == 0


def test_what_was_not_known_or_no_longer_lives_is_not_told(cache: CacheSettings) -> None:
    show(cache, [row(0), row(2, 3, source="quotes")])
    found = latest_vector(cache, "test", "ABC")
    life = {"bars_one": 4 * MINUTE}
    assert set(found.at(NOON + 4 * MINUTE, life).values) == {"bars_one", "bars_two"}
    assert set(found.at(NOON + 5 * MINUTE, life).values) == {"bars_two", "quotes_one", "quotes_two"}


def test_an_instrument_without_features_is_named_and_redis_away_is_said(cache: CacheSettings) -> None:
    with pytest.raises(TerminalError, match="no features of test XYZ"):
        latest_vector(cache, "test", "XYZ")
    with pytest.raises(RetryableError, match="did not tell the features"):
        latest_vector(CacheSettings("redis://127.0.0.1:1/0"), "test", "ABC")
    with pytest.raises(RetryableError, match="did not take the features"):
        show(CacheSettings("redis://127.0.0.1:1/0"), [row(0)])


def test_online_is_what_a_label_of_that_moment_gets_offline(
    cache: CacheSettings, new_database: Any, platform: Any
) -> None:
    import polars as pl

    settings = new_database("vectors")
    warehouse, frames = Warehouse(settings), sample()
    insert(warehouse, frames)
    days = [START.date(), START.date() + DAY]
    for day in reversed(days):
        make_day(warehouse, day, datetime.now(UTC), others=days)
        # The older day comes last, and changes nothing.
        changed = show(cache, last_rows(warehouse, day))
        assert bool(changed) == (day == days[1])
    moment = day_of(days[1]) + DAY
    for venue, instrument, _ in frames["pairs"].rows():
        labels = pl.DataFrame({"venue": [venue], "instrument": [instrument], "time": [moment]})
        [offline] = build(warehouse, labels).rows(named=True)
        wanted = {f.name: offline[f.name] for f in FEATURES if offline[f.name] is not None}
        found = latest_vector(cache, venue, instrument).at(moment, lives(FEATURES))
        assert len(wanted) > 20
        assert found.values == wanted
    empty(warehouse)
    warehouse.close()

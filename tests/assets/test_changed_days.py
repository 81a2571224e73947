"""The query behind sensor and observation, on the real warehouse."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs.closed_day import read_changed
from jobs.closing import ChangedDay

NOON = datetime(2021, 7, 22, 12, tzinfo=UTC)
KNOWN = datetime(2026, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def changed(stored: Any, since: int = 0) -> list[ChangedDay]:
    return read_changed(stored.warehouse, stored.store.query("rollup_days"), since)


def test_a_day_is_as_far_as_the_slowest_venue_that_traded_on_it(stored: Any, make_bar: Any) -> None:
    later = NOON + timedelta(days=1)
    stored.insert_bars([make_bar(NOON), make_bar(later), make_bar(NOON, venue="kraken"), make_bar(NOON, venue="okx")])
    stored.insert_bars([make_bar(later, venue="okx", known_time=KNOWN + timedelta(seconds=9))])
    assert changed(stored) == [
        ChangedDay(date(2021, 7, 22), micros(KNOWN), micros(NOON)),
        ChangedDay(date(2021, 7, 23), micros(KNOWN) + 9_000_000, micros(later)),
    ]


def test_only_days_changed_since_are_found_with_all_of_their_venues(stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(NOON, venue="kraken"), make_bar(NOON - timedelta(days=1))])
    stored.insert_bars([make_bar(NOON + timedelta(hours=1), known_time=KNOWN + timedelta(seconds=1))])
    (one,) = changed(stored, micros(KNOWN))
    assert (one.day, one.slowest_venue) == (date(2021, 7, 22), micros(NOON))
    assert changed(stored, micros(KNOWN) + 1_000_000) == []


def test_a_withdrawn_bar_changes_its_day(stored: Any, make_bar: Any, corrected: Any) -> None:
    bar = make_bar(NOON)
    stored.insert_bars([bar, corrected(bar, state="withdrawn", known_time=KNOWN + timedelta(seconds=1))])
    assert [one.known for one in changed(stored)] == [micros(KNOWN) + 1_000_000]

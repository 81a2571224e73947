"""What Kraken's REST side is asked."""

import pytest

from sources.endpoints import Missing, Request
from sources.kraken import VENUE

REST = VENUE.rests["v2"]
MISSING = Missing("BTC/USD", "spot.trade", 5, 9, 1688669597_827736, 1688669600_000000)


def test_trades_are_asked_for_from_just_before_the_first_that_is_missing() -> None:
    # Kraken leaves out the trade at `since` itself.
    assert REST.trades(MISSING) == Request("/0/public/Trades?pair=BTC/USD&since=1688669597827735999&count=1000")


def test_bars_are_asked_for_from_the_minute_that_holds_the_time() -> None:
    asked = REST.bars("BTC/USD", 1688669597_827736, 1688669600_000000)
    assert asked == Request("/0/public/OHLC?pair=BTC/USD&interval=1&since=1688669579")


def test_no_book_is_offered_since_no_update_could_follow_on_it() -> None:
    assert REST.book("BTC/USD") is None


def test_reference_data_is_asked_for_by_pair_or_in_whole() -> None:
    assert REST.instruments(("BTC/USD", "ETH/USD")).target == "/0/public/AssetPairs?pair=BTC/USD,ETH/USD"
    assert REST.instruments(()).target == "/0/public/AssetPairs"
    assert REST.instruments(("X&Y/Z",)).target == "/0/public/AssetPairs?pair=X%26Y/Z"


def test_clock_is_read_in_microseconds() -> None:
    assert REST.time().target == "/0/public/Time"
    assert REST.server_time(b'{"error":[],"result":{"unixtime":1688669448,"rfc1123":"x"}}') == 1688669448_000000


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"error":["EService:Busy"]}', b'{"result":{"unixtime":null}}', b"\xff"]
)
def test_what_tells_no_time_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        REST.server_time(payload)

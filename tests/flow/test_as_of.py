"""A gap that is refilled later: history as it was known before the refill is without it, afterwards it is whole."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.read import bars, trades

MISSED = 5


def test_as_of_before_the_refill_the_bar_lacks_what_was_missed_and_afterwards_it_has_it(
    road: Any, wait_until: Any
) -> None:
    records = road.records(300)  # six seconds of trades: one bar
    endpoint = {"endpoint": "binance/spot"}
    drop = {**endpoint, "stream": "btcusdt@trade", "kind": "drop", "after": 100, "count": MISSED}
    road.play(records, faults=[drop, {**endpoint, "kind": "rest_down", "seconds": 30}])
    wait_until(lambda: road.stored() == 300 - MISSED and known(road) == 300 - MISSED, "all but the gap stored")
    moment = datetime.now(UTC)
    wait_until(lambda: road.stored() == 300 and known(road) == 300, "the gap is filled", 150)
    assert (known(road, moment), known(road, datetime.now(UTC))) == (300 - MISSED, 300)
    then, now = (trades(as_of=at, **asked(road)) for at in (moment, None))
    assert (then.height, now.height) == (300 - MISSED, 300)
    missed = now.join(then, on="trade_id", how="anti")
    assert missed.height == MISSED
    assert missed["ingested_time"].min() > moment


def asked(road: Any) -> dict[str, Any]:
    return {
        "instrument": "BTCUSDT",
        "venue": "binance",
        "start": road.day,
        "end": road.day + timedelta(days=1),
        "settings": road.platform.warehouse,
    }


def known(road: Any, moment: datetime | None = None) -> int:
    """Count the trades in the day's bars, as they are known now or were at a moment."""
    return int(bars(as_of=moment, **asked(road))["trade_count"].sum())

"""Whatever goes wrong between the venue and the collector: nothing is missing in the end, and it can be shown."""

from typing import Any

import pytest

ENDPOINT, STREAM = "binance/spot", "btcusdt@trade"
TRADES = 300


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"endpoint": ENDPOINT, "stream": STREAM, "kind": kind, **more}


# What goes wrong, what the gap book then says (kind, state, rows that came back; None: not told in advance).
FAULTS = {
    "drop": ([fault("drop", after=100, count=5)], [("trade_ids", "filled", 5)]),
    "drop twice": (
        [fault("drop", after=50, count=1), fault("drop", after=150, count=40)],
        [("trade_ids", "filled", 1), ("trade_ids", "filled", 40)],
    ),
    "duplicate": ([fault("duplicate", after=100, count=20)], []),
    "reorder": ([fault("reorder", after=100, count=4)], None),
    "corrupt": ([fault("corrupt", after=100, count=3)], None),
    "disconnect": ([fault("disconnect", after=100)], None),
    "disconnect and refuse": ([fault("disconnect", after=100), fault("refuse", count=2)], None),
    "stall": ([fault("stall", seconds=3)], None),
    "rate limit": ([fault("drop", after=100, count=5), fault("rate_limit", count=2)], [("trade_ids", "filled", 5)]),
    "rest down": ([fault("drop", after=100, count=5), fault("rest_down", count=3)], [("trade_ids", "filled", 5)]),
    "skew": ([fault("skew", ms=5000), fault("drop", after=100, count=5)], [("trade_ids", "filled", 5)]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_the_way_leaves_nothing_missing_and_nothing_twice(road: Any, wait_until: Any, name: str) -> None:
    faults, gaps = FAULTS[name]
    records = road.records(TRADES)
    road.play(records[:-10], speed=8, faults=faults)
    wait_until(lambda: road.platform.get("replay", "/status")["state"] == "finished", "the first part is played")
    # A hole at the end shows with the next trade.
    road.play(records[-10:])
    wait_until(lambda: road.stored() == TRADES, f"{TRADES} trades stored")
    # The gaps' own rows come a few seconds later.
    if gaps is not None:
        wait_until(lambda: road.gaps() == gaps, f"the gaps are {gaps}")
    wait_until(lambda: all(state == "filled" for _, state, _ in road.gaps()), "every gap filled")
    road.platform.balances()
    road.rebuilt_equal()

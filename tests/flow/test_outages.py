"""Each part away for half a minute while trades flow: nothing is lost, nothing is there twice."""

import time
from typing import Any

import pytest

from deploy import stack

OUTAGE_S = 30


@pytest.mark.parametrize("service", ["warehouse", "kafka", "registry"])
def test_half_a_minute_without_a_service_loses_nothing(road: Any, wait_until: Any, service: str) -> None:
    records = road.records(2000)
    road.play(records, speed=2)  # 40 s of trades in 20: some before, most during the outage
    wait_until(lambda: road.stored() > 50, "trades flow")
    stack.stop_one(road.platform.stack, service)
    over = time.monotonic() + OUTAGE_S
    wait_until(lambda: time.monotonic() >= over, "the outage is over", OUTAGE_S + 5)
    stack.start_one(road.platform.stack, service)
    wait_until(lambda: road.stored() == 2000, "all trades stored", 150)
    road.platform.balances(wait_s=150)
    road.rebuilt_equal()

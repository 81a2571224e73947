"""The clocks' difference is found where it is known."""

import gzip
import re
from pathlib import Path

import pytest

from sources.watch.skew import Skew


@pytest.mark.parametrize("name", ["usdm", "spot"])
def test_recording_behind_the_venue_is_told_so(recordings: Path, name: str) -> None:
    skew = Skew()
    with gzip.open(recordings / f"nkaz001+hftbacktest/examples__{name}__btcusdt_20240808.gz") as lines:
        for line in lines:
            if match := re.match(rb'([0-9]{19}) .*?"E":([0-9]+)', line):
                skew.heard(int(match[2]) * 1000, int(match[1]) // 1000)
    report = skew.report()
    assert report["messages"] == 1000
    for estimate in ("lag_least_ms", "lag_low_ms", "lag_median_ms"):
        lag = report[estimate]
        assert lag is not None
        assert -1276 < lag < -1180, estimate


def test_one_wrong_time_does_not_move_the_low_estimate() -> None:
    skew = Skew()
    for delay in range(100):
        skew.heard(1_000_000, 1_000_000 + 20_000 + delay)
    skew.heard(9_000_000, 1_000_000)
    report = skew.report()
    assert report["lag_least_ms"] == -8000
    assert report["lag_low_ms"] == pytest.approx(20.004)
    assert report["lag_median_ms"] == pytest.approx(20.049)


def test_old_messages_are_forgotten() -> None:
    skew = Skew(window=10)
    for lag in [-5_000_000] * 50 + [3_000] * 10:
        skew.heard(10_000_000, 10_000_000 + lag)
    assert skew.report()["lag_least_ms"] == 3


def test_true_offset_lies_within_the_uncertainty_of_the_quickest_exchange() -> None:
    ahead = 250_000  # our clock shows this much more than the venue's
    skew = Skew()
    for there, back in ((90_000, 300_000), (8_000, 2_000), (50_000, 50_000)):
        server = 1_000_000_000
        skew.exchanged(server - there + ahead, server, server + back + ahead)
    report = skew.report()
    assert report["uncertainty_ms"] == 5
    assert report["offset_ms"] == 247  # half the difference of the two ways off
    assert report["exchanges"] == 3


def test_nothing_heard_is_nothing_claimed() -> None:
    report = Skew().report()
    assert {report[name] for name in report if name.endswith("_ms")} == {None}

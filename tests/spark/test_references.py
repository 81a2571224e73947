"""The file of references: fresh ones replace old ones, and after a crash both are there for what is read again."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import RetryableError
from spark.references import ReferenceFile


class Source:
    """Answers with one reference at the price it is given, or not at all."""

    def __init__(self) -> None:
        self.price: str | None = "1"

    def __call__(self) -> list[dict[str, Any]]:
        if self.price is None:
            raise RetryableError("the warehouse is away")
        return [{"reference_venue": "v", "price_move_price": self.price}]


def prices(file: ReferenceFile) -> list[str]:
    return [row["price_move_price"] for row in json.loads(file.path.read_bytes())]


def test_a_refresh_replaces_and_a_failed_one_leaves_what_was(tmp_path: Path) -> None:
    source = Source()
    file = ReferenceFile(tmp_path, source)
    file.resume()
    assert (prices(file), file.count) == (["1"], 1)
    source.price = "2"
    file.refresh()
    assert prices(file) == ["2"]
    age, source.price = file.refreshed, None
    with pytest.raises(RetryableError):
        file.refresh()
    assert (prices(file), file.problem, file.refreshed) == (["2"], "the warehouse is away", age)


def test_after_a_crash_an_event_is_held_against_what_the_crashed_process_may_have_used_and_what_holds_now(
    tmp_path: Path,
) -> None:
    source = Source()
    crashed = ReferenceFile(tmp_path, source)
    crashed.resume()
    for source.price in ("2", "3"):
        crashed.refresh()
    source.price = "4"
    file = ReferenceFile(tmp_path, source)
    file.resume()
    assert sorted(prices(file)) == ["2", "3", "4"]
    # Also when it crashes again before anything was judged, and while the warehouse is away.
    source.price = None
    again = ReferenceFile(tmp_path, source)
    again.resume()
    assert sorted(prices(again)) == ["2", "3", "4"]
    source.price = "5"
    again.refresh()
    assert prices(again) == ["5"]


def test_without_any_reference_it_waits_for_the_first(tmp_path: Path) -> None:
    source = Source()
    source.price = None
    with pytest.raises(RetryableError, match="the warehouse is away"):
        ReferenceFile(tmp_path, source).resume()
    source.price = "1"
    file = ReferenceFile(tmp_path, source)
    file.resume()
    assert prices(file) == ["1"]

"""History goes through Kafka, Spark and the warehouse: killed in between and imported twice it is the file's rows."""

import asyncio
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.importing import content
from sources.importing.files import import_part
from sources.importing.planning import Wish
from sources.importing.run import ImportSettings, sender
from tests.sources.importing_parts import kill_import, only, packed

TICKS = 1500
MINUTE_MS = 60_000
OPEN_MS = 34_200_000  # half past nine in New York


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LINES_A_PIECE", 20)


def ticks() -> list[tuple[int, int, int]]:
    """Make milliseconds, ten-thousandths and sizes: ten minutes, with rows that are told twice and yet are two."""
    return [(OPEN_MS + 400 * (n - n % 2), 1_815_200 + 100 * ((n // 2) % 40), 100 + n // 2) for n in range(TICKS)]


def bring(settings: ImportSettings, *paths: Path) -> list[bool]:
    """Import files and say which were passed over."""

    async def each() -> list[bool]:
        return [(await import_part(sending, only(path), lambda *_: lambda *_: None)).skipped for path in paths]

    with sender(settings) as sending:
        return asyncio.run(each())


def test_a_tick_file_killed_and_imported_twice_is_in_the_tables_as_its_rows(
    road: Any, wait_until: Any, tmp_path: Path
) -> None:
    # A line that is none, and one that breaks a rule of the contract.
    lines = [f"{ms},{price},{size},P,0,0" for ms, price, size in ticks()]
    text = "\n".join([*lines[:700], "what is this", f"{OPEN_MS},0,5,P,0,0", *lines[700:]])
    path = packed(tmp_path / f"equity/usa/tick/ibm/{road.day:%Y%m%d}_trade.zip", text)
    platform = road.platform
    settings = ImportSettings(platform.broker, platform.registry, tmp_path / "imports")
    kill_import(platform.broker, platform.registry, settings.folder, path, Wish(), after=50, whole=40)
    assert bring(settings, path, path) == [False, True]
    (settings.folder / f"{only(path).connection_id}.json").unlink()
    # Without its record the file comes again, and adds nothing.
    before = duplicates(road)
    assert bring(settings, path) == [False]
    wait_until(lambda: duplicates(road) >= before + TICKS, "every row counted as known")
    assert road.stored() == TICKS
    platform.balances()
    found = platform.ask(
        "SELECT toUnixTimestamp64Micro(event_time), price, quantity, side, id_space FROM market_trades FINAL "
        f"WHERE toDate(event_time) = '{road.day}' ORDER BY venue_sequence, trade_id"
    )
    start = road.start + 4 * 3_600_000_000 if summer(road) else road.start + 5 * 3_600_000_000
    assert found == [
        (start + ms * 1000, Decimal(price) / 10_000, Decimal(size), "unknown", "lean.trade")
        for ms, price, size in ticks()
    ]
    assert bars(road) == expected_bars(start)
    refused = platform.ask(
        "SELECT reason, count() FROM system_quarantine FINAL WHERE connection_id = "
        f"'{only(path).connection_id}' GROUP BY reason ORDER BY reason"
    )
    # Nothing of what was refused is known by an identity: the third time it is refused again.
    assert refused == [("price_not_positive", 2), ("wrong_type", 2)]
    road.rebuilt_equal()


def summer(road: Any) -> bool:
    local = datetime(road.day.year, road.day.month, road.day.day, 12, tzinfo=ZoneInfo("America/New_York"))
    return bool(local.dst())


def duplicates(road: Any) -> int:
    return int(road.platform.ask("SELECT sum(duplicate_count) FROM delivery_ledger FINAL")[0][0])


def bars(road: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = road.platform.ask(
        "SELECT toUnixTimestamp64Micro(bar_time), open, high, low, close, volume, trade_count FROM market_bars_current "
        f"WHERE toDate(bar_time) = '{road.day}' AND venue = 'usa' ORDER BY bar_time"
    )
    return found


def expected_bars(start: int) -> list[tuple[Any, ...]]:
    minutes: dict[int, list[tuple[Decimal, int]]] = {}
    for ms, price, size in ticks():
        minutes.setdefault(ms - ms % MINUTE_MS, []).append((Decimal(price) / 10_000, size))
    return [
        (
            start + minute * 1000, told[0][0], max(p for p, _ in told), min(p for p, _ in told), told[-1][0],
            sum(size for _, size in told), len(told),
        )
        for minute, told in sorted(minutes.items())
    ]  # fmt: skip

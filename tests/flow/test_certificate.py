"""The certificate: played, or produced in disorder with a kill, a tape leaves the same; one altered row shows."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contracts.quotes import QUOTES
from contracts.trades import TRADES
from deploy.stack.progress import Progress
from orchestration.certify.hashes import read_tables
from orchestration.certify.platform import own_platform, own_settings
from orchestration.certify.run import judge, replay
from orchestration.certify.stretch import Stretch, cut
from orchestration.certify.variants import PLAYED, PRODUCED, Variant
from orchestration.settings import Settings
from quality.certificate import Certificate, Outcome
from stores.warehouse import Warehouse

SECONDS = 66  # the binance tape's first trades in coins and perpetuals, and its first seconds of BTCUSDT
SEED = 3
PLAYED_WHOLE = Variant("played", PLAYED, 1)
SHUFFLED = Variant("shuffled", PRODUCED, 4, shuffled=True, killed=("streams",))


@pytest.fixture(scope="module")
def own(platform: Any) -> Settings:
    return own_settings(platform.settings, "binance")


@pytest.fixture(scope="module")
def stretch(platform: Any) -> Stretch:
    return cut("binance", SECONDS, platform.settings.data_dir / "certificates" / "stretch.tape.zst")


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


def outcome_of(own: Settings, stretch: Stretch, variant: Variant) -> Iterator[Outcome]:
    """Yield what a variant came to while its platform still runs."""
    with own_platform(own, variant.partitions, quiet()):
        replay(own, stretch, variant, SEED, lambda _: None)
        yield judge(own, variant, 0.0, lambda _: None)


def test_played_and_shuffled_with_a_kill_are_the_same_and_an_altered_row_is_not(
    own: Settings, stretch: Stretch
) -> None:
    (played,) = outcome_of(own, stretch, PLAYED_WHOLE)
    for shuffled in outcome_of(own, stretch, SHUFFLED):
        certificate = Certificate(
            stretch.tape, SECONDS, stretch.records, SEED, datetime.now(UTC), 1.0, (played, shuffled)
        )
        assert certificate.equal, certificate.differences
        for name in (TRADES.name, QUOTES.name, "market.books, deltas", "market.bars", "market.bars_1d"):
            assert played.tables[name].rows > 0, name
        warehouse = Warehouse(own.warehouse)
        warehouse.run(
            f"INSERT INTO {TRADES.table} SELECT * REPLACE (price + toDecimal64('0.000000000001', 12) AS price, "
            f"displaced_count + 1 AS displaced_count) FROM {TRADES.table} FINAL LIMIT 1"
        )
        altered = replace(shuffled, tables=read_tables(warehouse, asked=True, on_progress=lambda _: None))
    certificate = replace(certificate, variants=(played, altered))
    assert not certificate.equal
    assert [one.split(" holds ")[0] for one in certificate.differences] == [TRADES.name]
    assert not (Path(own.data_dir) / "kafka").exists()

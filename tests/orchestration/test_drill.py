"""A drill's plan and tape: the same for the same seed, every kind within 20 draws, a venue that seems to go on."""

import tempfile
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.bars import BARS
from contracts.dataset import Dataset
from contracts.trades import TRADES as TRADES_TABLE
from deploy import stack
from orchestration.drill.faults import FAULTS
from orchestration.drill.plan import BOOK, COVERED, TRADES, Card, deck, draw
from orchestration.drill.platform import own_settings
from orchestration.drill.report import DrillReport, Outcome, Refused
from orchestration.drill.tape import QUOTES, Recording, endless, moved, recorded, sections
from orchestration.settings import Settings
from orchestration.values import stack_settings
from sources.tape_file import read_tape
from spark.comparison import Comparison, InstrumentComparison

SEEDS = st.integers(min_value=-(2**63), max_value=2**63)
DAY = date(2024, 8, 9)
PROCESSES = stack.names(stack_settings(Settings(venues=("binance",))))
KINDS = [f"kind {number}" for number in range(COVERED)]
CARDS = st.lists(st.builds(Card, st.sampled_from(KINDS), st.just(("one", "two")), st.just((1, 9))), min_size=1)


@given(SEEDS, st.integers(1, 60))
def test_a_seed_stands_for_one_plan_and_more_times_go_on_where_fewer_end(seed: int, times: int) -> None:
    cards = deck(PROCESSES)
    plan = draw(cards, seed, times)
    assert plan == draw(cards, seed, times)
    assert len(plan) == times
    assert [(f.kind, f.target) for f in plan if f.kind == "kill"] == [
        (f.kind, f.target) for f in draw(cards, seed, times) if f.kind == "kill"
    ]


@given(SEEDS)
def test_every_kind_comes_within_20_draws_and_can_be_brought(seed: int) -> None:
    plan = draw(deck(PROCESSES), seed, COVERED)
    assert {fault.kind for fault in plan} == set(FAULTS)


@given(CARDS, SEEDS)
def test_each_card_comes_once_before_any_comes_again_and_its_size_is_in_its_range(cards: list[Card], seed: int) -> None:
    plan = draw(cards, seed, len(cards))
    assert sorted(fault.kind for fault in plan) == sorted(card.kind for card in cards)
    assert {fault.kind for fault in plan[:COVERED]} == {card.kind for card in cards}
    assert all(fault.target in ("one", "two") and 1 <= fault.size <= 9 for fault in plan)


def test_every_process_is_killed_but_the_venue_and_the_web_server() -> None:
    killed = {target for card in deck(PROCESSES) if card.kind == "kill" for target in card.targets}
    assert set(PROCESSES) - killed == {"replay", "dagster-webserver"}


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded()


def test_ids_and_times_go_on_where_the_recording_ends(recording: Recording) -> None:
    over_the_end = len(recording.records) + 5000
    heard: dict[str, list[dict[str, Any]]] = {TRADES: [], BOOK: [], QUOTES: []}
    for record in islice(endless(recording, DAY), over_the_end):
        message = orjson.loads(record.payload)
        heard.get(message.get("stream"), []).append(message.get("data"))
    trades, updates, quotes = heard.values()
    ids = [trade["t"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(earlier["T"] <= later["T"] for earlier, later in pairwise(trades))
    assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(updates))
    assert all(later["u"] > earlier["u"] for earlier, later in pairwise(quotes))
    assert {datetime.fromtimestamp(trade["T"] / 1000, UTC).date() for trade in trades} == {DAY}


def test_sections_are_the_tape_cut_at_the_same_distances(recording: Recording) -> None:
    with tempfile.TemporaryDirectory() as folder:
        following = sections(endless(recording, DAY), Path(folder), 5.0)
        cut = [list(read_tape(following())) for _ in range(80)]
    whole = list(islice(endless(recording, DAY), sum(map(len, cut))))
    assert [record for section in cut for record in section] == whole
    assert all(section[-1].received_time - section[0].received_time < 5_000_000 for section in cut)


@given(st.integers(1, 1000), st.integers(-(10**12), 10**12))
@settings(max_examples=20)
def test_prices_and_quantities_are_the_recorded_ones(recording: Recording, turn: int, minutes: int) -> None:
    changed = {"t", "U", "u", "E", "T"}
    for record in recording.records[:40]:
        before, after = (
            orjson.loads(record.payload),
            orjson.loads(moved(record, recording, turn, minutes * 1000, 1).payload),
        )
        if record.request:
            assert after == before
            continue
        kept = [{name: value for name, value in m["data"].items() if name not in changed} for m in (before, after)]
        assert kept[0] == kept[1]


def test_the_drill_takes_nothing_of_the_users_but_a_place_beside_it(tmp_path: Path) -> None:
    users = Settings(
        data_dir=tmp_path, port_offset=1000, kafka_bootstrap="kafka.example:9092", warehouse_host="clickhouse.example",
        warehouse_port=8443, lake_root="s3://lake", redis_url="redis://redis.example", live=True, alert_urls=("json://me",),
        dagster_postgres_url="postgresql://me@db.example/dagster",
    )  # fmt: skip
    own = own_settings(users)
    local = f"127.0.0.1:{own.port('kafka')}"
    assert own.broker.bootstrap == local
    assert (own.warehouse.host, own.warehouse.port) == ("127.0.0.1", own.port("warehouse"))
    assert own.lake.root.startswith(str(tmp_path / "drill"))
    assert own.cache.url.startswith("redis://127.0.0.1:")
    assert (own.live, own.alert_urls, own.dagster_postgres_url) == (False, (), "")
    assert not set(own.ports.values()) & set(users.ports.values())


def compared(table: Dataset, streamed: int, rebuilt: int) -> Comparison:
    return Comparison.of(table, [InstrumentComparison(table.name, "binance", "BTC-USDT", 3, 3, streamed, rebuilt)])


EQUAL = compared(TRADES_TABLE, 7, 7)


@pytest.mark.parametrize(
    ("report", "balanced"),
    [
        (DrillReport(1, [Outcome("gap", TRADES, 1.0, 0, 0)], compared=[EQUAL]), True),
        (DrillReport(1, [Outcome("gap", TRADES, 1.0, 1, 0)], compared=[EQUAL]), False),
        (DrillReport(1, [Outcome("gap", TRADES, 1.0, 0, 1)], compared=[EQUAL]), False),
        (DrillReport(1, [Outcome("gap", TRADES, 1.0, 0, 0)]), False),
        (DrillReport(1, [Outcome("gap", TRADES, 1.0, 0, 0)], compared=[EQUAL], failure="it hangs"), False),
        (DrillReport(1, not_injected=[Refused("disk", "warehouse", "no room")], compared=[EQUAL]), False),
        (
            DrillReport(
                1,
                [Outcome("gap", TRADES, 1.0, 0, 0)],
                compared=[EQUAL, compared(BARS, 7, 8)],
            ),
            False,
        ),
    ],
)
def test_a_drill_balances_only_if_nothing_at_all_is_wrong(report: DrillReport, balanced: bool) -> None:
    told = report.as_dict()
    assert told["balanced"] is balanced
    assert set(told) >= {"faults", "missing", "twice", "bars_equal", "open_gaps"}
    assert len(told["faults"]) == len(report.faults)

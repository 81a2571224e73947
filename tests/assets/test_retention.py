"""Retiring days on the real warehouse and lake: nothing goes unproven or unsealed, whatever is interrupted."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from assets.retention import SETTLE, Places, Retirement, export, plan, retire
from assets.rollup_day import replace_day
from assets.thresholds import RetentionWishes
from contracts.bars import BARS
from contracts.dataset import Dataset, ListOf, Type
from contracts.parity import PARITY
from contracts.quotes import QUOTES
from contracts.retention import RETENTIONS
from contracts.rollups import ROLLUPS
from contracts.scores import SCORES
from contracts.seals import SEALS
from contracts.tape import TAPE
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from quality.audit import ledger_to_table
from quality.on_tape import compare_lake
from quality.scoring import score_day
from spark.bars import refresh
from spark.comparison import compare_day
from spark.parity import record_parity
from stores.arrow import arrow_schema
from stores.columns import content_hash
from stores.lake import tape_path
from stores.ledger import Delivery, close_ranges
from stores.seals import TapeRetiredError, read_seals, require_tape
from stores.settings import LakeSettings, WarehouseSettings
from stores.tape_days import SPARK_SEED, tape_days
from stores.warehouse import Warehouse

QUERIES = Path(__file__).resolve().parents[2] / "sql" / "queries"
DAY = date(2026, 5, 1)
MIDNIGHT = datetime(2026, 5, 1, tzinfo=UTC)
STORED = MIDNIGHT + timedelta(hours=25)
NOW = MIDNIGHT + timedelta(days=100)
LATER = NOW + SETTLE
NO_WISHES = RetentionWishes()


def blank(dataset: Dataset) -> dict[str, Any]:
    """Return a row of zeros, its times the day's first second."""
    values: dict[str, Any] = {}
    for column in dataset.columns:
        kind = column.type
        zero = [Decimal(1)] if isinstance(kind, ListOf) else Decimal(1) if not isinstance(kind, Type) else 0
        values[column.name] = {Type.STRING: "v", Type.BYTES: b"", Type.TIMESTAMP: MIDNIGHT}.get(kind, zero)  # type: ignore[arg-type]
    return values


@dataclass
class House:
    """A warehouse and a lake, and what a day in them needs before it may go."""

    settings: WarehouseSettings
    warehouse: Warehouse
    lake: LakeSettings

    @property
    def places(self) -> Places:
        return Places(self.warehouse, self.lake)

    def insert(self, dataset: Dataset, *rows: dict[str, Any]) -> None:
        table = pa.Table.from_pylist([blank(dataset) | row for row in rows], schema=arrow_schema(dataset.columns))
        self.warehouse.insert(dataset.table, table, token=secrets.token_hex(8))

    def trade(self, number: int, **more: Any) -> None:
        """Store a trade of the day, one a minute."""
        when = MIDNIGHT + timedelta(minutes=number)
        own = {"trade_id": str(number), "venue_sequence": number, "event_time": when, "received_time": when}
        rest = {"ingested_time": STORED, "trade_count": 1, "side": "buy", "connection_id": "c", "kafka_offset": number}
        self.insert(TRADES, own | rest | {"topic_id": "T"} | more)

    def roll_up(self) -> None:
        minute = 60_000_000
        found = self.warehouse.rows(
            "SELECT DISTINCT venue, instrument, id_space, "
            f"intDiv(toUnixTimestamp64Micro(event_time), {minute}) * {minute} FROM market_trades FINAL"
        )
        minutes = [((str(v), str(i), str(s), int(t)), "final") for v, i, s, t in found]
        known = int(STORED.timestamp()) * 1_000_000
        refresh(self.warehouse, (QUERIES / "bars.sql").read_text(), minutes, known_time=known)
        for rollup in ROLLUPS:
            replace_day(self.warehouse, (QUERIES / "rollup.sql").read_text(), rollup, DAY)

    def prove(self) -> None:
        tables = [(TRADES, "market_trades FINAL", "event_time"), (BARS, "market_bars_current", "bar_time")]
        found = [compare_day(self.warehouse, d, table, table, clock, DAY) for d, table, clock in tables]
        record_parity(self.warehouse, DAY, found, "run")

    def ready(self, trades: int = 3) -> None:
        for number in range(trades):
            self.trade(number)
        self.roll_up()
        self.prove()

    def plan(self, wishes: RetentionWishes = NO_WISHES, now: datetime = NOW) -> dict[str, Retirement]:
        return {one.dataset: one for one in plan(self.places, wishes, now)}

    def retire(self, now: datetime, wishes: RetentionWishes = NO_WISHES) -> dict[str, Retirement]:
        return {one.dataset: one for one in retire(self.places, wishes, now)}

    def count(self, table: str) -> int:
        return int(self.warehouse.value(f"SELECT count() FROM {table}"))

    def sums(self, table: str, dataset: Dataset) -> tuple[int, int]:
        count, digest = self.warehouse.rows(f"SELECT count(), sum({content_hash(dataset)}) FROM {table}")[0]
        return int(count), int(digest)


@pytest.fixture(scope="module")
def database(new_database: Any) -> WarehouseSettings:
    settings: WarehouseSettings = new_database("retention")
    return settings


@pytest.fixture
def house(database: WarehouseSettings, tmp_path: Path) -> Iterator[House]:
    warehouse = Warehouse(database)
    for dataset in (*(rule.dataset for rule in RETENTIONS), SEALS, PARITY, SCORES):
        warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    warehouse.run("TRUNCATE TABLE delivery_ledger")
    yield House(database, warehouse, LakeSettings(str(tmp_path / "lake")))
    warehouse.close()


def test_a_day_is_kept_until_it_is_rolled_up_proven_and_backed_up(house: House, tmp_path: Path) -> None:
    house.trade(0)
    house.trade(1)
    assert house.plan(now=MIDNIGHT + timedelta(days=90)) == {}  # not over its time
    assert "market.bars holds 0 of 2 trades of v v on 2026-05-01" in house.plan()["market.trades"].reason
    house.roll_up()
    assert "the parity of v v on 2026-05-01 has not passed" in house.plan()["market.trades"].reason
    house.prove()
    assert house.plan()["market.trades"].state == "due"
    house.trade(1, price=Decimal(7), displaced_count=1)
    assert "changed on 2026-05-01 since it was proven" in house.plan()["market.trades"].reason
    house.roll_up()
    house.prove()
    wishes = RetentionWishes(backup=tmp_path)
    assert "is missing" in house.plan(wishes)["market.trades"].reason
    file = tmp_path / "market.trades" / f"{DAY}.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({"n": [1]}), file)
    assert "hold 1 of 2 rows" in house.plan(wishes)["market.trades"].reason
    export(house.places, wishes, NOW)
    assert house.plan(wishes)["market.trades"].state == "due"
    told = pq.read_table(file)
    assert (told.num_rows, sorted(told["price"].to_pylist())) == (2, [1, 7])
    assert told.schema.equals(arrow_schema(TRADES.columns))
    assert house.count(SEALS.table) == 0  # a plan changes nothing


def test_a_day_is_sealed_then_dropped_and_what_follows_from_it_stays(house: House) -> None:
    house.ready()
    house.warehouse.run("TRUNCATE TABLE delivery_ledger")
    held = house.sums("market_trades FINAL", TRADES)
    close_ranges(
        house.warehouse, [Delivery("warehouse.market_trades", "market.trades", "T", 0, 0, 2, 3, 3, 0, 0, held[1])]
    )
    balance = ledger_to_table(house.warehouse, TRADES, "market.trades")
    bars, daily = house.sums("market_bars_current", BARS), house.count("market_bars_1d")
    assert house.retire(NOW)["market.trades"].state == "sealed"
    assert house.count("market_trades") == 3
    assert house.retire(LATER - timedelta(seconds=1))["market.trades"].state == "sealed"
    told = house.retire(LATER)["market.trades"]
    assert (told.state, told.rows, told.rule) == ("dropped", 3, "market.trades: 90 days")
    assert house.count("market_trades") == 0
    (seal,) = [one for one in read_seals(house.warehouse) if one.dataset == TRADES.name]
    assert (seal.state, seal.row_count, seal.content_hash, seal.day) == ("dropped", *held, DAY)
    assert house.retire(LATER + timedelta(days=1)) == {}
    # Nothing that is made of it is made again from nothing, and nobody misses it.
    for rollup in ROLLUPS:
        if rollup.source is BARS:
            house.warehouse.run("ALTER TABLE market_bars DELETE WHERE 1 SETTINGS mutations_sync = 2")
            house.insert(SEALS, {"dataset": BARS.name, "day_time": MIDNIGHT, "revision": 1, "state": "dropped"})
        replace_day(house.warehouse, (QUERIES / "rollup.sql").read_text(), rollup, DAY)
    assert (house.count("market_bars_1d"), bars[0]) == (daily, 3)
    assert ledger_to_table(house.warehouse, TRADES, "market.trades") == balance
    record_parity(house.warehouse, DAY, [], "again")
    assert (
        house.warehouse.value("SELECT min(streamed_count) FROM system_parity_current WHERE dataset='market.trades'")
        == 3
    )


def test_the_scores_of_a_retired_day_stay_as_they_are(house: House) -> None:
    house.ready()
    ones = dict.fromkeys(
        ("score", "completeness", "validity", "uniqueness", "timeliness", "consistency"), Decimal("0.9")
    )
    house.insert(SCORES, {"day_time": MIDNIGHT, "revision": 1} | ones)
    house.retire(NOW)
    house.retire(LATER)
    scored = score_day(house.warehouse, lambda name: (QUERIES / f"{name}.sql").read_text(), DAY, counted={})
    assert ([one.score.score for one in scored.scores], scored.written_scores) == ([Decimal("0.9")], 0)


class Killed(BaseException):
    """What a killed process leaves undone."""


class Mortal(Warehouse):
    """A connection whose process is killed before or after its n-th write."""

    writes, fatal, after = 0, -1, False

    def _die(self) -> None:
        self.writes += 1
        if self.writes == self.fatal:
            raise Killed

    def run(self, sql: str, parameters: Any = None, **settings: Any) -> None:
        if not self.after:
            self._die()
        super().run(sql, parameters, **settings)
        if self.after:
            self._die()

    def insert(self, table: str, rows: pa.Table, *, token: str) -> None:
        if not self.after:
            self._die()
        super().insert(table, rows, token=token)
        if self.after:
            self._die()


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_anywhere_is_gone_on_with(house: House, after: bool) -> None:
    for fatal in range(1, 4):
        house.warehouse.run(f"TRUNCATE TABLE {SEALS.table}")
        # Quotes have no rollups, which take most of the time.
        for number in range(3):
            when = MIDNIGHT + timedelta(minutes=number)
            house.insert(QUOTES, {"update_id": str(number), "event_time": when, "ingested_time": STORED})
        found = compare_day(house.warehouse, QUOTES, "market_quotes FINAL", "market_quotes FINAL", "event_time", DAY)
        record_parity(house.warehouse, DAY, [found], "run")
        wanted = house.sums("market_quotes FINAL", QUOTES)
        mortal = Mortal(house.settings)
        mortal.fatal, mortal.after = fatal, after
        killed = False
        for step in range(4):
            try:
                retire(Places(mortal, house.lake), NO_WISHES, NOW + step * SETTLE)
            except Killed:
                killed = True
            seals = [one for one in read_seals(house.warehouse) if one.dataset == QUOTES.name]
            if house.count("market_quotes") < 3:  # never gone without a seal
                assert [(one.row_count, one.content_hash) for one in seals] == [wanted]
            if seals and seals[0].state == "dropped":
                break
        assert killed
        assert [(one.state, one.row_count, one.content_hash) for one in seals] == [("dropped", *wanted)]
        assert house.count("market_quotes") == 0


def test_rows_that_come_between_seal_and_drop_are_sealed_before_they_go(house: House) -> None:
    house.ready()
    house.retire(NOW)
    house.trade(9)
    held = house.sums("market_trades FINAL", TRADES)
    assert house.retire(LATER)["market.trades"].state == "sealed"
    assert house.count("market_trades") == 4
    assert house.retire(LATER + SETTLE)["market.trades"].state == "dropped"
    (seal,) = [one for one in read_seals(house.warehouse) if one.dataset == TRADES.name]
    assert (seal.row_count, seal.content_hash) == held


def test_what_was_imported_or_of_a_kept_venue_stays_and_the_rest_of_its_partition_goes(house: House) -> None:
    house.trade(5, connection_id="import-7", venue="old")
    house.trade(6, venue="mine")
    house.ready()
    wishes = RetentionWishes(keep_venues=("mine",))
    assert house.plan(wishes)["market.trades"].rows == 3
    house.retire(NOW, wishes)
    house.retire(LATER, wishes)
    assert {row[0] for row in house.warehouse.rows("SELECT venue FROM market_trades")} == {"old", "mine"}


def test_old_events_that_were_stored_lately_are_kept(house: House) -> None:
    for number in range(2):
        house.trade(number, ingested_time=NOW - timedelta(days=3))
    house.roll_up()
    house.prove()
    assert "market.trades" not in house.plan()


def test_a_month_goes_once_all_of_it_is_over_its_time(house: House) -> None:
    for day in (MIDNIGHT, MIDNIGHT + timedelta(days=20)):
        house.insert(VENUE_BARS, {"event_time": day, "ingested_time": day})
    assert "market.venue_bars" not in house.plan(now=MIDNIGHT + timedelta(days=2 * 365 + 25))
    told = house.plan(now=MIDNIGHT + timedelta(days=2 * 365 + 40))["market.venue_bars"]
    assert (told.partition, len(told.days), told.rows, told.state) == ("202605", 2, 2, "kept")


def test_the_tape_goes_by_the_users_wish_alone_and_the_audit_counts_its_seal(house: House) -> None:
    rows = [
        blank(TAPE) | {"payload": f"p{n}".encode(), "message_number": n, "kafka_offset": n, "ingested_time": STORED}
        for n in range(4)
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(TAPE.columns))
    table = table.append_column("received_date", pa.array([DAY] * 4))
    write_deltalake(tape_path(house.lake), table, mode="append", partition_by=["venue", "received_date"])
    import xxhash

    digest = sum(xxhash.xxh64_intdigest(row["payload"], SPARK_SEED) for row in rows) % 2**64
    ledger = [("tape.v", "v", 0, 4, digest)]
    before = list(compare_lake(house.lake, ledger))
    house.ready()
    assert "tape" not in house.plan()
    wishes = RetentionWishes(tape_days=30)
    house.retire(NOW, wishes)
    assert [one.rows for one in tape_days(house.lake)] == [4]
    house.retire(LATER, wishes)
    assert tape_days(house.lake) == []
    (seal,) = [one for one in read_seals(house.warehouse) if one.dataset == TAPE.name]
    retired = [(seal.topic_id, seal.kafka_partition, seal.row_count, seal.content_hash)]
    assert list(compare_lake(house.lake, ledger, retired)) == before
    assert seal.state == "dropped"
    with pytest.raises(TapeRetiredError, match="2026-05-02 can't be rebuilt: the tape was retired up to 2026-05-01"):
        require_tape(house.warehouse, DAY + timedelta(days=1))
    require_tape(house.warehouse, DAY + timedelta(days=2))

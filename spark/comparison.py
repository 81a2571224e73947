"""A day as it was streamed beside the same day rebuilt, compared in the warehouse."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from contracts.bars import BARS
from contracts.dataset import Dataset
from contracts.trades import TRADES
from stores.columns import content_hash
from stores.warehouse import Warehouse


@dataclass(frozen=True)
class Comparison:
    """A table's day as it was streamed and as it was rebuilt: counts, content hashes, and where they first differ."""

    table: str
    streamed_count: int
    rebuilt_count: int
    streamed_hash: int
    rebuilt_hash: int
    first_difference: str

    @property
    def equal(self) -> bool:
        """Tell whether both are the same, bit for bit."""
        return (self.streamed_count, self.streamed_hash) == (self.rebuilt_count, self.rebuilt_hash)


@dataclass(frozen=True)
class Scratch:
    """The tables that a rebuild writes and removes again."""

    trades: str
    bars: str

    @classmethod
    def of(cls, day: date, run: str) -> "Scratch":
        """Name the tables of one run, so that two runs of a day do not meet."""
        return cls(f"rebuild_{day:%Y%m%d}_{run}_trades", f"rebuild_{day:%Y%m%d}_{run}_bars")

    def create(self, warehouse: Warehouse) -> None:
        """Make them, empty, as their models are."""
        for name, model in ((self.trades, TRADES.table), (self.bars, BARS.table)):
            warehouse.run(f"DROP TABLE IF EXISTS {name}")
            warehouse.run(f"CREATE TABLE {name} AS {model}")

    def drop(self, warehouse: Warehouse) -> None:
        """Remove them."""
        for name in (self.trades, self.bars):
            warehouse.run(f"DROP TABLE IF EXISTS {name}")


def compare_day(
    warehouse: Warehouse, dataset: Dataset, streamed: str, rebuilt: str, clock: str, day: date
) -> Comparison:
    """Compare the rows of `day`, by the time in column `clock`, of two tables of one contract."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    span = f"{clock} >= '{start:%Y-%m-%d}' AND {clock} < '{start + timedelta(days=1):%Y-%m-%d}'"
    digest = content_hash(dataset)

    def summary(source: str) -> tuple[int, int]:
        count, total = warehouse.rows(f"SELECT count(), sum({digest}) FROM {source} WHERE {span}")[0]
        return int(count), int(total)

    (streamed_count, streamed_hash), (rebuilt_count, rebuilt_hash) = summary(streamed), summary(rebuilt)
    difference = ""
    if (streamed_count, streamed_hash) != (rebuilt_count, rebuilt_hash):
        names = ", ".join(column.name for column in dataset.content_columns)
        sides = " UNION ALL ".join(
            f"SELECT '{history}' AS history, {names}, {digest} AS digest FROM {source} WHERE {span}"
            for history, source in (("streamed", streamed), ("rebuilt", rebuilt))
        )
        rows = warehouse.rows(
            f"SELECT any(history), {', '.join(f'any({c.name})' for c in dataset.content_columns)} FROM ({sides}) "
            f"GROUP BY digest HAVING uniqExact(history) = 1 ORDER BY any({clock}), digest LIMIT 1"
        )
        difference = f"only {rows[0][0]}: {', '.join(map(str, rows[0][1:]))}" if rows else "a row is there twice"
    return Comparison(dataset.name, streamed_count, rebuilt_count, streamed_hash, rebuilt_hash, difference)

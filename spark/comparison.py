"""A day as it was streamed beside the same day rebuilt, compared in the warehouse."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
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
    """The tables that a rebuild writes and removes again: for each dataset one, and one of rows as they were parsed."""

    prefix: str

    @classmethod
    def of(cls, day: date, run: str) -> "Scratch":
        """Name the tables of one run, so that two runs of a day do not meet."""
        return cls(f"rebuild_{day:%Y%m%d}_{run}")

    def table(self, dataset: Dataset) -> str:
        """Name the table that is compared with the dataset's own."""
        return f"{self.prefix}_{dataset.table}"

    def parsed(self, dataset: Dataset) -> str:
        """Name the table of rows as they were parsed, of one grain as many as the tape holds."""
        return f"{self.prefix}_{dataset.table}_parsed"

    def create(self, warehouse: Warehouse) -> None:
        """Make them, empty, as their models are; what was parsed keeps repeated grains."""
        self.drop(warehouse)
        for dataset in (*MARKET, BARS):
            warehouse.run(f"CREATE TABLE {self.table(dataset)} AS {dataset.table}")
        for dataset in MARKET:
            grain = ", ".join(dataset.grain)
            warehouse.run(
                f"CREATE TABLE {self.parsed(dataset)} AS {dataset.table} ENGINE = MergeTree ORDER BY ({grain})"
            )

    def drop(self, warehouse: Warehouse) -> None:
        """Remove them."""
        for dataset in (*MARKET, BARS):
            for name in (self.table(dataset), self.parsed(dataset)):
                warehouse.run(f"DROP TABLE IF EXISTS {name}")


def day_span(clock: str, day: date) -> str:
    """Return the condition that the time in column `clock` lies on `day`."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return f"{clock} >= '{start:%Y-%m-%d}' AND {clock} < '{start + timedelta(days=1):%Y-%m-%d}'"


def compare_day(
    warehouse: Warehouse, dataset: Dataset, streamed: str, rebuilt: str, clock: str, day: date
) -> Comparison:
    """Compare the rows of `day`, by the time in column `clock`, of two tables of one contract."""
    span = day_span(clock, day)
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
        difference = f"only {rows[0][0]}: {', '.join(map(_shown, rows[0][1:]))}" if rows else "a row is there twice"
    return Comparison(dataset.name, streamed_count, rebuilt_count, streamed_hash, rebuilt_hash, difference)


def _shown(value: object) -> str:
    """Show a value; of a list its beginning, for a book has thousands."""
    if isinstance(value, list):
        more = f", and {len(value) - 3} more" if len(value) > 3 else ""
        return f"[{', '.join(map(str, value[:3]))}{more}]"
    return str(value)

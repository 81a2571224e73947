"""A day as it was streamed beside the same day rebuilt, compared in the warehouse by instrument."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from spark.differences import Difference, Sides, first_differences
from stores.columns import content_hash
from stores.warehouse import Warehouse

HASHES = 2**64


@dataclass(frozen=True)
class InstrumentComparison:
    """An instrument's rows of a dataset: counts, sums of content hashes, and where both histories first differ."""

    dataset: str
    venue: str
    instrument: str
    streamed_count: int
    rebuilt_count: int
    streamed_hash: int
    rebuilt_hash: int
    difference: Difference | None = None

    @property
    def equal(self) -> bool:
        """Tell whether both are the same, bit for bit."""
        return (self.streamed_count, self.streamed_hash) == (self.rebuilt_count, self.rebuilt_hash)


@dataclass(frozen=True)
class Comparison:
    """A table's day as it was streamed and as it was rebuilt, by instrument; equal when each of these is."""

    table: str
    instruments: tuple[InstrumentComparison, ...]

    @classmethod
    def of(cls, dataset: Dataset, instruments: Sequence[InstrumentComparison]) -> "Comparison":
        """Take together what a dataset's instruments came to."""
        return cls(dataset.name, tuple(instruments))

    @property
    def streamed_count(self) -> int:
        """Count the rows that were streamed."""
        return sum(one.streamed_count for one in self.instruments)

    @property
    def rebuilt_count(self) -> int:
        """Count the rows that were rebuilt."""
        return sum(one.rebuilt_count for one in self.instruments)

    @property
    def streamed_hash(self) -> int:
        """Add the content hashes of the streamed rows, modulo 2^64."""
        return sum(one.streamed_hash for one in self.instruments) % HASHES

    @property
    def rebuilt_hash(self) -> int:
        """Add the content hashes of the rebuilt rows, modulo 2^64."""
        return sum(one.rebuilt_hash for one in self.instruments) % HASHES

    @property
    def equal(self) -> bool:
        """Tell whether both are the same, bit for bit, for each of the instruments."""
        return all(one.equal for one in self.instruments)

    @property
    def different(self) -> tuple[InstrumentComparison, ...]:
        """The instruments that are not the same, in the order of their first differences."""
        return tuple(sorted((one for one in self.instruments if not one.equal), key=_when))

    @property
    def first_difference(self) -> str:
        """Say what differs first and of which instrument; empty when all is equal."""
        first = first_of(self.instruments)
        return f"{first.venue} {first.instrument}: {first.difference.text}" if first and first.difference else ""


def _when(one: InstrumentComparison) -> tuple[bool, int, tuple[int, str, int, int], str, str]:
    found = one.difference or Difference("", 0)
    return (one.difference is None, found.event_time, found.place, one.venue, one.instrument)


def first_of(instruments: Sequence[InstrumentComparison]) -> InstrumentComparison | None:
    """Return the instrument that differs first: by the time of the event, then by its place on the tape."""
    return min((one for one in instruments if not one.equal), key=_when, default=None)


def first_difference(found: Sequence[Comparison]) -> InstrumentComparison | None:
    """Return what differs first in the first table that differs: trades come before what is made from them."""
    return next((first for one in found if (first := first_of(one.instruments)) is not None), None)


def share_equal(found: Sequence[Comparison]) -> Decimal:
    """Return which part of all instruments, of each table, is equal: four digits, never rounded up; 1 of nothing."""
    counted = [one for table in found for one in table.instruments]
    if not counted:
        return Decimal(1)
    share = Decimal(sum(one.equal for one in counted)) / len(counted)
    return share.quantize(Decimal("0.0001"), ROUND_DOWN)


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
    warehouse: Warehouse, dataset: Dataset, streamed: str, rebuilt: str, clock: str, day: date, trades: str = ""
) -> Comparison:
    """Compare the rows of `day`, by the time in column `clock`, of two tables of one contract, by instrument.

    `trades` are the rebuilt ones that bars are made from; they tell where on the tape a bar that differs begins.
    """
    sides = Sides(dataset, streamed, rebuilt, clock, day_span(clock, day), trades)
    found = compare_instruments(warehouse, sides)
    if all(one.equal for one in found):
        return Comparison.of(dataset, found)
    differences = first_differences(warehouse, sides)
    return Comparison.of(dataset, [_with(one, differences) for one in found])


def _with(one: InstrumentComparison, differences: dict[tuple[str, str], Difference]) -> InstrumentComparison:
    values = {**vars(one), "difference": differences.get((one.venue, one.instrument))}
    return one if one.equal else InstrumentComparison(**values)


def compare_instruments(warehouse: Warehouse, sides: Sides) -> list[InstrumentComparison]:
    """Count and add up the content hashes of every instrument's rows on both sides."""
    digest = content_hash(sides.dataset)

    def summed(source: str, name: str) -> str:
        return (
            f"SELECT venue, instrument, toInt64(count()) AS {name}_count, sum({digest}) AS {name}_hash "
            f"FROM {source} WHERE {sides.span} GROUP BY venue, instrument"
        )

    rows = warehouse.rows(
        "SELECT venue, instrument, streamed_count, rebuilt_count, streamed_hash, rebuilt_hash "
        f"FROM ({summed(sides.streamed, 'streamed')}) AS s FULL JOIN ({summed(sides.rebuilt, 'rebuilt')}) AS r "
        "USING (venue, instrument) ORDER BY venue, instrument SETTINGS join_use_nulls = 0"
    )
    name = sides.dataset.name
    return [InstrumentComparison(name, str(v), str(i), int(s), int(r), int(sh), int(rh)) for v, i, s, r, sh, rh in rows]

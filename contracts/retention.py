"""For how long each dataset is kept, and what has to be there before a day of it may go."""

from dataclasses import dataclass, replace
from enum import Enum

from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.books import BOOKS
from contracts.dataset import Dataset
from contracts.provenance import CONNECTION_ID
from contracts.quotes import QUOTES
from contracts.rollups import BARS_1D, BARS_1H, BARS_5M
from contracts.scores import BAR_SCORES
from contracts.tape import TAPE
from contracts.trades import DISPLACED_TRADES, TRADES
from contracts.venue_bars import VENUE_BARS

YEAR = 365
# Kafka keeps the tape for a week: what the lake has dropped must not come again from there.
SHORTEST_TAPE_DAYS = 8


class Cut(Enum):
    """How the table is cut into partitions, which are what is dropped at once."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class Retention:
    """A dataset's rule: `days` after its last row was stored a day is over its time.

    `clock` tells a row's day. `rollups` must hold the day's trades first; `proof` is the dataset whose parity speaks
    for these rows.
    """

    dataset: Dataset
    days: int
    clock: str
    cut: Cut
    proof: Dataset
    rollups: tuple[Dataset, ...] = ()

    @property
    def rule(self) -> str:
        """The rule in words, as it is put on record."""
        return f"{self.dataset.name}: {self.days} days"

    @property
    def stored_clock(self) -> str:
        """The column that says when a row was stored: a replay of old events is as young as a live feed."""
        return "ingested_time" if "ingested_time" in self.dataset.column_index else "known_time"

    @property
    def delivered(self) -> bool:
        """Whether rows name the topic and partition that delivered them."""
        return "kafka_partition" in self.dataset.column_index

    @property
    def knows_imports(self) -> bool:
        """Whether rows name the connection on which they came."""
        return CONNECTION_ID.name in self.dataset.column_index


RETENTIONS: tuple[Retention, ...] = (
    Retention(TRADES, 90, "event_time", Cut.DAY, TRADES, (BARS, BARS_5M, BARS_1H, BARS_1D)),
    Retention(DISPLACED_TRADES, 90, "event_time", Cut.MONTH, TRADES),
    Retention(QUOTES, 90, "event_time", Cut.DAY, QUOTES),
    Retention(BOOKS, 30, "event_time", Cut.DAY, BOOKS),
    Retention(BOOK_SNAPSHOTS, 30, "snapshot_time", Cut.MONTH, BOOKS),
    Retention(VENUE_BARS, 2 * YEAR, "event_time", Cut.MONTH, VENUE_BARS),
    Retention(BARS, 2 * YEAR, "bar_time", Cut.MONTH, BARS, (BARS_5M, BARS_1H, BARS_1D)),
    Retention(BAR_SCORES, 2 * YEAR, "bar_time", Cut.MONTH, BARS),
    Retention(BARS_5M, 2 * YEAR, "bar_time", Cut.DAY, BARS, (BARS_1H, BARS_1D)),
    Retention(BARS_1H, 10 * YEAR, "bar_time", Cut.DAY, BARS),
    Retention(BARS_1D, 10 * YEAR, "bar_time", Cut.DAY, BARS),
)

# Its days are those of receipt; the rows that are made from it are what must have been proven.
_TAPE = Retention(TAPE, 0, "received_time", Cut.DAY, TAPE)


def tape_retention(days: int) -> Retention:
    """Return the tape's rule, which the user chooses."""
    return replace(_TAPE, days=days)


def retention_of(dataset: Dataset) -> Retention | None:
    """Return the rule of a dataset's table; None where it is kept."""
    return next((one for one in RETENTIONS if one.dataset.name == dataset.name), None)

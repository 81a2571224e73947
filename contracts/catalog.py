"""All datasets by name."""

from contracts.alerts import MARKET_ALERTS
from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.books import BOOKS
from contracts.check_results import CHECK_RESULTS
from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.features import FEATURES
from contracts.freshness import FRESHNESS
from contracts.gaps import GAPS, MARKS
from contracts.incidents import ALERTS, INCIDENTS
from contracts.indicators import INDICATORS
from contracts.instruments import INSTRUMENTS
from contracts.ledger import LEDGER
from contracts.mutes import MUTES
from contracts.parity import PARITY
from contracts.quarantine import QUARANTINE
from contracts.quotes import QUOTES
from contracts.rollups import ROLLUPS
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from contracts.seals import SEALS
from contracts.silences import SILENCES
from contracts.tape import TAPE
from contracts.trades import DISPLACED_TRADES, TRADES
from contracts.venue_bars import VENUE_BARS

# What parsers find on the tape. Whatever holds for one of them holds for all: table, ledger, audit, rebuild.
MARKET: tuple[Dataset, ...] = (TRADES, QUOTES, BOOKS, VENUE_BARS, INSTRUMENTS, CORPORATE_ACTIONS)

# Everything that a topic carries into a table of its own.
DELIVERED: tuple[Dataset, ...] = (*MARKET, MARKET_ALERTS, GAPS, QUARANTINE)

DATASETS: tuple[Dataset, ...] = (
    TAPE,
    *DELIVERED,
    MARKS,
    BARS,
    BOOK_SNAPSHOTS,
    DISPLACED_TRADES,
    LEDGER,
    SCORES,
    DEDUCTIONS,
    BAR_SCORES,
    CHECK_RESULTS,
    PARITY,
    FRESHNESS,
    INCIDENTS,
    ALERTS,
    SEALS,
    SILENCES,
    MUTES,
    *(rollup.dataset for rollup in ROLLUPS),
    INDICATORS,
    FEATURES,
)


def dataset(name: str) -> Dataset:
    """Return the dataset of that name; TerminalError lists the valid names."""
    for candidate in DATASETS:
        if candidate.name == name:
            return candidate
    valid = ", ".join(d.name for d in DATASETS)
    raise TerminalError(f"no dataset is called {name!r}; valid: {valid}")

"""All datasets by name. Seats still free: market.quotes, market.books, reference.instruments."""

from contracts.bars import BARS
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.rollups import ROLLUPS
from contracts.tape import TAPE
from contracts.trades import TRADES

DATASETS: tuple[Dataset, ...] = (TAPE, TRADES, QUARANTINE, BARS, LEDGER, *(rollup.dataset for rollup in ROLLUPS))


def dataset(name: str) -> Dataset:
    """Return the dataset of that name; TerminalError lists the valid names."""
    for candidate in DATASETS:
        if candidate.name == name:
            return candidate
    valid = ", ".join(d.name for d in DATASETS)
    raise TerminalError(f"no dataset is called {name!r}; valid: {valid}")

"""All suites: what the contracts say of each market dataset and of bars, and what is written by hand."""

from functools import cache

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from quality.suites.claims import Suite
from quality.suites.derive import derive, rows_of
from quality.suites.hand_written import BAR_KEY, SUITES, more_claims

CHECKED: tuple[Dataset, ...] = (*MARKET, BARS)


@cache
def suites_of(dataset: Dataset) -> tuple[Suite, ...]:
    """Return a dataset's suites, those about single rows first."""
    return (_rows(dataset), *(suite for suite in SUITES if suite.dataset is dataset))


def checked(name: str) -> Dataset:
    """Return the dataset of that name; TerminalError lists those that have suites."""
    for dataset in CHECKED:
        if dataset.name == name:
            return dataset
    raise TerminalError(f"no suite is about {name!r}; valid: {', '.join(dataset.name for dataset in CHECKED)}")


def _rows(dataset: Dataset) -> Suite:
    found = [*derive(dataset), *more_claims(dataset)]
    computed = {name: sql for one in found for name, sql in one.computed.items()}
    key = BAR_KEY if dataset is BARS else dataset.grain
    return Suite(dataset, "rows", rows_of(dataset, computed), key, tuple(one.claim for one in found))

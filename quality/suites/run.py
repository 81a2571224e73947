"""Put all claims about a day to the warehouse, and say what each came to for every venue."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from html import escape
from typing import Any
from urllib.parse import quote

from contracts.bars import BARS
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.trades import TRADES
from quality.suites.catalog import CHECKED, suites_of
from quality.suites.claims import Suite
from quality.suites.docs import write_index, write_page
from quality.suites.engine import Engine, Folders, claim_of, open_context
from quality.suites.results import CheckResult, DatasetRun, Sample, store_results
from stores.seals import sealed_datasets
from stores.settings import WarehouseSettings
from stores.warehouse import Warehouse

ROWS_ON_PAGE = 3


def run_suites(
    settings: WarehouseSettings,
    day: date,
    *,
    datasets: Sequence[Dataset] = CHECKED,
    venue: str | None = None,
    folders: Folders | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[DatasetRun]:
    """Run the suites of datasets for a day, of all venues or one; with `folders`, Data Docs are written.

    A claim is put to all venues at once. What holds of all of them holds of each; only where it does not are the venues
    asked one by one. A venue without rows of a dataset has no results, unless it was asked for by name.
    """
    warehouse, context = Warehouse(settings), open_context(folders)
    runs: list[DatasetRun] = []
    try:
        _answers(warehouse)
        run = _Run(warehouse, Engine(context, settings), day, venue)
        for dataset in datasets:
            on_progress(f"{dataset.name} {day}")
            began, told = time.monotonic(), _Told()
            for suite in suites_of(dataset):
                run.put(suite, told)
            page = None
            if folders and told.answers:
                name = dataset.name if venue is None else f"{dataset.name}.{quote(venue, safe='')}"
                page = write_page(context, name, day, told.answers)
            runs.append(DatasetRun(dataset.name, day, tuple(told.results), time.monotonic() - began, page))
        if folders:
            write_index(folders)
    finally:
        warehouse.close()
    return runs


def check_day(
    settings: WarehouseSettings,
    day: date,
    *,
    run_id: str,
    datasets: Sequence[Dataset] = CHECKED,
    venue: str | None = None,
    folders: Folders | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[DatasetRun]:
    """Run the suites as run_suites does, and keep what came of them in system.check_results.

    What is sealed of the day is asked no more: what it came to while its rows were there stands.
    """
    warehouse = Warehouse(settings)
    try:
        retired = sealed_datasets(warehouse, day)
        # Claims about bars hold them against their trades.
        retired |= {BARS.name} if TRADES.name in retired else set()
        open_ones = [one for one in datasets if one.name not in retired]
        runs = run_suites(settings, day, datasets=open_ones, venue=venue, folders=folders, on_progress=on_progress)
        store_results(warehouse, [result for run in runs for result in run.results], run_id=run_id)
    finally:
        warehouse.close()
    return runs


@dataclass
class _Told:
    """What is known of a dataset so far: our results, and Great Expectations' own for the page."""

    results: list[CheckResult] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    warehouse: Warehouse
    engine: Engine
    day: date
    venue: str | None

    def put(self, suite: Suite, told: _Told) -> None:
        """Put a suite's claims to the day."""
        query = suite.query(self.day, self.venue)
        counted = self.warehouse.rows(f"SELECT venue, count() FROM ({query}) GROUP BY venue ORDER BY venue")
        counts = {str(venue): int(count) for venue, count in counted}
        if not counts:
            told.results += [] if self.venue is None else self._results(suite, self.venue, 0, [])
            return
        answers = self.ask(partial(self.engine.hold, suite, query))
        told.answers += [_with_counts(answer, sum(counts.values())) for answer in answers if answer.success]
        held = {claim_of(answer) for answer in answers if answer.success}
        doubted = [claim for claim in suite.claims if claim.name not in held]
        for venue, count in counts.items():
            of_venue = suite.query(self.day, venue)
            details = self.ask(partial(self.engine.details, suite, of_venue, doubted))
            told.results += self._results(suite, venue, count, details)
            told.answers += [_of_venue(detail, venue) for detail in details if not detail.success]

    def ask(self, question: Callable[[], list[Any]]) -> list[Any]:
        """Ask the engine. Where it fails because the warehouse is away, say that: trying again may help."""
        try:
            return question()
        except TerminalError:
            _answers(self.warehouse)
            raise

    def _results(self, suite: Suite, venue: str, count: int, details: list[Any]) -> Iterator[CheckResult]:
        found = {claim_of(one): one.result for one in details}
        for claim in suite.claims:
            told = found.get(claim.name, {})
            yield CheckResult(
                day=self.day,
                venue=venue,
                dataset=suite.dataset.name,
                check_name=claim.name,
                level=claim.level,
                says=claim.says,
                checked_count=count,
                unexpected_count=int(told.get("unexpected_count", 0)),
                sample=_sample(told.get("partial_unexpected_index_list") or []),
            )


def _answers(warehouse: Warehouse) -> None:
    """Raise the right kind of error where the warehouse is away: Great Expectations knows but one."""
    warehouse.value("SELECT 1")


def _with_counts(answer: Any, count: int) -> Any:
    """Add to the answer of a claim that holds what its page shows: it was asked for a yes or no alone."""
    answer.result = {"element_count": count, "unexpected_count": 0, "unexpected_percent": 0.0} | dict(answer.result)
    return answer


def _of_venue(answer: Any, venue: str) -> Any:
    """Say in the answer's words of whom it is, with keys of rows: Data Docs themselves show values alone."""
    rows = _sample((answer.result.get("partial_unexpected_index_list") or [])[:ROWS_ON_PAGE])
    told = [", ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
    words = f"{venue}: {answer.expectation_config.description} For example: {'; '.join(told)}"
    # It becomes part of a page as it is, and venues may send anything.
    answer.expectation_config.description = escape(words).replace("$", "&#36;")
    return answer


def _sample(rows: list[dict[str, Any]]) -> Sample:
    return tuple({name: _text(value) for name, value in row.items()} for row in rows)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)

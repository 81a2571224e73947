"""Great Expectations on the warehouse: a context without a network, and suites pushed down into the engine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import sqlalchemy as sa
from great_expectations import expectations as gxe
from great_expectations.data_context.types.base import (
    DataContextConfig,
    FilesystemStoreBackendDefaults,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.interfaces import TestConnectionError
from great_expectations.exceptions.exceptions import GreatExpectationsError

from contracts.errors import TerminalError
from quality.suites.claims import Claim, Suite
from quality.suites.results import SAMPLE_SIZE
from stores.settings import WarehouseSettings

SITE = "local_site"


@dataclass(frozen=True)
class Folders:
    """Where Great Expectations keeps its results, and the static site that it makes of them."""

    context: Path
    docs: Path

    @classmethod
    def under(cls, data_dir: Path) -> "Folders":
        """Return the folders below a data directory."""
        return cls((data_dir / "great-expectations").resolve(), (data_dir / "data-docs").resolve())


def open_context(folders: Folders | None) -> Any:
    """Return a context that tells nobody anything; without folders it keeps nothing either."""
    defaults: Any = InMemoryStoreBackendDefaults()
    sites = {}
    if folders:
        folders.context.mkdir(parents=True, exist_ok=True)
        folders.docs.mkdir(parents=True, exist_ok=True)
        defaults = FilesystemStoreBackendDefaults(root_directory=str(folders.context))
        site = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folders.docs)}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        sites = {SITE: {"class_name": "SiteBuilder", "store_backend": site, "site_index_builder": index}}
    config = DataContextConfig(
        store_backend_defaults=defaults,
        data_docs_sites=sites,
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


class Engine:
    """Puts claims to the rows of queries; the rows stay in the warehouse."""

    def __init__(self, context: Any, settings: WarehouseSettings) -> None:
        self._source = context.data_sources.add_sql("warehouse", connection_string=_url(settings))
        self._queries: set[str] = set()
        self._limit_introspection()

    def _limit_introspection(self) -> None:
        # To learn a query's columns Great Expectations runs it and fetches every row: 7 s a million.
        @sa.event.listens_for(self._source.get_execution_engine().engine, "before_cursor_execute", retval=True)
        def limit(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> tuple[str, Any]:
            asked = statement in self._queries
            return (f"SELECT * FROM ({statement}) LIMIT 0" if asked else statement), parameters

    def hold(self, suite: Suite, query: str) -> list[Any]:
        """Ask of each claim whether it holds of every row, all of them in one pass."""
        return self._validate(suite, query, suite.claims, "BOOLEAN_ONLY")

    def details(self, suite: Suite, query: str, claims: Sequence[Claim]) -> list[Any]:
        """Count what speaks against claims, with keys and values of the first rows."""
        found = []
        for claim in claims:
            # Claims show different columns beside the key.
            shown = [name for name in claim.shown if name not in claim.arguments.values()]
            told = {
                "result_format": "SUMMARY",
                "unexpected_index_column_names": list(dict.fromkeys([*suite.key, *shown])),
                "partial_unexpected_count": SAMPLE_SIZE,
            }
            found += self._validate(suite, query, (claim,), told)
        return found

    def _validate(self, suite: Suite, query: str, claims: Iterable[Claim], result_format: Any) -> list[Any]:
        query = query.strip()
        self._queries.add(query)
        name = f"{suite.name}.{len(self._source.assets)}"
        asked = gx.ExpectationSuite(name=name, expectations=[_expectation(claim) for claim in claims])
        try:
            batch = self._source.add_query_asset(name, query=query).add_batch_definition_whole_table("day").get_batch()
            results = list(batch.validate(asked, result_format=result_format).results)
        except (GreatExpectationsError, TestConnectionError, sa.exc.SQLAlchemyError) as error:
            raise TerminalError(f"the rows of {suite.name} could not be asked for: {error}") from error
        for result in results:
            _raise_if_not_answered(suite, result)
        return results


def claim_of(result: Any) -> str:
    """Return the name of the claim that a result is about."""
    return str(result.expectation_config.meta["claim"])


def _url(settings: WarehouseSettings) -> str:
    query = {"connect_timeout": "5", "send_receive_timeout": "300"} | ({"secure": "true"} if settings.secure else {})
    url = sa.URL.create(
        "clickhousedb",
        settings.user,
        settings.password or None,
        settings.host,
        settings.port,
        settings.database,
        query,
    )
    return url.render_as_string(hide_password=False)


def _expectation(claim: Claim) -> Any:
    meta = {"claim": claim.name, "level": claim.level}
    # What Data Docs show instead of the expectation's own words.
    description = f"{claim.name} ({claim.level}): {claim.says}"
    severity = "critical" if claim.level == "stop" else "warning"
    return getattr(gxe, claim.expectation)(**claim.arguments, meta=meta, description=description, severity=severity)


def _raise_if_not_answered(suite: Suite, result: Any) -> None:
    told = result.exception_info or {}
    errors = [told] if "raised_exception" in told else list(told.values())
    for error in errors:
        if error["raised_exception"]:
            raise TerminalError(
                f"the claim {claim_of(result)} of {suite.name} could not be put to the "
                f"warehouse: {error['exception_message']}; see whether its tables are as the contracts say: "
                "tapehouse migrate"
            )

"""The warehouse: ClickHouse over HTTP, the same against the local server and a cluster."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import clickhouse_connect
import pyarrow as pa
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from contracts.errors import RetryableError, TerminalError
from stores.settings import WarehouseSettings

T = TypeVar("T")

# ClickHouse codes that pass by themselves: timeouts, too many queries or parts, memory, network, shutting down; and a
# full disk (243), which somebody makes room on.
_RETRYABLE_CODES = {159, 160, 202, 209, 210, 236, 241, 242, 243, 252, 319, 425, 999}


def make_client(settings: WarehouseSettings, **query_settings: Any) -> Client:
    """Open a client; one client serves one thread. `query_settings` go with each of its queries."""
    return classified(
        f"connect to {settings.host}:{settings.port}",
        lambda: clickhouse_connect.get_client(
            host=settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password,
            database=settings.database,
            secure=settings.secure,
            connect_timeout=5,
            send_receive_timeout=120,
            query_retries=0,
            autogenerate_session_id=False,
            settings=query_settings,
        ),
    )


def classified(what: str, call: Callable[[], T]) -> T:
    """Call a ClickHouse client and turn what it raises into RetryableError or TerminalError."""
    try:
        return call()
    except (OperationalError, urllib3.exceptions.HTTPError, OSError) as error:
        raise RetryableError(f"the warehouse did not answer, asked to {what}: {error}") from error
    except DatabaseError as error:
        code = getattr(error, "code", None)
        kind = RetryableError if code in _RETRYABLE_CODES else TerminalError
        raise kind(f"the warehouse refused to {what}: {error}") from error
    except ClickHouseError as error:
        raise TerminalError(f"the warehouse client failed to {what}: {error}") from error


def patiently(call: Callable[[], T], *, give_up_after_s: float = 150.0) -> T:
    """Call again, with growing pauses, while it raises RetryableError; give up with its last one."""
    retrying = Retrying(
        retry=retry_if_exception_type(RetryableError),
        wait=wait_exponential_jitter(multiplier=0.2, max=5.0),
        stop=stop_after_delay(give_up_after_s),
        reraise=True,
    )
    return retrying(call)


class Warehouse:
    """A connection that opens itself when first used and classifies errors as retryable or terminal."""

    def __init__(self, settings: WarehouseSettings, **query_settings: Any) -> None:
        self._settings = settings
        self._query_settings = query_settings
        self._client: Client | None = None

    def _call(self, what: str, call: Callable[[Client], T]) -> T:
        if self._client is None:
            self._client = make_client(self._settings, **self._query_settings)
        client = self._client
        return classified(what, lambda: call(client))

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return a query's rows; `parameters` fill {name:Type} on the server."""
        return [
            tuple(row) for row in self._call(_brief(sql), lambda c: c.query(sql, parameters=parameters)).result_rows
        ]

    def value(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:
        """Return the single value of a query."""
        return self.rows(sql, parameters)[0][0]

    def table(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """Return a query's rows as an Arrow table."""
        return self._call(_brief(sql), lambda c: c.query_arrow(sql, parameters=parameters, use_strings=True))

    def run(self, sql: str, parameters: dict[str, Any] | None = None, **settings: Any) -> None:
        """Run a statement that returns nothing."""
        self._call(_brief(sql), lambda c: c.command(sql, parameters=parameters, settings=settings))

    def insert(self, table: str, rows: pa.Table, *, token: str) -> None:
        """Insert rows; a token that the table has seen within its window inserts nothing."""
        # One block an insert and partition of the table: only then does a token stand for all of its rows.
        settings = {
            "insert_deduplicate": 1,
            "insert_deduplication_token": token,
            "max_insert_block_size": max(rows.num_rows, 1),
            "min_insert_block_size_rows": max(rows.num_rows, 1),
            "min_insert_block_size_bytes": 0,
            "max_partitions_per_insert_block": 0,
            # Rows of one key are folded by FINAL and by merges; to look for them here takes a third of an insert.
            "optimize_on_insert": 0,
        }
        self._call(f"insert into {table}", lambda c: c.insert_arrow(table, rows, settings=settings))

    def close(self) -> None:
        """Close the connection; using it again opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _brief(sql: str) -> str:
    return " ".join(sql.split())[:120]


def literal(value: str | int) -> str:
    """Quote a value for SQL text, where a parameter can't stand."""
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def tuples(rows: Sequence[Sequence[str | int]]) -> str:
    """Write rows as a list of SQL tuples."""
    return ", ".join("(" + ", ".join(literal(v) for v in row) + ")" for row in rows)

"""What is wrong, what is fresh and who was told: the tables that the health sensors write, observed."""

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import QUALITY, asset_key, dataset_spec, fresh_within, observable
from assets.store import Store
from assets.streams import COLLECTOR_OF_KEY, TOPIC_OF_KEY
from contracts.books import BOOKS
from contracts.freshness import FRESHNESS
from contracts.incidents import ALERTS, INCIDENTS
from contracts.mutes import MUTES
from contracts.quotes import QUOTES
from contracts.silences import SILENCES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS

if TYPE_CHECKING:
    from quality.incidents import Findings, Incident
    from quality.lineage import Lineage

ROWS_SHOWN = 50
_COLUMNS = ("opened", "severity", "kind", "title", "affected_rows", "next_step", "incident_id")

_SPECS = [
    dataset_spec(
        SILENCES,
        group=QUALITY,
        kinds={"clickhouse", "table"},
        deps=[asset_key(dataset) for dataset in (TRADES, QUOTES, BOOKS, VENUE_BARS)],
        description="Written by the sensor `freshness` from what was received. The middle one of eight weeks is what a "
        "series does at that hour of the week.",
    ),
    dataset_spec(
        MUTES,
        group=QUALITY,
        kinds={"clickhouse", "table"},
        deps=[],
        description="Written by `tapehouse mute`. A muted incident is open all the same, and told when the mute ends.",
    ),
    dataset_spec(
        FRESHNESS,
        group=QUALITY,
        kinds={"clickhouse", "table"},
        deps=[asset_key(dataset) for dataset in (TRADES, QUOTES, BOOKS, VENUE_BARS, SILENCES)],
        description="Written by the sensor `freshness`. Its own policy here says whether that sensor runs.",
        freshness=fresh_within(minutes=30),
    ),
    dataset_spec(
        INCIDENTS,
        group=QUALITY,
        kinds={"clickhouse", "table"},
        deps=[asset_key(FRESHNESS), *COLLECTOR_OF_KEY, *TOPIC_OF_KEY],
        description="Written by the sensors `freshness`, `open_gaps`, `stream_lag_or_death` and `failed_check`.",
    ),
    dataset_spec(
        ALERTS,
        group=QUALITY,
        kinds={"clickhouse", "table"},
        deps=[asset_key(INCIDENTS), asset_key(MUTES)],
        description="Written by the sensor `alerts`, which sends them to the receivers of the setting alert_urls.",
    ),
]


@observable("observe_incidents", _SPECS)
def observe_incidents(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> Iterator[dg.ObserveResult]:
    """Note the open incidents, the stale series and the alerts that wait."""
    numbers: dict[dg.AssetKey, Callable[[Store], dict[str, Any]]] = {
        asset_key(SILENCES): silence_numbers,
        asset_key(MUTES): mute_numbers,
        asset_key(FRESHNESS): freshness_numbers,
        asset_key(INCIDENTS): incident_numbers,
        asset_key(ALERTS): alert_numbers,
    }
    with failing_by_type():
        for key in (spec.key for spec in _SPECS if spec.key in context.selected_asset_keys):
            yield dg.ObserveResult(asset_key=key, metadata=numbers[key](store))


def freshness_numbers(store: Store) -> dict[str, Any]:
    """Return how many series are in which state."""
    warehouse = store.warehouse()
    counts = dict.fromkeys(FRESHNESS.column_index["state"].symbols, 0)
    for state, count in warehouse.rows(f"SELECT state, count() FROM {FRESHNESS.table}_current GROUP BY state"):
        counts[state] = int(count)
    rows = int(warehouse.value(f"SELECT count() FROM {FRESHNESS.table}"))
    return {"dagster/row_count": rows} | {f"{state}_series": count for state, count in counts.items()}


def silence_numbers(store: Store) -> dict[str, Any]:
    """Return how much is known of the series' habits."""
    rows, series = store.warehouse().rows(
        f"SELECT count(), uniqExact(venue, instrument, dataset) FROM {SILENCES.table} FINAL"
    )[0]
    return {"dagster/row_count": int(rows), "series": int(series)}


def mute_numbers(store: Store) -> dict[str, Any]:
    """Return how many patterns are muted now."""
    rows, standing = store.warehouse().rows(
        f"SELECT (SELECT count() FROM {MUTES.table}), "
        f"(SELECT countIf(until_time > now64(6)) FROM {MUTES.table}_current)"
    )[0]
    return {"dagster/row_count": int(rows), "muted_patterns": int(standing)}


def incident_numbers(store: Store) -> dict[str, Any]:
    """Return the open incidents, the severe ones first."""
    from quality.incidents import read_open

    warehouse = store.warehouse()
    rows = int(warehouse.value(f"SELECT count() FROM {INCIDENTS.table}"))
    closed, repair_s = warehouse.rows(
        f"SELECT count(), avg(closed_time - opened_time) FROM {INCIDENTS.table}_current WHERE state = 'closed'"
    )[0]
    told = {"mean_repair_s": round(float(repair_s), 1)} if closed else {}
    return {"dagster/row_count": rows, "closed_incidents": int(closed)} | told | open_metadata(read_open(warehouse))


def open_metadata(incidents: "list[Incident]") -> dict[str, Any]:
    """Return open incidents as metadata."""
    told: dict[str, Any] = {
        "open_incidents": len(incidents),
        "open_errors": sum(one.severity == "error" for one in incidents),
    }
    if incidents:
        ordered = sorted(incidents, key=lambda one: (one.severity != "error", one.opened_time))
        told["open"] = dg.MetadataValue.table(
            records=[_record(one) for one in ordered[:ROWS_SHOWN]],
            schema=dg.TableSchema([dg.TableColumn(n, "int" if n == "affected_rows" else "string") for n in _COLUMNS]),
        )
    return told


def _record(incident: "Incident") -> dg.TableRecord:
    from datetime import UTC, datetime

    opened = datetime.fromtimestamp(incident.opened_time // 1_000_000, UTC).isoformat()
    return dg.TableRecord({n: opened if n == "opened" else getattr(incident, n) for n in _COLUMNS})


def alert_numbers(store: Store) -> dict[str, Any]:
    """Return how many alerts were sent and how many wait."""
    warehouse = store.warehouse()
    rows = int(warehouse.value(f"SELECT count() FROM {ALERTS.table}"))
    counted = warehouse.rows(f"SELECT state, count() FROM {ALERTS.table}_current GROUP BY state")
    found = {str(state): int(count) for state, count in counted}
    return {"dagster/row_count": rows, "sent": found.get("sent", 0), "pending": found.get("pending", 0)}


def lineage_of(repository: dg.RepositoryDefinition | None) -> "Lineage":
    """Return the asset graph of the code location; nothing where there is none, as in a test."""
    from quality.lineage import Lineage

    if repository is None:
        return Lineage()
    return Lineage(
        {
            node.key.to_user_string(): tuple(key.to_user_string() for key in node.parent_keys)
            for node in repository.asset_graph.asset_nodes
        }
    )


def record_findings(store: Store, findings: "Findings", kinds: Collection[str], now: int) -> list[dg.AssetObservation]:
    """Write what findings change of the incidents of these kinds; return what to note of it at the asset."""
    from quality.incidents import read_open, record

    warehouse = store.warehouse()
    told = record(warehouse, findings, kinds, now)
    if not told:
        return []
    changes = {
        "opened": sum(one.is_open and one.revision == 1 for one in told),
        "changed": sum(one.is_open and one.revision > 1 for one in told),
        "closed": sum(not one.is_open for one in told),
    }
    return [dg.AssetObservation(asset_key(INCIDENTS), metadata=changes | open_metadata(read_open(warehouse)))]

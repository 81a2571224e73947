"""What a variant's tables hold: rows and content hash of each."""

from collections.abc import Callable
from dataclasses import dataclass

from assets.rollup_day import replace_day
from contracts.bars import BARS
from contracts.books import BOOKS
from contracts.dataset import Dataset
from contracts.instruments import INSTRUMENTS
from contracts.quarantine import QUARANTINE
from contracts.quotes import QUOTES
from contracts.rollups import ROLLUPS
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from quality.certificate import Table
from stores.columns import content_hash
from stores.warehouse import Warehouse

# What stands in where the venue tells nothing (sources/placing.py): the place on the tape, which is another one each
# time that the tape is played.
_STAND_INS = {
    "event_time": "if(event_clock = 'collector', toDateTime64(0, 6, 'UTC'), event_time)",
    "update_id": "if(startsWith(update_id, concat(connection_id, ':')), '', update_id)",
    "venue_sequence": "if(venue_sequence = toUnixTimestamp64Micro(received_time), 0, venue_sequence)",
    "first_sequence": "if(first_sequence = toUnixTimestamp64Micro(received_time), 0, first_sequence)",
    "chain": "if(chain = connection_id, '', chain)",
}


@dataclass(frozen=True)
class Part:
    """A table or a part of it. `asked`: the collector asks for these rows, so that each playing has its own."""

    name: str
    dataset: Dataset
    source: str
    condition: str = "1"
    asked: bool = False


PARTS = (
    Part(TRADES.name, TRADES, f"{TRADES.table} FINAL"),
    Part(QUOTES.name, QUOTES, f"{QUOTES.table} FINAL"),
    Part(f"{BOOKS.name}, deltas", BOOKS, f"{BOOKS.table} FINAL", "kind = 'delta'"),
    Part(f"{BOOKS.name}, snapshots", BOOKS, f"{BOOKS.table} FINAL", "kind = 'snapshot'", asked=True),
    Part(VENUE_BARS.name, VENUE_BARS, f"{VENUE_BARS.table} FINAL"),
    Part(INSTRUMENTS.name, INSTRUMENTS, f"{INSTRUMENTS.table} FINAL", asked=True),
    Part(BARS.name, BARS, f"{BARS.table}_current"),
    *(Part(rollup.dataset.name, rollup.dataset, rollup.dataset.table) for rollup in ROLLUPS),
    Part(QUARANTINE.name, QUARANTINE, f"{QUARANTINE.table} FINAL"),
)

_DAGSTER = "made by Dagster from the tables above, and Dagster is no part of this"
# Tables that no tape determines alone, and why.
LEFT_OUT = {
    "market.book_snapshots": "made from market.books when there is time, to make questions quicker",
    "market.trades_displaced": "what stood there before depends on the order of arrival; what stands there does not",
    "market.alerts": "told by the real-time process, which is no part of this",
    "reference.corporate_actions": "told by imports alone, and a certificate plays a venue's tape",
    "system.gaps": "what the collector noticed on its way",
    "delivery.ledger": "cut differently each time; the audit of each variant compares it with the tables",
    "market.indicators": _DAGSTER,
    "market.features": _DAGSTER,
    "system.scores": _DAGSTER,
    "system.deductions": _DAGSTER,
    "system.bar_scores": _DAGSTER,
    "system.check_results": _DAGSTER,
    "system.parity": _DAGSTER,
    "system.freshness": _DAGSTER,
    "system.incidents": _DAGSTER,
    "system.alerts": _DAGSTER,
    "system.seals": _DAGSTER,
    "system.silences": _DAGSTER,
    "system.mutes": "what a person said",
}


def roll_up(warehouse: Warehouse, query: str) -> None:
    """Make the coarser bars of every day that has bars, as Dagster does; `query` is the text of rollup.sql."""
    days = warehouse.rows(f"SELECT DISTINCT toDate(bar_time) AS day FROM {BARS.table}_current ORDER BY day")
    for rollup in ROLLUPS:
        for (day,) in days:
            replace_day(warehouse, query, rollup, day)


def read_tables(warehouse: Warehouse, *, asked: bool, on_progress: Callable[[str], None]) -> dict[str, Table]:
    """Hash every part by name; without `asked` those that the collector asks for are left out."""
    found = {}
    for part in PARTS:
        if part.asked and not asked:
            continue
        on_progress(f"hashing {part.name}")
        count, digest = warehouse.rows(
            f"SELECT count(), sum({content_hash(part.dataset)}) FROM "
            f"(SELECT *{_without_stand_ins(part.dataset)} FROM {part.source} WHERE {part.condition})"
        )[0]
        found[part.name] = Table(int(count), f"{int(digest) % (1 << 64):016x}")
    return found


def _without_stand_ins(dataset: Dataset) -> str:
    """Return the REPLACE clause that takes out of a dataset's rows what only their place on the tape told."""
    if "event_clock" not in dataset.column_index:
        return ""
    names = [name for name in _STAND_INS if name in dataset.column_index]
    return f" REPLACE ({', '.join(f'{_STAND_INS[name]} AS {name}' for name in names)})"

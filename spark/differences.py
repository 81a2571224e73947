"""Find the row at which two histories of an instrument's day first differ, and where on the tape it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from contracts.dataset import Dataset, Role, Type
from contracts.parity import NO_NUMBER
from contracts.provenance import RECEIVED_TIME, TAPE_POSITION
from stores.columns import content_hash
from stores.warehouse import Warehouse, tuples

MINUTE = 60_000_000
INSTRUMENTS_A_QUERY = 500
CHARACTERS_SHOWN = 80
Instrument = tuple[str, str]  # venue, instrument


class TapePlace(NamedTuple):
    """A row's place on the tape, as contracts/provenance.py names it; by default none."""

    received_time: int = 0  # microseconds
    connection_id: str = ""
    message_number: int = NO_NUMBER
    message_index: int = NO_NUMBER

    @property
    def known(self) -> bool:
        """Tell whether there is such a place."""
        return self.message_number != NO_NUMBER

    @property
    def text(self) -> str:
        """The place in words."""
        if not self.known:
            return "on no tape"
        received = datetime.fromtimestamp(self.received_time / 1e6, UTC)
        place = f"connection {self.connection_id}, message {self.message_number}, index {self.message_index}"
        return f"{place}, received {received:%Y-%m-%d %H:%M:%S.%f}"


NOWHERE = TapePlace()


@dataclass(frozen=True)
class Difference:
    """What differs, in words; when it happened, in microseconds; and its place on the tape.

    A row that no tape explains has the place that the table claims. A bar has that of its minute's first trade.
    """

    text: str
    event_time: int
    place: TapePlace = NOWHERE


@dataclass(frozen=True)
class Sides:
    """Two tables of one contract, and which rows of them are compared: those in `span`, a condition on `clock`."""

    dataset: Dataset
    streamed: str
    rebuilt: str
    clock: str
    span: str
    trades: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """What a row is known by on both sides: its grain, without what only says how we came to know it."""
        index = self.dataset.column_index
        return tuple(name for name in self.dataset.grain if index[name].role is Role.CONTENT)

    @property
    def key_hash(self) -> str:
        """The SQL expression of a number for a row's key."""
        return f"cityHash64({', '.join(self.keys)})"

    @property
    def minute(self) -> str:
        """The SQL expression of a row's minute, counted from the epoch."""
        return f"intDiv(toUnixTimestamp64Micro({self.clock}), {MINUTE})"

    @property
    def place(self) -> str:
        """The SQL expressions of the columns of TapePlace."""
        if RECEIVED_TIME.name not in self.dataset.column_index:
            return f"toInt64(0), '', toInt64({NO_NUMBER}), toInt32({NO_NUMBER})"
        return _place()

    @property
    def both(self) -> tuple[tuple[str, str], ...]:
        """The names and the tables of the two."""
        return (("streamed", self.streamed), ("rebuilt", self.rebuilt))


def _place() -> str:
    return ", ".join(f"toUnixTimestamp64Micro({c.name})" if c is RECEIVED_TIME else c.name for c in TAPE_POSITION)


def first_differences(warehouse: Warehouse, sides: Sides) -> dict[Instrument, Difference]:
    """Return of each instrument that differs the first difference: by event time, then by place on the tape."""
    minutes = [(str(v), str(i), int(minute)) for v, i, minute in warehouse.rows(_first_minutes(sides))]
    told: dict[Instrument, Difference] = {}
    for start in range(0, len(minutes), INSTRUMENTS_A_QUERY):
        chunk = minutes[start : start + INSTRUMENTS_A_QUERY]
        # Of the sort key: a condition on the minute alone would read the whole day.
        mine = f"{sides.span} AND (venue, instrument) IN ({tuples([one[:2] for one in chunk])})"
        found: dict[int, Instrument] = {
            int(key): (str(v), str(i)) for v, i, key in warehouse.rows(_first_keys(sides, mine, tuples(chunk)))
        }
        rows = _rows_of(warehouse, sides, mine, list(found))
        part = {found[key]: _difference(sides, *both) for key, both in rows.items()}
        told |= _with_first_trades(warehouse, sides, part) if sides.trades else part
    return told


def _first_minutes(sides: Sides) -> str:
    """Write the query for the first minute of each instrument whose rows differ.

    It keeps a sum a minute in memory, not a row each: days have millions of rows.
    """
    digest = content_hash(sides.dataset)
    summed = " UNION ALL ".join(
        f"SELECT venue, instrument, {sides.minute} AS minute, {sign}toInt64(count()) AS row_sum, "
        f"{sign}reinterpretAsInt64(sum({digest})) AS hash_sum FROM {source} WHERE {sides.span} "
        "GROUP BY venue, instrument, minute"
        for sign, (_, source) in zip(("", "-"), sides.both, strict=True)
    )
    return (
        f"SELECT venue, instrument, min(minute) FROM (SELECT venue, instrument, minute FROM ({summed}) "
        "GROUP BY venue, instrument, minute HAVING sum(row_sum) != 0 OR sum(hash_sum) != 0) GROUP BY venue, instrument"
    )


def _first_keys(sides: Sides, where: str, minutes: str) -> str:
    """Write the query for the key of the first row of each instrument that differs, in the minutes given as tuples."""
    keys, digest = ", ".join(sides.keys), content_hash(sides.dataset)
    rows = " UNION ALL ".join(
        f"SELECT {keys}, toUnixTimestamp64Micro({sides.clock}) AS at, ({sides.place}) AS place, {digest} AS digest, "
        f"'{history}' AS history FROM {source} "
        f"WHERE {where} AND (venue, instrument, {sides.minute}) IN ({minutes})"
        for history, source in sides.both
    )
    return (
        f"SELECT venue, instrument, {sides.key_hash} FROM ({rows}) GROUP BY {keys} "
        "HAVING countIf(history = 'streamed') != countIf(history = 'rebuilt') "
        "OR sumIf(digest, history = 'streamed') != sumIf(digest, history = 'rebuilt') "
        f"ORDER BY min(at), min(place), {keys} LIMIT 1 BY venue, instrument"
    )


Row = tuple[dict[str, Any], int, TapePlace]


def _rows_of(
    warehouse: Warehouse, sides: Sides, where: str, keys: Sequence[int]
) -> dict[int, tuple[list[Row], list[Row]]]:
    """Return by key the rows of the day on both sides: a row may stand in another minute on the other."""
    columns = sides.dataset.content_columns
    names = ", ".join(
        f"toUnixTimestamp64Micro({c.name}) AS {c.name}_us" if c.type is Type.TIMESTAMP else c.name for c in columns
    )
    asked = ", ".join(map(str, keys))
    found: dict[int, tuple[list[Row], list[Row]]] = {}
    for number, (_, source) in enumerate(sides.both):
        for key, at, place, *values in warehouse.rows(
            f"SELECT {sides.key_hash} AS key, toUnixTimestamp64Micro({sides.clock}), ({sides.place}), {names} "
            f"FROM {source} WHERE {where} AND key IN ({asked})"
        ):
            content = dict(zip((c.name for c in columns), values, strict=True))
            row = (content, int(at), TapePlace(*place))
            found.setdefault(int(key), ([], []))[number].append(row)
    return found


def _difference(sides: Sides, streamed: Sequence[Row], rebuilt: Sequence[Row]) -> Difference:
    """Say what differs between the rows of one key; on one side there may be none."""
    content, at, place = (*rebuilt, *streamed)[0]
    named = [name for name in sides.keys if name not in ("venue", "instrument")]
    key = ", ".join(f"{name} {_shown(sides.dataset, name, content[name])}" for name in named)
    if len(streamed) != len(rebuilt):
        if not streamed:
            what = "missing in the tables"
        elif not rebuilt:
            what = "not on the tape"
        else:
            what = f"{len(streamed)} times in the tables, {len(rebuilt)} times on the tape"
        return Difference(f"{key}: {what}", min(row[1] for row in (*streamed, *rebuilt)), place)
    stored = streamed[0][0]
    told = [
        _apart(sides.dataset, name, stored[name], value) for name, value in content.items() if stored[name] != value
    ]
    return Difference(f"{key}: {'; '.join(told)}", min(at, streamed[0][1]), place)


def _apart(dataset: Dataset, name: str, streamed: Any, rebuilt: Any) -> str:
    """Say how a column's two values differ; of lists where they begin to."""
    if isinstance(streamed, list) and isinstance(rebuilt, list):
        at = next((n for n, (a, b) in enumerate(zip(streamed, rebuilt, strict=False)) if a != b), None)
        if at is None:
            return f"{name} has {len(streamed)} items in the tables, {len(rebuilt)} on the tape"
        name, streamed, rebuilt = f"{name}[{at}]", streamed[at], rebuilt[at]
        return f"{name} is {_plain(streamed)} in the tables, {_plain(rebuilt)} on the tape"
    return f"{name} is {_shown(dataset, name, streamed)} in the tables, {_shown(dataset, name, rebuilt)} on the tape"


def _shown(dataset: Dataset, name: str, value: Any) -> str:
    if dataset.column_index[name].type is Type.TIMESTAMP:
        return f"{datetime.fromtimestamp(value // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}.{value % 1_000_000:06}"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    text = str(value) or "empty"
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]}..."


def _with_first_trades(
    warehouse: Warehouse, sides: Sides, told: dict[Instrument, Difference]
) -> dict[Instrument, Difference]:
    """Give bars the place of the first trade, in the order of the tape, that the tape has of their minute."""
    if not told:
        return told
    # A minute has a bar for each of the instrument's series; any of their trades leads to the place.
    minutes = tuples([(*instrument, one.event_time // MINUTE) for instrument, one in told.items()])
    places = {
        (str(venue), str(instrument)): TapePlace(*place)
        for venue, instrument, place in warehouse.rows(
            f"SELECT venue, instrument, min(({_place()})) FROM {sides.trades} "
            f"WHERE (venue, instrument, intDiv(toUnixTimestamp64Micro(event_time), {MINUTE})) IN ({minutes}) "
            "GROUP BY venue, instrument"
        )
    }
    return {
        instrument: Difference(one.text, one.event_time, places.get(instrument, NOWHERE))
        for instrument, one in told.items()
    }

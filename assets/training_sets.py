"""Training sets from what the warehouse keeps of features: labels in, labels with what was known of them out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import TerminalError
from contracts.features import FEATURES as STORED
from features.asof import AsOf
from features.catalog import CATALOG, chosen
from features.declared import ENTITY, US, Feature
from features.stored import unpacked
from features.training import QUALITY, lives, training_set
from stores.warehouse import literal, tuples

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

ROWS_A_BATCH = 3_000_000
SUFFIXES = (".parquet", ".arrow", ".csv")


def build(
    warehouse: "Warehouse",
    labels: "pl.DataFrame",
    features: Sequence[str] | None = None,
    *,
    time: str = "time",
    as_of: AsOf = "known",
    min_quality: float | None = None,
) -> "pl.DataFrame":
    """Return the labels, in their order, with what was known of the features at each one's time; see training_set.

    labels: venue, instrument, a time (without a zone it is UTC) and any other columns. A value past its time to live
    is null. Instruments are read some at a time. TerminalError names what is not valid, also where nothing is stored.
    """
    import polars as pl

    several = chosen(features)
    missing = [name for name in (*ENTITY, time) if name not in labels.columns]
    if missing:
        raise TerminalError(f"labels lack {', '.join(missing)}; they have {', '.join(labels.columns)}")
    if not labels.height:
        raise TerminalError("there are no labels; hand in at least one row of venue, instrument and time")
    if labels.select(pl.any_horizontal(pl.col(*ENTITY, time).is_null().any())).item():
        raise TerminalError(f"labels without {', '.join(ENTITY)} or {time} can't be given features; leave them out")
    row = "_row"
    numbered = labels.with_columns(_moment(labels, time), pl.col(ENTITY).cast(pl.String)).with_row_index(row)
    # Quality decides even where nobody asked to see it.
    decides = min_quality is not None and all(one.name != QUALITY for one in several)
    read = (*several, CATALOG[QUALITY]) if decides else several
    parts = []
    for of in _batches(warehouse, numbered, time, read):
        own = numbered.join(of, on=list(ENTITY), how="semi", maintain_order="left")
        tables = read_tables(warehouse, own, time, read)
        names = [feature.name for feature in several]
        options: dict[str, Any] = {"as_of": as_of, "time_to_live": lives(read), "min_quality": min_quality}
        parts.append(training_set(own, tables, time=time, features=names, **options))
    return pl.concat(parts).sort(row).drop(row)


def read_tables(
    warehouse: "Warehouse", labels: "pl.DataFrame", time: str, features: Sequence[Feature]
) -> dict[str, "pl.DataFrame"]:
    """Return by source all revisions that may stand for the labels, in the order that the join reads quickest."""
    import polars as pl

    of = tuples(labels.select(ENTITY).unique().sort(ENTITY).rows())
    tables = {}
    for source, several in _by_source(features).items():
        stored = pl.from_arrow(
            warehouse.table(
                f"SELECT venue, instrument, event_time, features, numbers, known_time FROM {STORED.table} FINAL "
                f"WHERE source = {{source:String}} AND ({', '.join(ENTITY)}) IN ({of}) "
                f"AND {_range(labels, time, several)} ORDER BY venue, instrument, event_time, known_time",
                {"source": source},
            )
        )
        assert isinstance(stored, pl.DataFrame)
        strings = stored.with_columns(pl.col(*ENTITY, "features").cast(pl.String))
        tables[source] = unpacked(strings, "features", [feature.name for feature in several])
    return tables


def read_labels(path: Path) -> "pl.DataFrame":
    """Read labels from a Parquet, Arrow or CSV file; TerminalError says what is wrong with it."""
    import polars as pl

    readers: Mapping[str, Any] = {
        ".parquet": pl.read_parquet,
        ".arrow": pl.read_ipc,
        ".csv": lambda file: pl.read_csv(file, try_parse_dates=True),
    }
    if path.suffix not in readers:
        raise TerminalError(f"{path} is no file of labels; valid: a name that ends in {', '.join(SUFFIXES)}")
    try:
        found: pl.DataFrame = readers[path.suffix](path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TerminalError(f"{path} can't be read: {error}") from error
    return found


def write_set(frame: "pl.DataFrame", path: Path) -> None:
    """Write a training set as Parquet, Arrow or CSV by the file's name."""
    writers: Mapping[str, Any] = {".parquet": frame.write_parquet, ".arrow": frame.write_ipc, ".csv": frame.write_csv}
    if path.suffix not in writers:
        raise TerminalError(f"{path} can't be written; valid: a name that ends in {', '.join(SUFFIXES)}")
    try:
        writers[path.suffix](path)
    except OSError as error:
        raise TerminalError(f"{path} can't be written: {error.strerror}") from error


def _moment(labels: "pl.DataFrame", time: str) -> "pl.Expr":
    import polars as pl

    kind = labels.schema[time]
    if isinstance(kind, pl.Datetime):
        moment = pl.col(time).cast(US)
    elif kind == pl.String:
        moment = pl.col(time).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    elif kind == pl.Date:
        moment = pl.col(time).cast(pl.Datetime("us")).cast(US)
    else:
        raise TerminalError(
            f"the labels' {time} is {kind}; valid: a time, a date, or text such as 2024-08-08T12:00:00Z"
        )
    wrong = labels.filter(moment.is_null())
    if wrong.height:
        raise TerminalError(f"the labels' {time} {wrong.get_column(time)[0]!r} is no time; valid: 2024-08-08T12:00:00Z")
    return moment.alias(time)


def _by_source(features: Sequence[Feature]) -> dict[str, list[Feature]]:
    found: dict[str, list[Feature]] = {}
    for feature in features:
        found.setdefault(feature.source.name, []).append(feature)
    return found


def _range(labels: "pl.DataFrame", time: str, features: Sequence[Feature]) -> str:
    """Write between when a row must lie to stand for a label."""
    first, last = labels.get_column(time).min(), labels.get_column(time).max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    begin = first - max(feature.time_to_live for feature in features)
    bounds = (
        (moment - datetime.fromtimestamp(0, first.tzinfo)) // timedelta(microseconds=1) for moment in (begin, last)
    )
    lowest, highest = (f"fromUnixTimestamp64Micro({micros}, 'UTC')" for micros in bounds)
    return f"event_time >= {lowest} AND event_time <= {highest}"


def _batches(
    warehouse: "Warehouse", labels: "pl.DataFrame", time: str, features: Sequence[Feature]
) -> Iterator["pl.DataFrame"]:
    """Return the labels' instruments in groups that have about ROWS_A_BATCH rows together."""
    import polars as pl

    names = labels.select(ENTITY).unique().sort(ENTITY)
    sources = ", ".join(map(literal, _by_source(features)))
    counts = warehouse.rows(
        f"SELECT venue, instrument, count() FROM {STORED.table} WHERE {_range(labels, time, features)} "
        f"AND source IN ({sources}) AND ({', '.join(ENTITY)}) IN ({tuples(names.rows())}) "
        "GROUP BY venue, instrument"
    )
    held = {(venue, instrument): int(count) for venue, instrument, count in counts}
    if not held:
        raise TerminalError(
            "no features are stored of these instruments and times; valid: labels within days whose partition of the "
            "asset market/features was materialised (tapehouse backfill does that for many days)"
        )
    group: list[tuple[str, ...]] = []
    size = 0
    for name in names.rows():
        if group and size + held.get(name, 0) > ROWS_A_BATCH:
            yield pl.DataFrame(group, schema=dict.fromkeys(ENTITY, pl.String), orient="row")
            group, size = [], 0
        group.append(name)
        size += held.get(name, 0)
    yield pl.DataFrame(group, schema=dict.fromkeys(ENTITY, pl.String), orient="row")

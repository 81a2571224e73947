"""Point-in-time training sets: for each label what was known of its features at its moment, and nothing else."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import polars as pl

from contracts.errors import TerminalError
from features.asof import AS_OF, AsOf, rows_for
from features.declared import ENTITY, EVENT, KEYS, KNOWN, US, Feature

QUALITY = "quality_score"


def lives(features: Iterable[Feature]) -> dict[str, timedelta]:
    """Return how long each feature's values may stand."""
    return {feature.name: feature.time_to_live for feature in features}


def training_set(
    labels: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    *,
    time: str = "time",
    features: Iterable[str] | None = None,
    as_of: AsOf = "known",
    time_to_live: Mapping[str, timedelta] | timedelta | None = None,
    min_quality: float | None = None,
    times: bool = False,
) -> pl.DataFrame:
    """Return the labels, in their order, with the features beside them; null where none was known, or none lives.

    labels: venue, instrument, a time and any other columns. tables: by source, as `compute` returns them, all
    revisions that were ever known below each other in any order.

    as_of known: of the rows with known_time up to the label's time the newest moment counts, in the last revision
    known by then: a row that was filled in late does not stand for what was newer, and was not there before it came.
    as_of event: the newest moment up to the label's time in its last revision, whenever that came; what is learned
    from it knows corrections that nobody had.

    time_to_live: for how long after its moment a value stands, for all features or by name; without it for ever.
    min_quality: leaves out labels whose quality_score, found in the same way among the tables, is lower or not known.
    times: adds event_time and known_time of the row that was found, as `<table>.event_time` and `<table>.known_time`.
    """
    wanted = _wanted(tables, features)
    _checked(labels, tables, wanted, time, as_of, min_quality)
    moments = labels.get_column(time).cast(US)
    of = labels.select(ENTITY)
    parts = [labels]
    for name, table in tables.items():
        if not wanted[name] and not (min_quality is not None and QUALITY in table.columns):
            continue
        found = rows_for(of, moments, table, as_of)
        columns = [*wanted[name], *([QUALITY] if min_quality is not None and QUALITY in table.columns else [])]
        rows = table.select(*dict.fromkeys(columns), EVENT, KNOWN)
        taken = rows.select(pl.all().gather(found))
        parts.append(_living(taken, moments, time_to_live, name, times))
    made = pl.concat(parts, how="horizontal")
    if min_quality is not None:
        made = made.filter(pl.col(QUALITY) >= min_quality)
    names = [feature for name in tables for feature in wanted[name]]
    beside = [column for column in made.columns if times and column.endswith((f".{EVENT}", f".{KNOWN}"))]
    return made.select(*labels.columns, *names, *beside)


def vectors(
    tables: Mapping[str, pl.DataFrame],
    moment: datetime,
    *,
    features: Iterable[str] | None = None,
    time_to_live: Mapping[str, timedelta] | timedelta | None = None,
) -> pl.DataFrame:
    """Return one row an entity with what is known of its features at a moment: what a label of then would get."""
    entities = pl.concat([table.select(ENTITY) for table in tables.values()]).unique().sort(ENTITY)
    labels = entities.with_columns(time=pl.lit(moment, US))
    return training_set(labels, tables, features=features, time_to_live=time_to_live)


def _living(
    taken: pl.DataFrame,
    moments: pl.Series,
    time_to_live: Mapping[str, timedelta] | timedelta | None,
    table: str,
    times: bool,
) -> pl.DataFrame:
    age = moments - taken.get_column(EVENT)
    made = []
    for name in taken.columns:
        if name in KEYS:
            continue
        life = time_to_live.get(name) if isinstance(time_to_live, Mapping) else time_to_live
        value = pl.col(name)
        made.append(value if life is None else pl.when(pl.lit(age) <= life).then(value).alias(name))
    beside = [pl.col(name).alias(f"{table}.{name}") for name in (EVENT, KNOWN)] if times else []
    return taken.select(*made, *beside)


def _wanted(tables: Mapping[str, pl.DataFrame], features: Iterable[str] | None) -> dict[str, list[str]]:
    held = {name: [column for column in table.columns if column not in KEYS] for name, table in tables.items()}
    every = [column for columns in held.values() for column in columns]
    twice = sorted({column for column in every if every.count(column) > 1})
    if twice:
        raise TerminalError(f"the feature {twice[0]!r} is in several tables; each may be in one")
    if features is None:
        return held
    asked = list(features)
    unknown = sorted(set(asked) - set(every))
    if unknown:
        raise TerminalError(f"no table has the feature {unknown[0]!r}; they have {', '.join(sorted(every)) or 'none'}")
    return {name: [column for column in asked if column in columns] for name, columns in held.items()}


def _checked(
    labels: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    wanted: Mapping[str, list[str]],
    time: str,
    as_of: str,
    min_quality: float | None,
) -> None:
    missing = [name for name in (*ENTITY, time) if name not in labels.columns]
    if missing:
        raise TerminalError(f"labels lack {', '.join(missing)}; they have {', '.join(labels.columns)}")
    if not isinstance(labels.schema[time], pl.Datetime):
        raise TerminalError(f"the labels' {time} is {labels.schema[time]}; it must be a time")
    if labels.select(pl.any_horizontal(pl.col(*ENTITY, time).is_null().any())).item():
        raise TerminalError(f"labels without {', '.join(ENTITY)} or {time} can't be given features; leave them out")
    for name, table in tables.items():
        lacking = [key for key in KEYS if key not in table.columns]
        if lacking:
            raise TerminalError(f"the table {name!r} lacks {', '.join(lacking)}; it has {', '.join(table.columns)}")
        if table.select(pl.any_horizontal(pl.col(*KEYS).is_null().any())).item():
            raise TerminalError(f"the table {name!r} has rows without {', '.join(KEYS)}; they belong to no moment")
    taken = sorted({feature for columns in wanted.values() for feature in columns} & set(labels.columns))
    if taken:
        raise TerminalError(f"labels have a column {taken[0]!r}, and so has a table; rename it, or choose the features")
    if as_of not in AS_OF:
        raise TerminalError(f"as_of is {as_of!r}; valid are {', '.join(AS_OF)}")
    if min_quality is not None and not any(QUALITY in table.columns for table in tables.values()):
        raise TerminalError(f"min_quality needs {QUALITY} in one of the tables; hand in those of the source quality")

"""The stored form of indicators and features: a row's values as one list, and the names of those it has."""

from collections.abc import Iterable, Sequence

import polars as pl

from contracts.errors import TerminalError
from contracts.indicators import VALUE

_SEPARATOR = ","


def packed(frame: pl.DataFrame, values: Sequence[str], names: str) -> pl.DataFrame:
    """Return the frame with its value columns as `numbers`, exact decimals, and what they are as column `names`.

    A value that is null is left out, so a name that is not there has none. Values are rounded to the contract's digits;
    TerminalError names one that does not fit.
    """
    if not values:
        raise TerminalError("no value columns are named; there is nothing to pack")
    largest = 10.0 ** (VALUE.precision - VALUE.scale)
    beyond = [name for name in values if frame.select((pl.col(name).abs() >= largest).any()).item()]
    if beyond:
        raise TerminalError(f"values of {beyond[0]} do not fit the contract: they must be below {largest:g}")
    told = [pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in values]
    rest = [name for name in frame.columns if name not in values]
    kind = pl.List(pl.Decimal(VALUE.precision, VALUE.scale))
    return frame.select(
        *rest,
        pl.concat_str(told, separator=_SEPARATOR, ignore_nulls=True).alias(names),
        pl.concat_list(values).list.drop_nulls().cast(kind).alias("numbers"),
    )


def unpacked(stored: pl.DataFrame, names: str, wanted: Iterable[str] | None = None) -> pl.DataFrame:
    """Return the stored rows with a Float64 column a value, null where a row has none.

    wanted: which values, in order; without it all that any row has. Rows stay in their order.
    """
    rest = [name for name in stored.columns if name not in (names, "numbers")]
    sets = stored.get_column(names).cast(pl.String).unique().to_list()
    held = dict.fromkeys(name for one in sorted(sets) for name in one.split(_SEPARATOR) if name)
    columns = list(held) if wanted is None else list(wanted)
    parts = []
    # Rows with the same names are read together: there are few such sets.
    for (told,), rows in stored.with_row_index("_row").group_by(names, maintain_order=True):
        places = {name: place for place, name in enumerate(str(told).split(_SEPARATOR))}
        values = [
            pl.col("numbers").list.get(places[name]).cast(pl.Float64).alias(name)
            if name in places
            else pl.lit(None, pl.Float64).alias(name)
            for name in columns
        ]
        parts.append(rows.select("_row", *rest, *values))
    if not parts:
        return stored.select(rest).with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    return pl.concat(parts).sort("_row").drop("_row")

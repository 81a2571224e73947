"""Which row of a table stands for an entity at a moment, by what was known then or by what is known now."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from features.declared import ENTITY, EVENT, KNOWN, US

AsOf = Literal["known", "event"]
AS_OF = ("known", "event")
Ints = npt.NDArray[np.int64]


def rows_for(entities: pl.DataFrame, moments: pl.Series, table: pl.DataFrame, as_of: AsOf) -> pl.Series:
    """Return for each entity and moment the row of the table that stands for it, null where there is none.

    Of the rows with event_time (and, as of known, known_time) up to the moment, that is the newest event_time, of it
    the newest known_time, of equal ones the last. Rows may come in any order; that of entity, event_time and known_time
    is the quickest.
    """
    names = entities.select(pl.col(ENTITY).cast(pl.String)).unique(maintain_order=True)
    asked = dict(_places(_numbers(entities, names)))
    event, known = (table.get_column(name).cast(US).to_physical().to_numpy() for name in (EVENT, KNOWN))
    times = moments.to_physical().to_numpy()
    out = np.full(entities.height, -1, dtype=np.int64)
    for number, rows in _places(_numbers(table, names)):
        places = asked[number]
        out[places] = _standing(rows, event, known, times[places], as_of)
    found = pl.Series("row", out)
    return found.to_frame().select(pl.when(pl.col("row") >= 0).then("row")).to_series()


def _standing(rows: Ints, event: Ints, known: Ints, moments: Ints, as_of: AsOf) -> Ints:
    """Return the row of one entity that stands for each moment, -1 where there is none."""
    # Rows that lie together are read where they are.
    together = rows[-1] - rows[0] + 1 == len(rows)
    own = slice(rows[0], rows[-1] + 1) if together else rows
    happened = event[own]
    # What has not happened can't be known, whatever a row says.
    told = np.maximum(known[own], happened)
    later = (happened[1:] > happened[:-1]) | ((happened[1:] == happened[:-1]) & (told[1:] >= told[:-1]))
    if not later.all():
        order = np.lexsort((told, happened))
        rows, happened, told = rows[order], happened[order], told[order]
    if as_of == "event":
        kept = rows
        last = np.searchsorted(happened, moments, side="right") - 1
    else:
        # A row that was known no earlier than a newer moment is never the answer. Of those left both the moments and
        # the times known rise, so the last one known is the newest moment.
        least = np.minimum.accumulate(told[::-1])[::-1]
        ahead = np.r_[told[:-1] < least[1:], True]
        kept = rows[ahead]
        last = np.searchsorted(told[ahead], moments, side="right") - 1
    return np.where(last < 0, -1, kept[last])


def _numbers(frame: pl.DataFrame, names: pl.DataFrame) -> npt.NDArray[np.integer]:
    """Return the number of each row's entity among the names, -1 where it is not one of them."""
    of = frame.select(ENTITY)
    if not of.height:
        return np.zeros(0, dtype=np.int16)
    new = of.select(pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in ENTITY)).to_series()
    new[0] = True
    starts = new.arg_true().to_numpy()
    # Where entities come in runs, one look-up a run is enough.
    runs = len(starts) * 4 < of.height
    looked_up = (of[starts] if runs else of).select(pl.all().cast(pl.String))
    joined = looked_up.join(names.with_row_index("_number"), on=ENTITY, how="left", maintain_order="left")
    # Numbers of 16 bits are sorted by radix.
    kind = np.int16 if names.height < 1 << 15 else np.int64
    numbers: npt.NDArray[np.integer] = joined.get_column("_number").cast(pl.Int64).fill_null(-1).to_numpy().astype(kind)
    return np.repeat(numbers, np.diff(np.r_[starts, of.height])) if runs else numbers


def _places(numbers: npt.NDArray[np.integer]) -> Iterator[tuple[int, Ints]]:
    """Return the places of each number from 0 on, in order."""
    if not len(numbers):
        return
    starts = _starts(numbers)
    if len(np.unique(numbers[starts])) == len(starts):
        # Each comes in one run: nothing has to be sorted.
        places, ordered = np.arange(len(numbers)), numbers
    else:
        places = np.argsort(numbers, kind="stable")
        ordered = numbers[places]
        starts = _starts(ordered)
    for start, stop in zip(starts, [*starts[1:], len(ordered)], strict=True):
        if ordered[start] >= 0:
            yield int(ordered[start]), places[start:stop]


def _starts(numbers: npt.NDArray[np.integer]) -> Ints:
    return np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])

"""Rows for every minute: what became of an entity by the end of each, whether something happened in it or not."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from contracts.errors import TerminalError
from features.declared import ENTITY, EVENT, KNOWN, MINUTE, US


def needed(frame: pl.DataFrame, name: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return the columns of a frame that was handed in, numbers as Float64; TerminalError names what is missing."""
    known = KNOWN if KNOWN in frame.columns else "ingested_time"
    missing = [column for column in (*columns, known) if column not in frame.columns]
    if missing:
        raise TerminalError(
            f"the frame {name!r} lacks {', '.join(missing)}; it has {', '.join(frame.columns)}. "
            "Each row needs known_time, or ingested_time"
        )
    made = [
        pl.col(column).cast(pl.Float64) if frame.schema[column].is_numeric() else pl.col(column) for column in columns
    ]
    times = [column for column in columns if isinstance(frame.schema[column], pl.Datetime)]
    # Stores hand in names as categories; those of two frames can't be compared.
    return frame.select(*made, pl.col(known).cast(US).alias(KNOWN)).with_columns(
        pl.col(times).cast(US), pl.col(ENTITY).cast(pl.String)
    )


def of_one_feed(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the frame; TerminalError where an entity has several id spaces in it, and rows would count twice."""
    if "id_space" not in frame.columns:
        return frame
    several = frame.group_by(ENTITY).agg(pl.col("id_space").unique().sort()).filter(pl.col("id_space").list.len() > 1)
    if several.height:
        venue, instrument, spaces = several.sort(ENTITY).row(0)
        raise TerminalError(
            f"the frame {name!r} holds {venue} {instrument} in the id spaces {', '.join(spaces)}, which tell the same "
            "market; hand in one of them"
        )
    return frame


def once(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the frame, in order, if it has one row an entity and minute; TerminalError if not."""
    ordered = frame.sort(*ENTITY, EVENT)
    keys = pl.struct(*ENTITY, EVENT)
    if ordered.select((keys == keys.shift(1)).any()).item():
        twice = ordered.filter(keys.is_duplicated()).row(0, named=True)
        raise TerminalError(
            f"the frame {name!r} holds {[str(twice[key]) for key in (*ENTITY, EVENT)]} more than once; hand in one "
            "revision of each row, of one id_space"
        )
    return ordered


def ends(column: str) -> pl.Expr:
    """Return the end of the minute that a time lies in: when what happened in it can have been known."""
    return (pl.col(column).dt.truncate("1m") + MINUTE).cast(US).alias(EVENT)


def every_minute(
    frame: pl.DataFrame, until: datetime | None, *, zeros: Sequence[str] = (), carried: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the frame with a row for every minute from an entity's first to `until`, or to the last of all.

    frame: one row an entity and minute, in order. In a row put in, `zeros` are 0, `carried` are as before and
    others null; a row of the frame whose first carried column is null is carried over as well. No row is known before
    its minute ends, nor before what is carried into it.
    """
    # To one end for all: whether a minute without anything has a row must not tell whether anything came later.
    frame = frame if until is None else frame.filter(pl.col(EVENT) <= pl.lit(until, US))
    last = frame.get_column(EVENT).max() if until is None else until
    spans = frame.group_by(*ENTITY, maintain_order=True).agg(
        pl.datetime_ranges(pl.col(EVENT).min(), pl.lit(last, US), MINUTE, time_unit="us").alias(EVENT).first()
    )
    minutes = spans.explode(EVENT).with_columns(pl.col(EVENT).cast(US))
    full = minutes.join(frame, on=[*ENTITY, EVENT], how="left", maintain_order="left")
    told = [pl.col(KNOWN), pl.col(EVENT)]
    if carried:
        held = pl.when(pl.col(carried[0]).is_not_null()).then(pl.col(KNOWN))
        told.append(held.forward_fill().over(ENTITY))
    return full.with_columns(
        *(pl.col(name).fill_null(0.0) for name in zeros),
        *(pl.col(name).forward_fill().over(ENTITY) for name in carried),
        pl.max_horizontal(told).alias(KNOWN),
    )

"""Unit slips: prices a hundred, a thousand or ten thousand times what their neighbours are."""

from collections.abc import Iterator
from math import log

import polars as pl

from quality.history.finding import Finding, found
from quality.history.robust import sigma
from quality.history.view import FEWEST, View

# Cents for dollars, Lean's ten-thousandths for prices; ten only where it comes back, since splits are 10:1 too.
SLIPS = (10, 100, 1_000, 10_000)
# What the market may move beside the slip: a tenth, or six of its usual steps, never half-way to the next slip.
ROOM, ROOM_SIGMAS, MOST_ROOM = 0.10, 6.0, 0.8
# Where a usual step is a sixth and more, as among things of different worth, no level can be told.
RESTLESS = 0.15
# Within one bar prices are close to each other: a column that is nearly a slip away from the close has slipped.
WITHIN_BAR = 0.5


def unit_slips(view: View) -> Iterator[Finding]:
    """Rows between two jumps by a power of ten, and single cells a power of ten from the rest of their bar."""
    if view.kind == "books":
        yield from _levels_of_books(view)
    if view.kind not in ("bars", "quote_bars", "trades", "quotes"):
        return
    if view.recorded.market == "option" or view.frame.height < FEWEST:
        return
    lines: set[int] = set()
    factors: set[float] = set()
    series = [view.once if view.kind in ("bars", "quote_bars") else view.priced]
    if view.kind == "quotes":
        series = [
            view.floats.filter(pl.col(side) > 0).sort("time", maintain_order=True).with_columns(_price=pl.col(side))
            for side in ("bid_price", "ask_price")
        ]
    for one in series:
        levels = _levels(one, ROOM if view.kind != "quotes" else ROOM / 5)
        slipped = levels.filter(pl.col("_level") != 0)
        lines.update(slipped["line"].to_list())
        factors.update(10.0**value for value in slipped["_level"].unique().to_list())
    cells = _cells(view)
    lines.update(cells["line"].to_list())
    rows = view.frame.filter(pl.col("line").is_in(sorted(lines)))
    if rows.height:
        told = "prices jump by a power of ten and back (or stay so for the lesser part): another unit"
        yield found(
            view.recorded, "unit_slip", "error", told, rows, factors=sorted(factors)[:5], cells_in_bars=cells.height
        )


def _levels(frame: pl.DataFrame, room: float) -> pl.DataFrame:
    """Add `_level`, the power of ten by which each row is off the level that most rows have."""
    frame = frame.with_columns(_ret=(pl.col("_price") / pl.col("_price").shift(1)).log().fill_null(0.0))
    usual = sigma(frame["_ret"])
    if usual > RESTLESS:
        return frame.with_columns(_level=pl.lit(0)).clear()
    free = min(max(room, ROOM_SIGMAS * usual), MOST_ROOM)
    step = pl.lit(0)
    for slip in SLIPS:
        near = (pl.col("_ret").abs() - log(slip)).abs() < free
        step = pl.when(near).then(pl.col("_ret").sign().cast(pl.Int32) * (len(str(slip)) - 1)).otherwise(step)
    frame = frame.with_columns(_step=step)
    tens = frame.filter(pl.col("_step").abs() == 1)["_step"]
    if len(tens) and int(tens.sum()) != 0:
        frame = frame.with_columns(_step=pl.when(pl.col("_step").abs() == 1).then(0).otherwise(pl.col("_step")))
    frame = frame.with_columns(_level=pl.col("_step").cum_sum())
    base = frame["_level"].value_counts(sort=True)["_level"][0] if frame.height else 0
    return frame.with_columns(_level=pl.col("_level") - base)


def _levels_of_books(view: View) -> Iterator[Finding]:
    """Levels whose price is a power of ten from the middle of the book: real far levels lie anywhere."""
    off = (pl.col("price") / pl.col("price").median()).log().abs()
    near = pl.any_horizontal((off - log(slip)).abs() < ROOM / 2 for slip in SLIPS[1:])
    rows = view.floats.filter(near.fill_null(False))
    if rows.height:
        yield found(view.recorded, "unit_slip", "error", "levels a power of ten away from the book", rows)


def _cells(view: View) -> pl.DataFrame:
    """Return the bars in which some prices are a power of ten away from the close."""
    parts = []
    for front in ("", "bid_", "ask_"):
        close = f"{front}close"
        if close not in view.floats.columns:
            continue
        for name in (f"{front}{one}" for one in ("open", "high", "low")):
            if name in view.floats.columns:
                away = (pl.col(name) / pl.col(close)).log().abs()
                room = WITHIN_BAR if not front else ROOM / 2  # quotes may be placeholders anywhere
                parts += [((away - log(slip)).abs() < room).fill_null(False) for slip in SLIPS[1:]]
    return view.floats.filter(pl.any_horizontal(parts)) if parts else view.floats.clear()

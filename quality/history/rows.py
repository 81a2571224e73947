"""Rows as such: unreadable ones, blank cells, repeats, order."""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from quality.history.finding import SAMPLE_SHOWN, Finding, found
from quality.history.view import View

# A time of day where a date belongs: a running day's row among whole days.
_TIME_OF_DAY = re.compile(r"""^["' ]*\d{1,2}:\d{2}(:\d{2})?["' ]*(,|$)|'\d{1,2}:\d{2}(:\d{2})?' is no date""")
BLANK_TIME = "is blank"
# Without these a row says nothing; blanks elsewhere are worth knowing.
NEEDED = {
    "bars": ("open", "high", "low", "close", "volume"),
    "trades": ("price", "quantity"),
    "quotes": (),
    "books": ("price", "quantity"),
    "returns": ("value",),
    "factors": ("price_factor", "split_factor"),
}
KEYS = {"bars": ["time"], "quote_bars": ["time"], "returns": ["time"], "factors": ["time"]}
KEYS["universe"] = ["expiry", "strike", "right"]
# A file that runs backwards nearly throughout is one in descending order, not one in disorder.
DESCENDING_SHARE = 0.8
SIDES = ("open", "high", "low", "close")


def unreadable_rows(view: View) -> Iterator[Finding]:
    """Lines that gave no row: an intraday row among days, blank times, anything else."""
    lost = view.recorded.unreadable
    if not lost.height:
        return
    intraday = pl.Series([bool(_TIME_OF_DAY.search(f"{raw}|{why}")) or bool(_TIME_OF_DAY.search(why)) for raw, why in
                          zip(lost["raw"], lost["reason"], strict=True)], dtype=pl.Boolean)  # fmt: skip
    blank = lost["reason"].str.ends_with(BLANK_TIME)
    kinds = (
        ("mixed_granularity", intraday, "a time of day stands where the others have a date: a running day's row"),
        ("unreadable_rows", ~intraday & ~blank, "lines that hold no row of this kind; what they told is missing"),
    )
    for check, mask, deduction in kinds:
        part = lost.filter(mask)
        if part.height:
            yield found(view.recorded, check, "error", deduction, part, reasons=_counted(part["reason"]))


def blank_values(view: View) -> Iterator[Finding]:
    """Blank cells where a number belongs, rows without a time among them."""
    frame, lost = view.frame, view.recorded.unreadable
    needed = [name for name in NEEDED.get(view.kind, ()) if name in frame.columns]
    whole = [name for name in needed if frame[name].null_count() == frame.height and frame.height]
    by_column = {name: frame[name].null_count() for name in needed if name not in whole and frame[name].null_count()}
    timeless = lost.filter(lost["reason"].str.ends_with(BLANK_TIME))
    rows = frame.filter(pl.any_horizontal(pl.col(list(by_column)).is_null())) if by_column else frame.clear()
    if by_column or timeless.height:
        lines = [*rows["line"].to_list(), *timeless["line"].to_list()]
        cells = sum(by_column.values()) + timeless.height
        yield found(
            view.recorded, "blank_values", "error", f"{cells} cells are blank where a number or a time belongs",
            rows, count=len(lines), lines=sorted(lines)[:20], cells=cells,
            by_column=by_column | ({"time": timeless.height} if timeless.height else {}),
        )  # fmt: skip
    if whole:
        yield found(
            view.recorded, "blank_columns", "warn", f"{', '.join(whole)}: blank throughout", frame, columns=whole
        )
    if view.recorded.notes.get("rounded"):
        yield found(
            view.recorded, "digits_beyond_18", "info", "binary floats printed in full; they were cut at 18 digits",
            count=int(str(view.recorded.notes["rounded"])),
        )  # fmt: skip


def partly_blank_sides(view: View) -> Iterator[Finding]:
    """Quote bars whose side is there in part: a whole side may be missing, half of one may not."""
    if view.kind != "quote_bars":
        return
    bad = pl.lit(False)
    for side in ("bid", "ask"):
        nulls = pl.sum_horizontal(pl.col(f"{side}_{one}").is_null().cast(pl.Int32) for one in SIDES)
        bad = bad | nulls.is_between(1, len(SIDES) - 1)
    rows = view.frame.filter(bad)
    if rows.height:
        yield found(view.recorded, "blank_values", "error", "a side has some of its four prices and lacks others", rows)


def duplicates(view: View) -> Iterator[Finding]:
    """The same row again, and another row of the same key."""
    frame = view.frame
    content = [name for name in frame.columns if name != "line"]
    key = KEYS.get(view.kind)
    if view.kind == "trades" and "trade_id" in frame.columns and frame["trade_id"].null_count() == 0:
        key = ["trade_id"]
    if view.recorded.notes.get("feed") and view.kind == "trades":
        content = [name for name in content if name != "received_time"]
    first = frame.unique(content, keep="first", maintain_order=True)
    again = frame.height - first.height
    if again:
        rows = frame.join(first.select("line"), on="line", how="anti") if not view.recorded.notes.get("feed") else first
        if key:
            told = "the same row again: sums over these rows count it twice"
            yield found(view.recorded, "duplicate_rows", "error", told, rows, count=again)
        elif view.kind == "books":
            told = "the same level again: a book takes no harm, counts of updates do"
            if "level" in frame.columns:  # a line holds many levels
                again = rows["line"].n_unique()
            yield found(view.recorded, "duplicate_rows", "warn", told, rows, count=again)
        else:
            told = "rows alike in everything: without an id they may be several orders filled alike"
            yield found(view.recorded, "identical_rows", "info", told, rows, count=again)
    if key:
        others = first.filter(first.select(key).is_duplicated())
        extra = others.height - others.select(key).n_unique()
        if extra:
            told = f"rows of the same {key[0]} that say different things: at most one of each is right"
            yield found(view.recorded, "conflicting_rows", "error", told, others, count=extra)


def order(view: View) -> Iterator[Finding]:
    """Steps back in time; a file in descending order is told as such."""
    frame = view.frame
    if frame.height < 2 or "time" not in frame.columns or view.kind == "universe":
        return
    steps = frame["time"].diff().drop_nulls().dt.total_microseconds()
    back, forth = int((steps < 0).sum()), int((steps > 0).sum())
    if not back:
        return
    descending = back >= DESCENDING_SHARE * (back + forth)
    if descending:
        told = "newest row first: whatever reads it in order sees the future first"
        yield found(view.recorded, "descending_order", "warn", told, frame, steps_back=back, steps_forth=forth)
        if not forth:
            return
        frame = frame.reverse()
    late = frame.filter(pl.col("time") < pl.col("time").cum_max())
    if view.recorded.notes.get("feed"):
        told = "the venue's times step back between messages; each is in its place by id"
        yield found(view.recorded, "time_steps_back", "info", told, late)
        return
    told = "rows that come after later ones: what is computed in the file's order is wrong"
    jumps = frame.filter(pl.col("time") < pl.col("time").shift(1))
    yield found(
        view.recorded, "unsorted_rows", "error", told, late,
        steps_back=jumps.height, first_steps=jumps["line"].head(SAMPLE_SHOWN).to_list(),
    )  # fmt: skip


def _counted(values: pl.Series) -> dict[str, Any]:
    named = values.str.replace_all(r"'[^']*'", "'...'")
    return {str(name): count for name, count in named.value_counts(sort=True).head(5).iter_rows()}

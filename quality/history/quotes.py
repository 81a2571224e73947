"""Bids and asks: crossed, one-sided, far from the market, marked as suspicious; books likewise."""

from collections.abc import Iterator

import polars as pl

from quality.history.finding import Finding, found
from quality.history.robust import sigma
from quality.history.view import FEWEST, View

# A quote a hundredth from the middle of its side's neighbours and far outside their usual distance is a placeholder.
FAR, FAR_SIGMAS, AROUND = 0.01, 30.0, 101
HOUR_S = 3_600


def crossed(view: View) -> Iterator[Finding]:
    """Bids above asks: nobody leaves such a trade open."""
    frame = view.frame
    if view.kind == "quotes":
        both = (pl.col("bid_price") > 0) & (pl.col("ask_price") > 0)
        rows = frame.filter(both & (pl.col("bid_price") > pl.col("ask_price")))
        locked = frame.filter(both & (pl.col("bid_price") == pl.col("ask_price")))
    elif view.kind == "quote_bars":
        # A fast minute may have its highest bid above its highest ask; open and close are moments.
        told = {one: (pl.col(f"bid_{one}") > 0) & (pl.col(f"ask_{one}") > 0) for one in ("open", "close")}
        over = [there & (pl.col(f"bid_{one}") > pl.col(f"ask_{one}")) for one, there in told.items()]
        rows = frame.filter(over[0] | over[1])
        locked = frame.filter(told["close"] & (pl.col("bid_close") == pl.col("ask_close")))
    else:
        return
    for severity, part in _crossings(view, rows):
        yield found(view.recorded, "crossed_quotes", severity, "bids above asks", part, locked=locked.height)
    if locked.height:
        yield found(view.recorded, "locked_quotes", "info", "bids equal to asks", locked)


def _crossings(view: View, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Part crossed rows: the first quotes of a bar, and those of hours and days, may be of different moments."""
    if view.kind == "quote_bars":
        closed = pl.col("bid_close") > pl.col("ask_close") if view.width_s < HOUR_S else pl.lit(False)
        parts = [("error", rows.filter(closed)), ("warn", rows.filter(~closed))]
    else:
        parts = [("error", rows)]
    yield from ((severity, part) for severity, part in parts if part.height)


def one_sided(view: View) -> Iterator[Finding]:
    """Quotes without a bid or without an ask."""
    frame = view.frame
    names = {"quotes": ("bid_price", "ask_price"), "quote_bars": ("bid_close", "ask_close")}.get(view.kind)
    if names is None or not frame.height:
        return
    absent = [pl.col(name).is_null() | (pl.col(name) == 0) for name in names]
    rows = frame.filter(absent[0] | absent[1])
    if not rows.height:
        return
    neither = frame.filter(absent[0] & absent[1]).height
    told = "quotes with one side only: an average of bid and ask makes no price there"
    yield found(
        view.recorded, "one_sided_quotes", "warn", told, rows, share=rows.height / frame.height, neither=neither,
        no_bid=frame.filter(absent[0]).height, no_ask=frame.filter(absent[1]).height,
    )  # fmt: skip


def far_quotes(view: View) -> Iterator[Finding]:
    """Quotes far from the others of their side: placeholders, which nobody means."""
    if view.kind != "quotes" or view.frame.height < AROUND:
        return
    lines: set[int] = set()
    farthest = 1.0
    for side in ("bid_price", "ask_price"):
        one = view.floats.filter(pl.col(side) > 0).sort("time", maintain_order=True)
        if one.height < AROUND:
            continue
        middle = pl.col(side).rolling_median(AROUND, center=True, min_samples=FEWEST)
        one = one.with_columns(_far=(pl.col(side) / middle).log().abs())
        far = one.filter(pl.col("_far") > max(FAR, FAR_SIGMAS * sigma(one["_far"])))
        lines.update(far["line"].to_list())
        farthest = max(farthest, float(far["_far"].exp().max() or 1.0))  # type: ignore[arg-type]
    rows = view.frame.filter(pl.col("line").is_in(sorted(lines)))
    if rows.height:
        told = "quotes far from the market: placeholders, not offers"
        yield found(view.recorded, "placeholder_quotes", "warn", told, rows, farthest_ratio=farthest)


def suspicious(view: View) -> Iterator[Finding]:
    """Rows that their source marks as suspicious."""
    if "suspicious" not in view.frame.columns:
        return
    rows = view.frame.filter(pl.col("suspicious"))
    if rows.height:
        yield found(view.recorded, "suspicious_rows", "warn", "the source itself marks these rows as suspicious", rows)


def books(view: View) -> Iterator[Finding]:
    """Snapshots whose best bid lies above the best ask, and those whose levels are out of order."""
    if view.kind != "books":
        return
    key = (
        "line"
        if "level" in view.frame.columns
        else next((one for one in ("last_id",) if one in view.frame.columns), "time")
    )
    there = view.frame.filter(pl.col("snapshot") & (pl.col("quantity") > 0))
    best = there.group_by(key, maintain_order=True).agg(
        pl.col("time").first(),
        pl.col("line").first().alias("_line"),
        pl.col("price").filter(pl.col("side") == "bid").max().alias("bid"),
        pl.col("price").filter(pl.col("side") == "ask").min().alias("ask"),
    )
    over = best.filter(pl.col("bid") >= pl.col("ask"))
    if over.height:
        yield found(view.recorded, "crossed_book", "error", "snapshots whose best bid is not below the best ask", over)
    if "level" in view.frame.columns:
        sign = pl.when(pl.col("side") == "ask").then(1).otherwise(-1)
        ordered = view.frame.with_columns(_step=pl.col("price").diff().over("line", "side") * sign)
        wrong = ordered.filter(pl.col("_step") <= 0)
        if wrong.height:
            told = "levels that are not farther from the market than the one before them"
            yield found(view.recorded, "levels_out_of_order", "error", told, wrong.drop("_step"))

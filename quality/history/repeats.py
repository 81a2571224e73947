"""Stale data: bars that repeat the one before, and stretches that repeat an earlier stretch."""

from collections.abc import Iterator

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import FEWEST, View

# A minute with a range and volume of many digits does not come twice in a row by chance, a second rarely.
REPEATS, REPEATS_SECONDS = 1, 3
# One-price bars of a thin market do repeat: so many minutes, or seconds, in a row, with the same volume, do not.
FLAT_REPEATS, FLAT_SECONDS = 5, 60
# Quotes stand still while nobody moves, for a quarter of an hour in options; a minute in which they moved comes once.
QUOTE_REPEATS, FLAT_QUOTES, FLAT_OPTIONS = 2, 15, 60
# Out of session a stock's minutes repeat thrice, its quotes for an hour, and nothing is wrong.
QUIET_BARS, QUIET_QUOTES = 3, 240
# Bars without trades are rare where so few bars are; so many in a row are a feed that was filled up.
RARE, FILLED = 0.05, 5
# Daily prices alike for so many days, whatever the volume.
SAME_PRICE_DAYS = 5
# A stretch of bars that comes again elsewhere: so many, since single ones may look alike.
BLOCK = 5


def stale_bars(view: View) -> Iterator[Finding]:
    """Runs of identical bars, volume included."""
    if view.kind not in ("bars", "quote_bars") or view.frame.height < 3:
        return
    if view.recorded.market == "option" and view.kind == "bars":
        return
    content = [name for name in view.frame.columns if name not in ("line", "time", "trade_count", "vwap", "adjusted")]
    if "volume" not in content and view.kind == "bars":
        return
    frame = view.frame.sort("time", maintain_order=True).unique("time", keep="first", maintain_order=True)
    same = pl.all_horizontal(pl.col(one).eq_missing(pl.col(one).shift(1)) for one in content)
    frame = frame.with_columns(_same=same.fill_null(False)).with_columns(_run=(~pl.col("_same")).cum_sum())
    repeated = frame.filter(pl.col("_same")).with_columns(_len=pl.len().over("_run"))
    # Before and after the session an American stock's bars and quotes do stand still for some minutes.
    quiet = ~view.in_session() if view.american else pl.lit(False)
    if view.kind == "quote_bars":
        still = FLAT_OPTIONS if view.recorded.market == "option" else FLAT_QUOTES
        moved = (pl.col("bid_high") > pl.col("bid_low")) | (pl.col("ask_high") > pl.col("ask_low"))
        least = still if view.recorded.market == "option" else QUOTE_REPEATS
        long = pl.col("_len") >= pl.when(quiet).then(QUIET_QUOTES).otherwise(still)
        rows = repeated.filter(long | (moved & ~quiet & (pl.col("_len") >= least)))
    else:
        ranged = (pl.col("high") > pl.col("low")) if {"high", "low"} <= set(content) else pl.lit(False)
        traded = pl.col("volume") > 0
        # A thin minute of a hundred shares does come twice: single repeats count from the usual volume on.
        thin = pl.col("volume") < float(frame["volume"].median() or 0)  # type: ignore[arg-type]
        least, flat = (REPEATS, FLAT_REPEATS) if view.width_s >= 60 else (REPEATS_SECONDS, FLAT_SECONDS)
        enough = pl.when(quiet).then(least + QUIET_BARS).when(thin).then(least + 1).otherwise(least)
        flat_enough = pl.when(quiet).then(flat + QUIET_BARS).otherwise(flat)
        rows = repeated.filter(traded & ((ranged & (pl.col("_len") >= enough)) | (pl.col("_len") >= flat_enough)))
    if rows.height:
        told = "bars that repeat the one before them in every price and the volume: the feed stood still"
        yield found(
            view.recorded, "stale_repeat", "error", told, rows, runs=rows["_run"].n_unique(), longest=rows["_len"].max()
        )


def filled_up(view: View) -> Iterator[Finding]:
    """Runs of bars without volume in a market that hardly has any."""
    if view.kind != "bars" or "volume" not in view.frame.columns:
        return
    frame = view.frame.sort("time", maintain_order=True).with_columns(_empty=(pl.col("volume") == 0).fill_null(False))
    if not 0 < int(frame["_empty"].sum()) < RARE * frame.height:
        return
    frame = frame.with_columns(_run=pl.col("_empty").rle_id()).with_columns(_len=pl.len().over("_run"))
    rows = frame.filter(pl.col("_empty") & (pl.col("_len") >= FILLED))
    if rows.height:
        told = "bars without volume in a row, in a market that trades in nearly all: gaps that were filled up"
        yield found(view.recorded, "stale_repeat", "warn", told, rows, longest=rows["_len"].max())


def same_price(view: View) -> Iterator[Finding]:
    """Days that repeat all prices of the day before, though volume is told anew."""
    need = {"open", "high", "low", "close"}
    if view.kind != "bars" or not view.daily or not need <= set(view.frame.columns):
        return
    frame = view.once.filter(pl.col("high") > pl.col("low"))
    same = pl.all_horizontal(pl.col(one) == pl.col(one).shift(1) for one in sorted(need))
    if "volume" in frame.columns:
        same = same & (pl.col("volume") != pl.col("volume").shift(1))
    rows = frame.filter(same)
    if rows.height:
        told = "days with the very prices of the day before and another volume"
        yield found(view.recorded, "stale_repeat", "warn", told, rows)


def repeated_block(view: View) -> Iterator[Finding]:
    """A stretch of bars that is a copy of an earlier one under other times."""
    need = {"open", "high", "low", "close", "volume"}
    if view.kind != "bars" or not need <= set(view.frame.columns) or view.frame.height < FEWEST:
        return
    if view.recorded.market == "option":
        return
    frame = view.once.filter((pl.col("volume") > 0) & (pl.col("high") > pl.col("low")))
    if frame.height < 2 * BLOCK:
        return
    key = pl.struct(sorted(need)).hash()
    frame = frame.with_columns(_key=key).with_row_index("_at")
    block = pl.struct([pl.col("_key").shift(-n).alias(f"k{n}") for n in range(BLOCK)]).hash()
    whole = frame.with_columns(_block=block).head(frame.height - BLOCK + 1)
    starts = whole.filter(pl.col("_block").is_duplicated())
    if not starts.height:
        return
    starts = starts.with_columns(_first=pl.col("_at").min().over("_block"))
    copies = starts.filter((pl.col("_at") - pl.col("_first")) >= BLOCK)["_at"].to_list()
    if not copies:
        return
    at = sorted({start + n for start in copies for n in range(BLOCK)})
    rows = frame.filter(pl.col("_at").is_in(at))
    told = f"{BLOCK} bars and more in a row are those of an earlier time again: a copied stretch"
    yield found(view.recorded, "repeated_block", "error", told, rows)

"""Coarser rows against the finer ones that they are made of: trades and bars, bars and days."""

from collections.abc import Iterator, Sequence

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import DAY_S, View

ENOUGH = 20
# Sums of decimals agree to the last digit; venues and vendors leave some trades out of bars: half a percent.
ROOM = 0.005
# Where most bars differ, the two are made by different rules, which is worth knowing and no error.
OTHER_RULES = 0.5
# Rules choose among trades of one market: prices a twentieth apart in a tenth of the bars are of another one.
PRICES_OFF, WRONG = 0.05, 0.1


def rollups(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """Bars against sums of the other file's finer rows, whichever of the two is looked at."""
    for other in others:
        same = other.recorded.instrument == view.recorded.instrument or other.recorded.notes.get("against")
        if not same or not other.frame.height or not view.frame.height:
            continue
        coarse, fine = (view, other) if _grain(view) > _grain(other) else (other, view)
        if coarse.kind != "bars" or fine.kind not in ("bars", "trades") or _grain(coarse) == _grain(fine):
            continue
        if coarse.width_s > DAY_S or not coarse.width_s:
            continue
        if coarse.width_s == DAY_S and fine.recorded.market == "equity":
            yield from _session(view, coarse, fine)
        else:
            yield from _summed(view, coarse, fine)


def _grain(view: View) -> int:
    return 0 if view.kind == "trades" else view.width_s


def _summed(view: View, coarse: View, fine: View) -> Iterator[Finding]:
    """Compare bar by bar; the first and the last bar that the finer rows touch are left out: they may be in part."""
    step = f"{coarse.width_s}s"
    size = "volume" if fine.kind == "bars" else "quantity"
    if size not in fine.frame.columns or "volume" not in coarse.frame.columns:
        return
    price = {"high": "high", "low": "low"} if fine.kind == "bars" and "high" in fine.frame.columns else {}
    ordered = fine.frame.sort("time", maintain_order=True).with_columns(at=pl.col("time").dt.truncate(step))
    told_price = "close" if fine.kind == "bars" else "price"
    sums = ordered.group_by("at", maintain_order=True).agg(
        pl.col(size).sum().alias("_volume"),
        pl.col(price.get("high", told_price)).max().alias("_high"),
        pl.col(price.get("low", told_price)).min().alias("_low"),
        pl.len().alias("_rows"),
    )
    whole_day = coarse.width_s == DAY_S
    sums = sums if whole_day else sums.slice(1, max(0, sums.height - 2))
    first, last = coarse.times[0], coarse.times[-1]
    absent = sums.filter(pl.col("at").is_between(first, last) & (pl.col("_volume") > 0)).rename({"at": "time"})
    absent = absent.join(coarse.frame.select("time"), on="time", how="anti").sort("time")
    if absent.height and not whole_day:
        told = "times at which the finer rows tell of trades and the coarser ones have no bar"
        yield found(
            view.recorded, "missing_bars", "warn", told, absent.select("time", "_rows"), coarse=coarse.recorded.dataset,
            fine=fine.recorded.dataset,
        )  # fmt: skip
    both = coarse.frame.join(sums, left_on="time", right_on="at").filter(pl.col("volume") > 0)
    if both.height < (1 if whole_day else ENOUGH):
        return
    floats = both.with_columns(pl.selectors.decimal().cast(pl.Float64))
    off = (pl.col("_volume") / pl.col("volume") - 1).abs() > ROOM
    if "high" in coarse.frame.columns:
        off = (
            off
            | ((pl.col("_high") / pl.col("high") - 1).abs() > ROOM)
            | ((pl.col("_low") / pl.col("low") - 1).abs() > ROOM)
        )
    bad = floats.filter(off)
    if bad.height:
        share = bad.height / floats.height
        rules = share > OTHER_RULES and not whole_day
        told = (
            "most bars differ from the sums of the finer rows: the two are made by different rules"
            if rules
            else "bars that are not the sum of the finer rows: rows are missing or too many in one of the two"
        )
        wide = (pl.col("_high") / pl.col("high")).log().abs() > PRICES_OFF if "high" in bad.columns else pl.lit(False)
        severity = "error" if bad.filter(wide).height > WRONG * floats.height else "warn"
        yield found(
            view.recorded, "rollup_differs", severity, told, bad, compared=floats.height,
            coarse=coarse.recorded.dataset, fine=fine.recorded.dataset, share=share,
        )  # fmt: skip


def _session(view: View, coarse: View, fine: View) -> Iterator[Finding]:
    """Compare a stock's day with the range of its session's minutes: the day's high and low lie in it."""
    days = fine.sessions
    for day, begin, end in days.iter_rows():
        row = coarse.floats.filter(pl.col("time").dt.date() == day)
        inside = fine.priced.filter((pl.col("time") >= begin) & (pl.col("time") < end))
        if not row.height or inside.height < ENOUGH or "high" not in row.columns:
            continue
        high = float(inside["high" if "high" in inside.columns else "_price"].max() or 0.0)  # type: ignore[arg-type]
        low = float(inside["low" if "low" in inside.columns else "_price"].min() or 0.0)  # type: ignore[arg-type]
        off = max(abs(high / float(row["high"][0]) - 1), abs(low / float(row["low"][0]) - 1))
        if off > 2 * ROOM:
            told = "the day's high and low are not those of the session's minutes: a wrong day, unit or share"
            yield found(
                view.recorded, "rollup_differs", "error", told, row, off=off, high=high, low=low,
                coarse=coarse.recorded.dataset, fine=fine.recorded.dataset,
            )  # fmt: skip

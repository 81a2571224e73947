"""Option universes, names of securities, and factor files."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import polars as pl

from quality.history.finding import Finding, found
from quality.history.moves import RATIOS
from quality.history.view import FEWEST, View

# An implied volatility of 300 % is that of a company about to fail; on every strike of a stock it is an artefact.
ABSURD_IV = 3.0
# Below half of the options with one, no smile can be drawn.
LEAST_IV_SHARE = 0.5
# Neighbouring strikes of one expiry differ by a fifth at most; a fourth of the median is inconsistent.
UNEVEN = 4.0
# Listed strikes are multiples of half a unit; those of a split are theirs divided by its ratio.
STRIKE_STEP, STRIKE_SHARE = 0.5, 0.2
_PRICES = ("open", "high", "low", "close")
_UNDERLYING = (*_PRICES, "volume")


def universe(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """Check a day's options: prices of nothing, implied volatilities, open interest, strikes, the underlying."""
    if view.kind != "universe" or not view.frame.height:
        return
    rows = view.floats.filter(pl.col("strike").is_not_null())
    empty = rows.filter(pl.all_horizontal(pl.col(one).fill_null(0) == 0 for one in (*_PRICES, "implied_volatility")))
    if rows.height and empty.height == rows.height:
        told = "all prices and greeks are 0: the day's options were not filled in"
        severity = "error" if rows.height >= FEWEST else "warn"
        yield found(view.recorded, "zeros_throughout", severity, told, empty)
    else:
        yield from _volatilities(view, rows)
    blank = rows.filter(pl.col("open_interest").is_null())
    if blank.height:
        yield found(view.recorded, "blank_open_interest", "warn", "options without open interest", blank)
    yield from _strikes(view, rows, others)
    yield from _underlying(view, others)


def greeks(view: View) -> Iterator[Finding]:
    """Greeks lie where the formulas put them: delta within one, gamma, vega and volatility not below 0."""
    if view.kind != "universe":
        return
    off = [pl.col("delta").abs() > 1 + 1e-9, *(pl.col(one) < 0 for one in ("gamma", "vega", "implied_volatility"))]
    rows = view.floats.filter(pl.any_horizontal(off).fill_null(False))
    if rows.height:
        yield found(view.recorded, "greeks_range", "error", "greeks or volatilities that no formula gives", rows)


def _volatilities(view: View, rows: pl.DataFrame) -> Iterator[Finding]:
    iv = pl.col("implied_volatility")
    told_iv = rows.filter(iv > 0)
    if told_iv.height < LEAST_IV_SHARE * rows.height:
        told = "fewer than half of the options have an implied volatility"
        lacking = rows.filter(iv.fill_null(0) <= 0)
        yield found(view.recorded, "missing_iv", "warn", told, lacking, with_iv=told_iv.height, options=rows.height)
    absurd = rows.filter(iv > ABSURD_IV)
    if absurd.height:
        yield found(view.recorded, "absurd_iv", "warn", f"implied volatilities above {ABSURD_IV:.0%}", absurd)
    usual = iv.median().over("expiry")
    uneven = told_iv.filter((iv < ABSURD_IV) & (iv * UNEVEN < usual))
    if uneven.height:
        told = "implied volatilities a fourth of their expiry's median and less: no smile holds both"
        yield found(view.recorded, "uneven_smile", "warn", told, uneven)


def _strikes(view: View, rows: pl.DataFrame, others: Sequence[View]) -> Iterator[Finding]:
    strikes = rows["strike"].unique()
    odd = strikes.filter(((strikes / STRIKE_STEP) - (strikes / STRIKE_STEP).round()).abs() > 1e-6)
    if len(odd) < max(5, STRIKE_SHARE * len(strikes)):
        return
    for ratio in RATIOS:
        whole = odd * ratio / STRIKE_STEP
        if float(((whole - whole.round()).abs() <= ratio * 0.0051 / STRIKE_STEP).mean() or 0) < 0.95:  # type: ignore[arg-type]
            continue
        part = rows.filter(pl.col("strike").is_in(odd.implode()))
        split = _next_split(others, view.recorded.day)
        if split is None:
            told = f"strikes that are whole only times {ratio:g}: adjusted for a split"
            yield found(view.recorded, "adjusted_strikes", "warn", told, part, ratio=ratio)
        elif abs(split[1] - ratio) < 0.01 * ratio:
            told = (
                f"strikes are divided by {ratio:g} though the split comes only after {split[0]}: looked back from later"
            )
            yield found(view.recorded, "adjusted_strikes", "error", told, part, ratio=ratio, split_day=split[0])
        return


def _next_split(others: Sequence[View], day: date | None) -> tuple[date, float] | None:
    """Return the last day before the next split and its ratio, from a factor file beside; None where nothing tells."""
    factors = next((one for one in others if one.kind == "factors"), None)
    if factors is None or day is None:
        return None
    rows = factors.floats.sort("time")
    rows = rows.with_columns(_ratio=rows["split_factor"].shift(-1) / rows["split_factor"])
    for row in rows.filter(pl.col("time").dt.date() >= day).to_dicts():
        if row["_ratio"] and abs(row["_ratio"] - 1) > 1e-3:
            return row["time"].date(), row["_ratio"]
    return None


def _underlying(view: View, others: Sequence[View]) -> Iterator[Finding]:
    mine = _row(view)
    for other in others:
        theirs = _row(other) if other.kind == "universe" and other.recorded.day != view.recorded.day else None
        if mine is not None and mine == theirs:
            told = f"the underlying's row is that of {other.recorded.day}, volume included: one of them is a copy"
            row = view.frame.filter(pl.col("strike").is_null())
            yield found(view.recorded, "stale_underlying", "error", told, row, same_as=other.recorded.dataset)


def _row(view: View) -> tuple[Any, ...] | None:
    rows = view.frame.filter(pl.col("strike").is_null())
    if not rows.height or not rows["volume"][0]:
        return None
    return tuple(rows.select(_UNDERLYING).row(0))


def names(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """A security that had other tickers, and a ticker that other securities had."""
    if view.kind == "bars" and view.daily:
        yield from _renamed_in(view, others)
    if view.kind != "maps" or not view.frame.height:
        return
    mine = _spans(view)
    if len({ticker for ticker, _, _ in mine}) > 1:
        told = "the security was renamed: a history under its last ticker alone lacks what came before"
        spans = [{"ticker": ticker, "until": until} for ticker, _, until in mine]
        yield found(view.recorded, "renamed_ticker", "warn", told, view.frame, tickers=spans)
    used: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for other in others:
        if other.kind == "maps" and other.recorded.instrument != view.recorded.instrument:
            for ticker, since, until in _spans(other):
                used[ticker].append({"security": other.recorded.instrument, "from": since, "to": until})
    for ticker in dict.fromkeys(ticker for ticker, _, _ in mine):
        if ticker in used:
            told = f"{ticker} named another security at other times: one ticker, two instruments"
            spans = [{"from": since, "to": until} for name, since, until in mine if name == ticker]
            yield found(
                view.recorded, "reused_ticker", "warn", told, view.frame, ticker=ticker, here=spans,
                elsewhere=used[ticker],
            )  # fmt: skip


def _spans(view: View) -> list[tuple[str, date, date]]:
    """Return each ticker with the first and last day on which it named the security."""
    rows = view.frame.sort("time")
    days, tickers = rows["time"].dt.date().to_list(), rows["ticker"].to_list()
    spans: list[tuple[str, date, date]] = []
    since = days[0]
    for day, ticker in zip(days[1:], tickers[1:], strict=True):
        spans.append((ticker, since, day))
        since = day
    return spans or [(tickers[0], days[0], days[0])]


def _renamed_in(view: View, others: Sequence[View]) -> Iterator[Finding]:
    maps = next((one for one in others if one.kind == "maps"), None)
    if maps is None or not maps.frame.height:
        return
    for ticker, since, until in _spans(maps):
        if ticker != view.recorded.instrument:
            days = pl.col("time").dt.date()
            rows = view.frame.filter((days >= since) & (days <= until))
            if rows.height:
                told = f"on these days the security was called {ticker}"
                yield found(view.recorded, "renamed_ticker", "info", told, rows, ticker=ticker, last_day=until)


def factors(view: View) -> Iterator[Finding]:
    """Factors are above zero, and price factors at most one."""
    if view.kind != "factors":
        return
    bad = view.frame.filter(
        (pl.col("price_factor") <= 0) | (pl.col("split_factor") <= 0) | (pl.col("price_factor") > 1)
    )
    if bad.height:
        yield found(view.recorded, "factor_range", "error", "factors outside 0 to 1: adjusted prices are wrong", bad)
    if view.frame.filter(pl.col("price_factor").diff() < 0).height:
        told = "price factors that fall with time: a dividend paid backwards"
        rows = view.frame.filter(pl.col("price_factor").diff() < 0)
        yield found(view.recorded, "factor_order", "warn", told, rows)

"""Moves of price: splits that nobody adjusted, crashes, bad prints, all against a robust baseline."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import exp, inf, log
from typing import Any

import polars as pl

from quality.history.finding import Finding, found
from quality.history.robust import sigma, with_returns
from quality.history.view import DAY_S, FEWEST, View

# Splits and their opposites as companies make them.
RATIOS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50)
# A split moves the price at least by a third down; smaller stock dividends look like any bad day.
LEAST_SPLIT = log(1.4)
# What the day itself may move beside the split: 3 %, or four of its usual days, and an eighth of the split at most.
SPLIT_ROOM, SPLIT_SIGMAS, SPLIT_MOST = 0.03, 4.0, 1 / 8
# A split stands out of its neighbourhood; in a crisis days of this size are no rarity.
STANDS_OUT = 8.0
# In a crash many times the usual volume changes hands; after a split the usual dollars (or shares) do.
CALM_VOLUME = log(2.5)
# So far beyond the usual move a return is told: in 23 years of a stock a dozen days are.
OUTLIER_SIGMAS, OUTLIER_LEAST = 12.0, {True: 0.12, False: 0.03}
CRASH = 0.25
# A bad print comes back at once: what remains of the move is less than a fifth.
COMES_BACK = 0.2
# The price on the day before a corporate action, which factor files repeat, is that day's close.
REFERENCE_ROOM = 0.01
SHOWN = 12
# Over weeks without rows a price may go anywhere, and the ticker may be another company's.
AWAY = timedelta(days=30)


def splits_and_jumps(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """Tell splits (explained or not) from crashes and bad prints."""
    if view.kind not in ("bars", "quote_bars") or view.recorded.market == "option" or view.once.height < FEWEST:
        return
    frame = with_returns(view.once)
    large = frame.with_row_index("_at").filter(
        pl.col("_ret").abs()
        > pl.max_horizontal(OUTLIER_SIGMAS * pl.col("_sigma"), OUTLIER_LEAST[view.width_s >= DAY_S])
    )
    actions = _actions(others)
    if "split" in view.frame.columns:
        told = view.floats.filter((pl.col("split") != 1) & (pl.col("split") > 0))
        actions = {**(actions or {}), **{row["time"].date(): 1 / row["split"] for row in told.to_dicts()}}
    sorts: dict[str, list[dict[str, Any]]] = {"split": [], "split_unadjusted": [], "crash": [], "return_outlier": []}
    candidates = large
    if view.width_s >= DAY_S:
        wide = frame.with_row_index("_at").filter(pl.col("_ret").abs() > LEAST_SPLIT)
        candidates = pl.concat([large, wide]).unique("_at", maintain_order=True).sort("_at")
    for row in candidates.to_dicts():
        verdict, why = _verdict(frame, row, view, actions)
        if verdict:
            sorts[verdict].append({"line": row["line"], "time": row["time"], "ratio": exp(row["_ret"]), "why": why})
    deductions = {
        "split": ("info", "jumps that the corporate actions explain: raw prices, adjust them before taking returns"),
        "split_unadjusted": ("warn", "a round ratio at the usual volume: a split that nobody adjusted or told"),
        "crash": ("warn", "far moves that no split explains: genuine, or a wrong price"),
        "return_outlier": ("warn", "returns far outside the usual; those that come back at once may be bad prints"),
    }
    for check, rows in sorts.items():
        if rows:
            severity, told_as = deductions[check]
            part = frame.filter(pl.col("line").is_in([one["line"] for one in rows]))
            yield found(view.recorded, check, severity, told_as, part, jumps=rows[:SHOWN])
    if actions and view.daily and view.recorded.market == "equity":
        yield from _already_adjusted(view, frame, actions)


def _verdict(frame: pl.DataFrame, row: dict[str, Any], view: View, actions: dict[Any, float] | None) -> tuple[str, str]:
    ratio, size, at = exp(row["_ret"]), abs(row["_ret"]), row["_at"]
    room = min(max(SPLIT_ROOM, SPLIT_SIGMAS * row["_sigma"]), SPLIT_MOST * size)
    before = frame["time"][at - 1]
    for day, expected in (actions or {}).items():
        if before.date() <= day <= row["time"].date() and expected != 1 and abs(row["_ret"] - log(expected)) < 2 * room:
            return "split", f"a split of {1 / expected:g} for 1 on {day}"
    after = frame["_price"][at + 1] if at + 1 < frame.height else None
    returns = after is not None and abs(log(after / frame["_price"][at - 1])) < COMES_BACK * size
    if size > LEAST_SPLIT and not returns and view.calendar != "always":
        round_to = min(RATIOS, key=lambda one: abs(log(one) - size))
        off = abs(log(round_to) - size)
        if frame["time"][at] - before > AWAY:
            return "crash", f"x{ratio:.3f} after {(frame['time'][at] - before).days} days without rows"
        calm, moved = (
            (off < SPLIT_ROOM, 1.0)
            if view.width_s < DAY_S
            else _volume(frame, at, round_to if ratio < 1 else 1 / round_to)
        )
        if off <= room and calm and view.width_s <= DAY_S and size > STANDS_OUT * row["_sigma"]:
            return "split_unadjusted", f"{round_to:g} to 1 within {off:.3f}, volume x{moved:.2f}"
        if size > CRASH:
            return "crash", f"x{ratio:.3f}: {off:.3f} from {round_to:g} to 1, volume x{moved:.2f}: no split"
    if size <= OUTLIER_SIGMAS * row["_sigma"]:
        return ("crash", f"x{ratio:.3f}") if size > LEAST_SPLIT else ("", "")
    if returns:
        return "return_outlier", f"x{ratio:.4f}, and back at once: {size / row['_sigma']:.0f} sigmas"
    if size > CRASH and view.width_s >= DAY_S:
        return "crash", f"x{ratio:.3f}: {size / row['_sigma']:.0f} sigmas"
    return "return_outlier", f"x{ratio:.4f}: {size / row['_sigma']:.0f} sigmas"


def _volume(frame: pl.DataFrame, at: int, ratio: float) -> tuple[bool, float]:
    """Tell whether the volume of the row is the usual, in shares or in money, and how many times it is."""
    if "volume" not in frame.columns:
        return True, 1.0
    usual = float(frame["volume"][max(0, at - 5) : at].median() or 0)  # type: ignore[arg-type]
    now = float(frame["volume"][at : at + 3].median() or 0)  # type: ignore[arg-type]
    today = float(frame["volume"][at] or 0)
    if usual <= 0 or now <= 0 or today <= 0:
        return True, 1.0
    calm = all(log(one / usual) <= CALM_VOLUME or abs(log(one / usual / ratio)) <= CALM_VOLUME for one in (now, today))
    return calm, today / usual


def _actions(others: Sequence[View]) -> dict[Any, float] | None:
    """Return the splits that a factor file tells: the last day before each, and the price's factor."""
    for one in others:
        if one.kind == "factors":
            rows = one.floats.sort("time")
            after = rows["split_factor"].shift(-1)
            table = pl.DataFrame({"day": rows["time"].dt.date(), "ratio": rows["split_factor"] / after}).drop_nulls()
            return {day: ratio for day, ratio in table.iter_rows() if abs(ratio - 1) > 1e-3}
    return None


def _already_adjusted(view: View, frame: pl.DataFrame, actions: dict[Any, float]) -> Iterator[Finding]:
    """A split that the actions tell and the raw prices don't show: they are adjusted, or of another share."""
    days = frame["time"].dt.date()
    for day, ratio in sorted(actions.items()):
        after = frame.filter(days > day).head(1)
        if not after.height or not (days <= day).any() or abs(log(ratio)) < LEAST_SPLIT / 2:
            continue
        move = float(after["_ret"][0] or 0.0)
        if abs(move) < abs(log(ratio)) / 2:
            told = f"the factor file tells a split of {1 / ratio:g} for 1, but prices go on: they are adjusted already"
            yield found(view.recorded, "already_adjusted", "error", told, after, split_day=day, expected_ratio=ratio)


def reference_prices(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """The close on the day before a corporate action, as the factor file repeats it."""
    factors = next((one for one in others if one.kind == "factors" and "reference_price" in one.frame.columns), None)
    if factors is None or not view.daily or view.kind != "bars":
        return
    said = factors.floats.filter(pl.col("reference_price") > 1).select(
        pl.col("time"), pl.col("reference_price").alias("_said")
    )
    both = view.once.join(said, on="time").with_columns(_off=(pl.col("close") / pl.col("_said")).log())
    if both.height < 3:
        return
    off = both.filter(pl.col("_off").abs() > REFERENCE_ROOM)
    middle = float(both["_off"].median() or 0.0)  # type: ignore[arg-type]
    if abs(middle) > REFERENCE_ROOM:
        told = "closes are not those that the factor file repeats: another unit, an adjusted series, or another share"
        yield found(
            view.recorded, "reference_price_differs", "error", told, off, ratio=exp(middle), compared=both.height
        )
    elif off.height:
        told = "closes that are not those that the factor file repeats"
        yield found(view.recorded, "reference_price_differs", "warn", told, off, compared=both.height)


# Trades a twentieth from the middle of their neighbours, and far outside their usual distance.
FAR_TRADE, FAR_SIGMAS, AROUND = 0.05, 30.0, 51


def far_trades(view: View) -> Iterator[Finding]:
    """Trades far from the trades around them."""
    if view.kind != "trades" or view.priced.height < AROUND or not view.recorded.market:
        return
    middle = pl.col("_price").rolling_median(AROUND, center=True, min_samples=FEWEST)
    frame = view.priced.with_columns(_far=(pl.col("_price") / middle).log().abs())
    usual = sigma(frame["_far"]) or 1e-6
    rows = frame.filter(pl.col("_far") > max(FAR_TRADE, FAR_SIGMAS * usual))
    if rows.height:
        worst = float(rows["_far"].max() or inf)  # type: ignore[arg-type]
        told = "trades far from those around them: bad prints, or reported late"
        yield found(view.recorded, "return_outlier", "warn", told, rows.drop("_far"), farthest=exp(worst))

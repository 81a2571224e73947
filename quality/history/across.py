"""A series against others of the same instrument: prices, clocks, copies, ends."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import exp, log

import polars as pl

from quality.history.finding import Finding, found
from quality.history.robust import sigma
from quality.history.view import DAY_S, View

PRICED = ("bars", "quote_bars", "trades", "quotes")
ENOUGH = 30
# Trades lie within the quotes; the last of a minute and the middle of its quotes differ by a few spreads, never by 3 %.
FAR, FAR_TIMES = 0.03, 30.0
# Another unit, share or day: all prices are off by this, in the middle.
OFF = 0.02
# A shifted clock shows when another lag fits four times better, and the misfit is more than a few basis points.
LAG_STEP_MIN, LAG_MOST_MIN, BETTER, MISFIT = 15, 14 * 60, 0.25, 3e-4
LAG_ENOUGH = 100
# Markets around the clock don't stop trading for an hour while quotes go on.
STOPS = timedelta(minutes=60)
STOPS_THIN = timedelta(minutes=150)
COPY_SHARE, COPY_ENOUGH = 0.9, 20
# Over midnight a market around the clock moves as over any minute: thirty usual steps, half a percent, are too much.
JOINT_STEPS, JOINT_SIGMAS, JOINT_LEAST, JOINT_ERROR = 5, 30.0, 0.004, 0.25


def series(view: View) -> pl.DataFrame:
    """Return the last price of each bar or minute: `at`, `_price`, first line of it."""
    step = f"{max(60, view.width_s)}s"
    rows = view.priced.with_columns(at=pl.col("time").dt.truncate(step))
    return rows.group_by("at", maintain_order=True).agg(pl.col("_price").last(), pl.col("line").first())


def comparable(view: View, others: Sequence[View]) -> Iterator[View]:
    """Yield the others with prices of the same instrument and the same width of time."""
    for other in others:
        same = other.recorded.instrument == view.recorded.instrument or other.recorded.notes.get("against")
        if other.kind not in PRICED or not same or not other.frame.height:
            continue
        if max(60, view.width_s) == max(60, other.width_s):
            yield other


def prices(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """Prices and clock against another file of the same instrument and time."""
    if view.kind not in PRICED or not view.frame.height or view.recorded.market == "option":
        return
    for other in comparable(view, others):
        ours, theirs = series(view), series(other)
        both = _joined(ours, theirs, 0)
        name = other.recorded.dataset
        if both.height < ENOUGH:
            continue
        middle = float(both["_off"].median() or 0.0)  # type: ignore[arg-type]
        misfit = float(both["_off"].abs().median() or 0.0)  # type: ignore[arg-type]
        lag = _lag(ours, theirs, misfit) if max(60, view.width_s) < DAY_S else 0
        if lag:
            told = f"the prices of the other file fit when this one's times are moved by {lag} minutes"
            yield found(
                view.recorded, "clock_shift", "error", told, view.frame, against=name, minutes=lag, misfit=misfit
            )
        elif abs(middle) > OFF:
            told = "prices are off those of the other file throughout: another unit, share or day"
            yield found(
                view.recorded, "price_differs", "error", told, view.frame, against=name, ratio=exp(middle),
                compared=both.height,
            )  # fmt: skip
        else:
            far = both.filter(pl.col("_off").abs() > max(FAR, FAR_TIMES * misfit)).rename({"at": "time"})
            if far.height:
                told = "prices far from those of the other file at the same time"
                yield found(
                    view.recorded, "price_differs", "warn", told, far, against=name, compared=both.height,
                    usual=misfit,
                )  # fmt: skip


def _joined(ours: pl.DataFrame, theirs: pl.DataFrame, lag_min: int) -> pl.DataFrame:
    moved = ours.with_columns(pl.col("at") + timedelta(minutes=lag_min))
    both = moved.join(theirs.select("at", pl.col("_price").alias("_theirs")), on="at")
    return both.with_columns(_off=(pl.col("_price") / pl.col("_theirs")).log())


def _lag(ours: pl.DataFrame, theirs: pl.DataFrame, misfit: float) -> int:
    """Return by how many minutes ours must be moved to fit theirs, 0 where they fit best as they are."""
    if misfit < MISFIT:
        return 0
    best, fit = 0, misfit
    for lag in range(-LAG_MOST_MIN, LAG_MOST_MIN + 1, LAG_STEP_MIN):
        both = _joined(ours, theirs, lag)
        if lag and both.height >= LAG_ENOUGH:
            here = float(both["_off"].abs().median() or 0.0)  # type: ignore[arg-type]
            if here < fit:
                best, fit = lag, here
    return best if fit < BETTER * misfit else 0


def copies(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """A file whose rows are those of another day."""
    if view.kind not in PRICED or view.recorded.day is None or view.frame.height < COPY_ENOUGH:
        return
    content = [name for name in view.frame.columns if name not in ("line", "time", "received_time")]
    ours = view.frame.select(_minute(), *content)
    for other in others:
        if other.kind != view.kind or other.recorded.day in (None, view.recorded.day):
            continue
        if other.recorded.instrument != view.recorded.instrument or other.width_s != view.width_s:
            continue
        if set(content) - set(other.frame.columns):
            continue
        theirs = other.frame.select(_minute(), *content).unique()
        same = ours.join(theirs, on=["_at", *content], how="semi", nulls_equal=True).height
        if same >= COPY_SHARE * view.frame.height:
            told = f"the rows are those of {other.recorded.day}: one of the two days holds the other's file"
            yield found(
                view.recorded, "stale_file", "error", told, view.frame, same_as=other.recorded.dataset, same=same
            )


def _minute() -> pl.Expr:
    return (pl.col("time").dt.epoch("us") % (DAY_S * 1_000_000)).alias("_at")


def joints(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """Where one day's file ends and the next one's begins, prices go on: markets around the clock have no night."""
    if view.calendar != "always" or view.recorded.day is None or view.once.height < ENOUGH:
        return
    step = timedelta(seconds=max(60, view.width_s))
    usual = sigma((view.once["_price"] / view.once["_price"].shift(1)).log())
    for other in others:
        same = other.kind == view.kind and other.recorded.instrument == view.recorded.instrument
        if not same or other.width_s != view.width_s or not other.once.height:
            continue
        first, second = (view, other) if view.times[0] < other.times[0] else (other, view)
        pause = second.times[0] - first.times[-1]
        if not timedelta(0) < pause <= JOINT_STEPS * step:
            continue
        before, after = first.once["_price"][-1], second.once["_price"][0]
        move = abs(log(after / before))
        if move > max(JOINT_LEAST, JOINT_SIGMAS * usual):
            told = "prices jump between this day's file and the next or last one's: a wrong day, unit or clock"
            yield found(
                view.recorded, "day_joint", "error" if move > JOINT_ERROR else "warn", told, count=0,
                since=first.times[-1], until=second.times[0], against=other.recorded.dataset,
                before=before, after=after, usual_step=usual,
            )  # fmt: skip


def ends(view: View, others: Sequence[View]) -> Iterator[Finding]:
    """A recording that stops, or begins, hours away from the other recording of its day."""
    if view.kind not in PRICED or view.recorded.day is None or not view.frame.height:
        return
    if view.recorded.market == "option" or view.american:  # before and after the session trades are few
        return
    room = STOPS if view.calendar == "always" else STOPS_THIN
    for other in others:
        if other.recorded.day != view.recorded.day or other.kind not in PRICED or not len(other.times):
            continue
        if other.recorded.instrument != view.recorded.instrument:
            continue
        late, early = other.times[-1] - view.times[-1], view.times[0] - other.times[0]
        for gap, since, until, why in (
            (late, view.times[-1], other.times[-1], "stops while the other recording of the day goes on"),
            (early, other.times[0], view.times[0], "begins long after the other recording of the day"),
        ):
            if gap > room:
                rows = other.frame.filter(pl.col("time").is_between(since, until)).height
                told = f"the recording {why}"
                yield found(
                    view.recorded, "truncated_day", "error", told, count=rows, since=since, until=until,
                    against=other.recorded.dataset, minutes=gap / timedelta(minutes=1),
                )  # fmt: skip

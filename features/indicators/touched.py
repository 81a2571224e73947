"""What a late correction touches: which rows change, which bars they need, and those rows made again."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from features.indicators.declared import Times, Use
from features.indicators.frames import SERIES, TIME, US, compute, ordered
from features.indicators.volume import DAY_US

Range = tuple[int, int]  # first and last row, both included


def affected(use: Use, times: Times, corrected: Times, sessions: Times | None = None) -> list[Range]:
    """Return the rows of one series whose values change when the bars of `corrected` times come, go or change.

    times: the series' bars in order, microseconds, as they are now. `sessions`: each bar's session, where the
    indicator begins anew with it. Values of other rows change by no more than the lookback's `rest` says.
    """
    if not len(times):
        return []
    lookback = use.lookback
    # A bar that went away touches from the row that took its place.
    firsts = np.unique(np.searchsorted(times, corrected))
    firsts = firsts[firsts < len(times)]
    if lookback.bars is not None:
        lasts = np.minimum(firsts + lookback.bars, len(times) - 1)
    elif lookback.anchor:
        anchors = _anchors(lookback.anchor, times, sessions)
        lasts = np.searchsorted(anchors, anchors[firsts], side="right") - 1
    else:
        lasts = np.full(len(firsts), len(times) - 1)
    return _merged(zip(firsts.tolist(), lasts.tolist(), strict=True))


def needed(use: Use, times: Times, first: int, sessions: Times | None = None) -> int:
    """Return the first row that has to be read to make row `first` again."""
    lookback = use.lookback
    if lookback.bars is not None:
        return max(0, first - lookback.bars)
    if not lookback.anchor:
        return 0
    anchors = _anchors(lookback.anchor, times, sessions)
    return int(np.searchsorted(anchors, anchors[first]))


def touched_days(uses: Sequence[Use], times: Times, corrected: Times) -> list[date]:
    """Return the UTC days of one series in which corrected bars change a value: the partitions to make again.

    Indicators that begin anew with a session are not asked: a session is made again as a whole.
    """
    found = [span for use in uses if use.lookback.anchor != "session" for span in affected(use, times, corrected)]
    rows = [np.unique(np.floor_divide(times[first : last + 1], DAY_US)) for first, last in _merged(sorted(found))]
    numbers = np.unique(np.concatenate(rows)).tolist() if rows else []
    return [date(1970, 1, 1) + timedelta(days=number) for number in numbers]


def recompute(
    bars: pl.DataFrame,
    uses: Sequence[Use],
    corrected: pl.DataFrame,
    *,
    series: Sequence[str] = SERIES,
    time: str = TIME,
) -> pl.DataFrame:
    """Return the rows, as `compute` makes them, that the corrected bars touch; no others.

    bars: as they are now. corrected: series and time of every bar that came, went or changed.
    """
    frame = ordered(bars, uses, series, time)
    keys = corrected.select(*series, pl.col(time).cast(US)).unique()
    parts = []
    for key, of_series in keys.group_by(series, maintain_order=True):
        own = frame.filter(*(pl.col(name) == value for name, value in zip(series, key, strict=True)))
        times = own.get_column(time).dt.timestamp("us").to_numpy()
        changed = of_series.get_column(time).dt.timestamp("us").to_numpy()
        sources = [_source(use, own, times) for use in uses]
        # A bar that lacks an input is not counted, but its own row is made again: it may have had a value.
        itself = np.flatnonzero(np.isin(times, changed))
        ranges = [(row, row) for row in itself.tolist()]
        for use, (rows, held, sessions) in zip(uses, sources, strict=True):
            found = affected(use, held, changed, sessions)
            ranges += [(int(rows[first]), int(rows[last])) for first, last in found]
        for first, last in _merged(sorted(ranges)):
            start = first
            for use, (rows, held, sessions) in zip(uses, sources, strict=True):
                place = int(np.searchsorted(rows, first))
                if place < len(rows):
                    start = min(start, int(rows[needed(use, held, place, sessions)]))
            again = compute(own[start : last + 1], uses, series=series, time=time)
            parts.append(again[first - start :])
    return pl.concat(parts) if parts else compute(frame.clear(), uses, series=series, time=time)


def _source(use: Use, bars: pl.DataFrame, times: Times) -> tuple[Times, Times, Times | None]:
    """Return the rows that the indicator counts, their times and their sessions."""
    whole = bars.select(pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in use.inputs))
    rows = np.flatnonzero(whole.to_series().to_numpy())
    sessions = bars.get_column("session").to_numpy()[rows] if "session" in use.inputs else None
    return rows, times[rows], sessions


def _anchors(anchor: str, times: Times, sessions: Times | None) -> np.ndarray:
    if anchor == "day":
        return np.floor_divide(times, DAY_US)
    if sessions is None:
        raise ValueError("an indicator that begins anew with each session needs the bars' sessions")
    return sessions


def _merged(ranges: "zip[Range] | list[Range]") -> list[Range]:
    out: list[Range] = []
    for first, last in ranges:
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out

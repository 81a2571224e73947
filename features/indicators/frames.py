"""Indicators over frames of bars of any grain, each series by itself."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from contracts.errors import TerminalError
from features.indicators.declared import Arrays, Use
from features.indicators.series import nothing

SERIES = ("venue", "instrument", "id_space")
TIME = "bar_time"
KNOWN = "known_time"
US = pl.Datetime("us", "UTC")


def compute(
    bars: pl.DataFrame, uses: Sequence[Use], *, series: Sequence[str] = SERIES, time: str = TIME
) -> pl.DataFrame:
    """Return the indicators of every bar, as Float64, in the order of series and time.

    bars: one row a series and time; prices and volumes exact decimals or floats. Other columns are ignored.
    Rows of warm-up are null; so is a row that lacks an input, which counts as if it were not there.
    With a known_time among the columns, each row has the newest known_time of all bars that it depends on.
    """
    frame = ordered(bars, uses, series, time)
    spans = list(_spans(frame, series))
    stamps = frame.get_column(time).dt.timestamp("us").to_numpy()
    inputs = {name: frame.get_column(name).to_numpy() for name in sorted({name for use in uses for name in use.inputs})}
    columns = [column for use in uses for column in _columns(use, inputs, stamps, spans)]
    out = frame.select(*series, time).with_columns(columns)
    return out if KNOWN not in frame.columns else out.with_columns(_known(frame, uses, spans))


def ordered(bars: pl.DataFrame, uses: Sequence[Use], series: Sequence[str], time: str) -> pl.DataFrame:
    """Return the columns that are needed, in the order of series and time, each time once; TerminalError if not."""
    needed = sorted({name for use in uses for name in use.inputs})
    missing = [name for name in (*series, time, *needed) if name not in bars.columns]
    if missing:
        raise TerminalError(
            f"bars lack the columns {', '.join(missing)}; they have {', '.join(bars.columns)}. "
            "A benchmark is added by with_benchmark, a session by with_sessions"
        )
    frame = bars.select(
        *series,
        pl.col(time).cast(US) if bars.schema[time] != US else pl.col(time),
        *(pl.col(name).cast(pl.Float64) for name in needed),
        *([pl.col(KNOWN).cast(US)] if KNOWN in bars.columns else []),
    ).sort(*series, time)
    if frame.select(pl.struct(*series, time).rle_id().n_unique()).item() != frame.height:
        twice = frame.filter(pl.struct(*series, time).is_duplicated()).row(0)
        raise TerminalError(f"bars hold {twice[: len(series) + 1]} more than once; hand in one revision of each bar")
    return frame


def _spans(frame: pl.DataFrame, series: Sequence[str]) -> Iterator[slice]:
    """Return the rows of each series."""
    if not frame.height:
        return
    if not series:
        yield slice(0, frame.height)
        return
    ids = frame.select(pl.struct(*series).rle_id()).to_series().to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    for start, stop in zip(starts, [*starts[1:], frame.height], strict=True):
        yield slice(int(start), int(stop))


def _columns(use: Use, inputs: Arrays, stamps: np.ndarray, spans: list[slice]) -> list[pl.Series]:
    outputs = [nothing(len(stamps)) for _ in use.columns]
    for span in spans:
        arrays = {name: inputs[name][span] for name in use.inputs}
        whole = np.ones(span.stop - span.start, dtype=bool)
        for values in arrays.values():
            whole &= np.isfinite(values)
        rows = np.flatnonzero(whole) + span.start
        if not len(rows):
            continue
        if len(rows) < len(whole):
            arrays = {name: values[whole] for name, values in arrays.items()}
        arrays["time"] = stamps[rows].astype(np.float64)
        for output, values in zip(outputs, use.compute(arrays), strict=True):
            output[rows] = values
    return [
        pl.Series(name, np.where(np.isfinite(values), values, np.nan)).fill_nan(None)
        for name, values in zip(use.columns, outputs, strict=True)
    ]


def _known(frame: pl.DataFrame, uses: Sequence[Use], spans: list[slice]) -> pl.Series:
    """Return the newest known_time of the bars that any of the row's values depends on."""
    reach = [use.lookback.bars for use in uses]
    stamps = frame.get_column(KNOWN).dt.timestamp("us")
    parts = []
    for span in spans:
        own = stamps[span.start : span.stop]
        if any(bars is None for bars in reach):
            parts.append(own.cum_max())
        else:
            parts.append(own.rolling_max(max((bars or 0 for bars in reach), default=0) + 1, min_samples=1))
    return (pl.concat(parts) if parts else stamps).cast(US).alias(KNOWN)

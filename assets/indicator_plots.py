"""A picture of a day's indicators: the largest series with its bands, and how fast it moved."""

import io
from datetime import date
from typing import TYPE_CHECKING

from assets.plots import FAINT, GRID, INK, UP

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

_BANDS = ("bollinger_lower_20_2", "bollinger_upper_20_2", "bollinger_middle_20_2")
_RSI, _RSI_LOW, _RSI_HIGH = "rsi_14", 30, 70


def indicators_plot(frame: "pl.DataFrame", day: date) -> bytes:
    """Draw the one-minute closes of the series with the largest turnover, Bollinger bands around, RSI below."""
    import polars as pl
    from matplotlib.figure import Figure  # half a second that only runs with plots should pay

    series = ["venue", "instrument", "id_space"]
    turnover = frame.group_by(series).agg(pl.col("notional").cast(pl.Float64).sum()).sort("notional", *series)
    name = turnover.row(-1)[:3]
    own = frame.filter(*(pl.col(key) == value for key, value in zip(series, name, strict=True)))
    hours = own.select((pl.col("bar_time") - pl.col("bar_time").dt.truncate("1d")).dt.total_seconds() / 3600)
    at = hours.to_series().to_list()
    values = {column: own.get_column(column).cast(pl.Float64).to_list() for column in (*_BANDS, _RSI, "close")}
    figure = Figure(figsize=(6.6, 3.1), dpi=110, facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
    figure.subplots_adjust(left=0.03, right=0.88, top=0.87, bottom=0.09, hspace=0.18)
    low, high, middle = ([float("nan") if v is None else v for v in values[band]] for band in _BANDS)
    style = {"marker": "o", "markersize": 3} if len(at) < 30 else {}
    upper.fill_between(at, low, high, color=GRID, linewidth=0)
    upper.plot(at, middle, color=FAINT, linewidth=0.8)
    upper.plot(at, values["close"], color=UP, linewidth=1.1, **style)
    lower.plot(at, [float("nan") if v is None else v for v in values[_RSI]], color=INK, linewidth=1)
    for line in (_RSI_LOW, _RSI_HIGH):
        lower.axhline(line, color=FAINT, linewidth=0.6, linestyle=(0, (3, 2)))
    lower.set_ylim(0, 100)
    lower.set_yticks([_RSI_LOW, _RSI_HIGH])
    for panel in (upper, lower):
        _dress(panel)
    text = f"{name[0]} {name[1]}, {day.isoformat()}, hours in UTC: close and Bollinger bands, RSI 14"
    figure.text(0.03, 0.97, text, color=FAINT, fontsize=8.5, va="top")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _dress(panel: "Axes") -> None:
    panel.set_xlim(0, 24)
    panel.set_xticks(range(0, 25, 6), [f"{hour:02}:00" for hour in range(0, 25, 6)])
    panel.yaxis.tick_right()
    panel.grid(axis="y", color=GRID, linewidth=0.7)
    panel.tick_params(colors=FAINT, labelsize=7, length=0)
    for side in ("left", "right", "top"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GRID)

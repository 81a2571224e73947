"""Small pictures for the UI, as PNG inside markdown."""

import base64
import io
from datetime import datetime
from typing import TYPE_CHECKING

from assets.day_view import DayView, SeriesDay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
UP, DOWN = "#0f766e", "#b91c1c"
COLUMNS = 3


def closes_plot(view: DayView) -> bytes:
    """Draw the closes of a day's largest series, one panel each; every panel has its own price scale."""
    from matplotlib.figure import Figure  # half a second that only runs with plots should pay

    count = max(len(view.closes), 1)
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.3 * max(columns, 2), 1.75 * rows + 0.55), dpi=110, facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    panels = [panel for row in grid for panel in row]
    for panel, (series, points) in zip(panels, view.closes.items(), strict=False):
        _panel(panel, series, points, view.midnight)
    for panel in panels[len(view.closes) :]:
        panel.set_axis_off()
    # The lowest panel of each column carries the hours, also where the last row is not full.
    for panel in panels[max(len(view.closes) - columns, 0) : len(view.closes)]:
        panel.tick_params(axis="x", labelbottom=True)
    _headline(figure, view)
    return _png(figure)


def _headline(figure: "Figure", view: DayView) -> None:
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.03, right=0.9, top=1 - 0.72 / height, bottom=0.3 / height, hspace=0.5, wspace=0.42)
    text = f"Close by series, {view.day.isoformat()}, hours in UTC"
    figure.text(0.03, 1 - 0.12 / height, text, color=FAINT, fontsize=8.5, va="top")


def _panel(panel: "Axes", series: SeriesDay, points: list[tuple[datetime, float]], midnight: datetime) -> None:
    from matplotlib.ticker import MaxNLocator

    hours = [(at - midnight).total_seconds() / 3600 for at, _ in points]
    values = [close for _, close in points]
    color = UP if series.close >= series.open else DOWN
    # Silence of a quarter of an hour and more, or a few points, would be a misleading line: dots show what there is.
    style = {"marker": "o", "markersize": 3.5} if len(points) < 30 else {}
    panel.plot(hours, values, color=color, linewidth=1.3, solid_capstyle="round", **style)  # type: ignore[arg-type]
    panel.set_xlim(0, 24)
    panel.set_xticks(range(0, 25, 6), [f"{hour:02}:00" for hour in range(0, 25, 6)])
    panel.yaxis.tick_right()
    panel.yaxis.set_major_locator(MaxNLocator(3))
    panel.ticklabel_format(axis="y", useOffset=False, style="plain")
    panel.grid(axis="y", color=GRID, linewidth=0.7)
    panel.tick_params(colors=FAINT, labelsize=7, length=0)
    for side in ("left", "right", "top"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    panel.margins(y=0.15)
    panel.set_title(series.instrument, loc="left", fontsize=9, fontweight="bold", color=INK, pad=14)
    panel.text(0, 1.04, f"{series.venue} {series.id_space}", transform=panel.transAxes, fontsize=7, color=FAINT)
    change = change_percent(series)
    panel.text(1, 1.04, f"{change:+.2f} %", transform=panel.transAxes, fontsize=7.5, color=color, ha="right")


def change_percent(series: SeriesDay) -> float:
    """Return by how many per cent the price moved from the day's open to its close."""
    return float((series.close - series.open) / series.open * 100)


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def as_markdown(png: bytes, title: str) -> str:
    """Return markdown that shows the picture without asking any server for it."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"

"""A picture of a day's features: what is missing of each, and how far it moved from the days before."""

import io
from datetime import date
from typing import TYPE_CHECKING

from assets.plots import DOWN, FAINT, GRID, INK, UP
from features.drift import DRIFTED, MOVED

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

_WIDEST = 0.5
_COLOURS = {"stable": UP, "moved": "#b45309", "drifted": DOWN, "unknown": FAINT}


def features_plot(table: "pl.DataFrame", day: date) -> bytes:
    """Draw the missing share and the stability index of every feature, a line each."""
    from matplotlib.figure import Figure  # half a second that only runs with plots should pay

    rows = table.rows(named=True)
    height = 0.15 * len(rows) + 0.9
    figure = Figure(figsize=(6.6, height), dpi=110, facecolor="white")
    missing, moved = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.25, right=0.97, top=1 - 0.55 / height, bottom=0.3 / height, wspace=0.08)
    places = range(len(rows))
    missing.barh(places, [row["missing_share"] or 0 for row in rows], color=FAINT, height=0.6)
    missing.set_xlim(0, 1)
    missing.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    index = [min(row["psi"] or 0, _WIDEST) for row in rows]
    moved.barh(places, index, color=[_COLOURS[row["verdict"] or "unknown"] for row in rows], height=0.6)
    moved.set_xlim(0, _WIDEST)
    moved.set_xticks([0, MOVED, DRIFTED, _WIDEST])
    for limit in (MOVED, DRIFTED):
        moved.axvline(limit, color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
    missing.set_yticks(list(places), [row["feature"] for row in rows])
    missing.invert_yaxis()
    for panel, title in ((missing, "without a value"), (moved, "PSI against the seven days before")):
        _dress(panel, title)
    figure.text(0.03, 1 - 0.1 / height, f"Features of {day.isoformat()}", color=FAINT, fontsize=8.5, va="top")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _dress(panel: "Axes", title: str) -> None:
    panel.set_title(title, loc="left", fontsize=8, color=INK)
    panel.grid(axis="x", color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=FAINT, labelsize=6.5, length=0)
    for side in ("left", "right", "top", "bottom"):
        panel.spines[side].set_visible(False)
    panel.margins(y=0.01)

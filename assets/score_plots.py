"""A picture of a day's scores: the worst instruments, a bar each, and the threshold."""

import io
from decimal import Decimal
from typing import TYPE_CHECKING

from assets.plots import DOWN, FAINT, GRID, INK, UP

if TYPE_CHECKING:
    from quality.scoring import DayScores

SHOWN = 12


def scores_plot(scored: "DayScores", minimum: Decimal) -> bytes:
    """Draw the lowest scores, worst on top."""
    from matplotlib.figure import Figure  # half a second that only runs with plots should pay

    worst = scored.scores[:SHOWN]
    height = 0.26 * len(worst) + 0.75
    figure = Figure(figsize=(6.6, height), dpi=110, facecolor="white")
    panel = figure.subplots()
    figure.subplots_adjust(left=0.27, right=0.9, top=1 - 0.42 / height, bottom=0.28 / height)
    values = [float(one.score.score) for one in worst]
    colors = [DOWN if one.score.score < minimum else UP for one in worst]
    panel.barh(range(len(worst)), values, color=colors, height=0.62)
    panel.axvline(float(minimum), color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    for row, value in enumerate(values):
        panel.text(1.01, row, f"{value:.4f}", color=colors[row], fontsize=7.5, va="center")
    panel.set_yticks(range(len(worst)), [f"{one.venue}  {one.instrument}" for one in worst])
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    panel.grid(axis="x", color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=FAINT, labelsize=7.5, length=0)
    for side in ("left", "right", "top", "bottom"):
        panel.spines[side].set_visible(False)
    text = f"Lowest of {len(scored.scores)} scores, {scored.day.isoformat()}; the line is the least that passes"
    figure.text(0.03, 1 - 0.1 / height, text, color=FAINT, fontsize=8.5, va="top")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

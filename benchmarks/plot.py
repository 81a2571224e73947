"""A picture of the rates: a bar a system, one panel a workload."""

import io
from collections.abc import Sequence
from typing import Any

INK, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
OURS, OTHERS = "#0f766e", "#9ca3af"


def rates_plot(entries: Sequence[dict[str, Any]]) -> bytes:
    """Draw the medians with their spans, ours in colour, as PNG."""
    from matplotlib.figure import Figure

    measured = [entry for entry in entries if "events_per_s" in entry]
    workloads = list(dict.fromkeys(entry["workload"] for entry in measured)) or [""]
    rows = [[entry for entry in measured if entry["workload"] == workload] for workload in workloads]
    heights = [max(len(panel), 1) for panel in rows]
    figure = Figure(figsize=(7.4, 0.34 * sum(heights) + 0.75 * len(rows)), dpi=110, facecolor="white")
    panels = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, workload, shown in zip(panels, workloads, rows, strict=True):
        _panel(panel, workload, shown)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _panel(panel: Any, workload: str, shown: Sequence[dict[str, Any]]) -> None:
    rates = [entry["events_per_s"] for entry in shown]
    medians = [rate["median"] / 1000 for rate in rates]
    spans = [
        [(rate["median"] - rate["min"]) / 1000 for rate in rates],
        [(rate["max"] - rate["median"]) / 1000 for rate in rates],
    ]
    colours = [OURS if entry["system"].startswith("tapehouse") else OTHERS for entry in shown]
    panel.barh(range(len(shown)), medians, xerr=spans, color=colours, height=0.62, ecolor=INK, capsize=2)
    for row, (entry, rate) in enumerate(zip(shown, rates, strict=True)):
        panel.text(
            rate["max"] / 1000, row, f"  {entry['events_per_s']['median'] / 1000:,.0f}", va="center", fontsize=7.5
        )
    panel.set_yticks(range(len(shown)), [entry["system"] for entry in shown])
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.grid(axis="x", color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=FAINT, labelsize=7.5, length=0)
    for side in ("left", "right", "top", "bottom"):
        panel.spines[side].set_visible(False)
    panel.set_title(f"{workload}: thousand a second", loc="left", fontsize=9, color=INK)

"""A day's closes as small SVG pictures: colours are the page's, so that they follow its light and its dark."""

import io
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from quality.report.facts import HOLES, Facts, Gap, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that matplotlib draws with, and the page's own that stand in the file instead.
LINE, FAINT, GRID, LOST, BACK, CORRECTED = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {LINE: "ink", FAINT: "faint", GRID: "grid", LOST: "bad", BACK: "good", CORRECTED: "accent"}
WIDTH, HEIGHT = 3.5, 1.3
MINUTE = timedelta(minutes=1)
# A span that is narrower than this part of the picture could not be seen.
LEAST_WIDTH = 0.008
# More than so many of the usual distances without a bar, and a line would claim what nobody heard.
SILENCE = 5
POINTS_AS_DOTS = 30

Span = tuple[float, float]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same moments as the fewest spans, in order; what touches becomes one."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def shared_range(facts: Facts) -> tuple[datetime, datetime]:
    """Return the stretch of the day that all pictures show: the whole day, or the hours or minutes that have bars."""
    times = [at for series in facts.series for at, _ in series.points]
    if not times:
        return facts.begin, facts.end
    first, last = min(times), max(times) + MINUTE
    if last - first > timedelta(hours=12):
        return facts.begin, facts.end
    step = timedelta(hours=1) if last - first > timedelta(hours=2) else timedelta(minutes=5)
    begin = facts.begin + (first - facts.begin) // step * step
    end = facts.begin + -(-(last - facts.begin) // step) * step
    return begin, min(end, facts.end)


def closes_svg(series: Series, begin: datetime, end: datetime) -> str:
    """Draw the closes from `begin` to `end`; gaps are shaded by how they stand, corrected minutes marked below."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    name = f"{series.venue} {series.instrument} {series.id_space}"
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify_threshold": 0.7}):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        panel = figure.add_axes((0.0, 0.15, 0.82, 0.82))
        _shade(panel, series, begin, end)
        _line(panel, series, begin)
        _frame(panel, begin, end)
        for drawn in panel.get_children():
            drawn.set_clip_on(False)
        return _svg(figure)


def _minutes(at: datetime, begin: datetime) -> float:
    return (at - begin) / MINUTE


def _shade(panel: "Axes", series: Series, begin: datetime, end: datetime) -> None:
    whole = _minutes(end, begin)
    least = whole * LEAST_WIDTH

    def spans(gaps: Iterable[Gap]) -> list[Span]:
        cut = ((max(_minutes(g.from_time, begin), 0.0), min(_minutes(g.to_time, begin), whole)) for g in gaps)
        return merged((start, max(stop, start + least)) for start, stop in cut if stop >= 0 and start <= whole)

    holes = [gap for gap in series.gaps if gap.state in HOLES]
    for color, gaps in ((BACK, [gap for gap in series.gaps if gap not in holes]), (LOST, holes)):
        for start, stop in spans(gaps):
            panel.axvspan(start, stop, color=color, alpha=0.22, linewidth=0)
    late = ((_minutes(at, begin), _minutes(at, begin) + max(1.0, least)) for at in series.corrected)
    for start, stop in merged(late):
        panel.axvspan(start, stop, ymin=0, ymax=0.06, color=CORRECTED, linewidth=0)


def _line(panel: "Axes", series: Series, begin: datetime) -> None:
    at = [_minutes(time, begin) + 0.5 for time, _ in series.points]
    closes = [close for _, close in series.points]
    usual = median(b - a for a, b in pairwise(at)) if len(at) > 1 else 1.0
    xs, ys = _broken(at, closes, max(SILENCE * usual, 3.0))
    few = len(at) < POINTS_AS_DOTS
    panel.plot(xs, ys, color=LINE, linewidth=1.1, marker="o" if few else "", markersize=2.6, markeredgewidth=0)


def _broken(at: Sequence[float], values: Sequence[float], silence: float) -> tuple[list[float], list[float]]:
    xs: list[float] = []
    ys: list[float] = []
    for x, y in zip(at, values, strict=True):
        if xs and x - xs[-1] > silence:
            xs.append(x)
            ys.append(math.nan)
        xs.append(x)
        ys.append(y)
    return xs, ys


def _frame(panel: "Axes", begin: datetime, end: datetime) -> None:
    from matplotlib.ticker import MaxNLocator

    whole = _minutes(end, begin)
    panel.set_xlim(0, whole)
    # Whole minutes only: a tick between two of them would be labelled with the wrong one.
    parts = next((count for count in (4, 5) if not whole % count), 1)
    ticks = [whole * part / parts for part in range(parts + 1)]
    labels = [f"{begin + tick * MINUTE:%H:%M}" if begin + tick * MINUTE < end else "24:00" for tick in ticks]
    if (end.hour, end.minute) != (0, 0):
        labels[-1] = f"{end:%H:%M}"
    panel.set_xticks(ticks, labels)
    panel.xaxis.get_ticklabels()[0].set_horizontalalignment("left")
    panel.yaxis.tick_right()
    panel.yaxis.set_major_locator(MaxNLocator(3))
    panel.ticklabel_format(axis="y", useOffset=False, style="plain")
    panel.margins(y=0.16)
    panel.grid(axis="y", color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(colors=FAINT, labelsize=7, length=0, pad=2)
    panel.patch.set_visible(False)
    for side in ("left", "right", "top"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GRID)


def _svg(figure: "Figure") -> str:
    """Return the picture as an element for a page: colours are the page's variables, text has the page's font."""
    written = io.StringIO()
    figure.patch.set_visible(False)
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    for pattern in _SUPERFLUOUS:
        text = pattern.sub("", text)
    # Most of a file is digits behind the point that no screen shows, and a letter for every point of a line.
    text = _COORDINATES.sub(_shortened, text)
    for color, name in _VARIABLES.items():
        text = text.replace(color, f"var(--{name})")
    return re.sub(r">\s+<", "><", text).strip()


_SUPERFLUOUS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<!--.*?-->",
        r"<defs>\s*<style.*?</style>\s*</defs>",
        r' (width|height)="[^"]*pt"',
        # Names that nothing in the picture refers to would stand on the page once for each picture.
        r' id="(figure|axes|patch|line2d|text|xtick|ytick|matplotlib\.axis)_\d+"',
        r' transform="rotate\(-0 [^"]*\)"',
        r" font-family: [^;]*;",
    )
)
_COORDINATES = re.compile(r' (?:d|x|y)="[^"]*"')


def _shortened(found: re.Match[str]) -> str:
    rounded = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), found[0])
    return re.sub(r"(?<=\d)\s+L ", " ", rounded).replace("\n", " ")

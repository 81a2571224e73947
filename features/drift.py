"""Drift: how far a feature's values are spread otherwise than in a reference window, as population stability index.

PSI is the sum over bins of (current - reference) x ln(current / reference) of their shares of rows. Bins come from the
reference: every value that alone holds at least half a bin's share has a bin of its own (zeros, signs, days of the
week), the rest is cut at quantiles into bins of equal share, the outer ones open. What is missing has a bin, too.
A bin that is empty on one side counts there as FLOOR; one that is empty on both counts nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from features.declared import KEYS

BINS = 10
FLOOR = 1e-4
# The thresholds that the field uses.
MOVED, DRIFTED = 0.1, 0.25
# With fewer rows on either side, chance alone moves the index past the thresholds.
LEAST_ROWS = 200

Verdict = Literal["stable", "moved", "drifted", "unknown"]
VERDICTS = ("stable", "moved", "drifted", "unknown")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bins:
    """Values with a bin of their own, and the edges of the others' bins, each closed on its right."""

    single: Floats
    edges: Floats

    def labels(self) -> list[str]:
        """Return what each bin holds: first the single values, then the spans, then what is missing."""
        edges = [f"{edge:.4g}" for edge in self.edges]
        spans = [
            f"{low} to {high}" if low and high else f"above {low}" if low else f"to {high}" if high else "any"
            for low, high in zip(["", *edges], [*edges, ""], strict=True)
        ]
        return [*(f"{value:.4g}" for value in self.single), *spans, "missing"]

    def counts(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """Return how many of the values fall into each bin."""
        known = _known(values)
        place = np.minimum(np.searchsorted(self.single, known), max(len(self.single) - 1, 0))
        alone = self.single[place] == known if len(self.single) else np.zeros(len(known), dtype=bool)
        ones = np.bincount(place[alone], minlength=len(self.single))
        spans = np.bincount(np.searchsorted(self.edges, known[~alone]), minlength=len(self.edges) + 1)
        counts: npt.NDArray[np.int64] = np.r_[ones, spans, len(values) - len(known)]
        return counts


def bins_of(reference: pl.Series, bins: int = BINS) -> Bins:
    """Return the bins that a reference window gives."""
    known = _known(reference)
    values, counts = np.unique(known, return_counts=True)
    often = counts * 2 * bins >= len(known)
    single = values[often]
    rest = known[~np.isin(known, single)]
    spans = max(1, round(bins * len(rest) / len(known))) if len(known) else 1
    edges = (
        np.unique(np.quantile(rest, np.arange(1, spans) / spans, method="inverted_cdf")) if len(rest) else np.zeros(0)
    )
    # The highest value would leave the last span without any.
    return Bins(single, edges[edges < rest.max()] if len(rest) else edges)


def psi(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> float | None:
    """Return the index for counts by bin; None where either side has no rows."""
    if not reference.sum() or not current.sum():
        return None
    there = (reference > 0) | (current > 0)
    was = np.maximum(reference[there] / reference.sum(), FLOOR)
    now = np.maximum(current[there] / current.sum(), FLOOR)
    return float(((now - was) * np.log(now / was)).sum())


def verdict(index: float | None, reference_rows: int, current_rows: int) -> Verdict:
    """Return what an index says: stable below 0.1, drifted from 0.25 on, unknown on too few rows."""
    if index is None or min(reference_rows, current_rows) < LEAST_ROWS:
        return "unknown"
    return "stable" if index < MOVED else "moved" if index < DRIFTED else "drifted"


def drift(reference: pl.DataFrame, current: pl.DataFrame, bins: int = BINS) -> pl.DataFrame:
    """Return one row a feature that both have: its index, what chance alone would give, rows and verdict.

    reference, current: tables of one source, one revision of each moment. chance is (bins - 1) x (1 / reference_rows +
    1 / current_rows), the index expected where nothing drifted.
    """
    rows = []
    for name in _shared(reference, current):
        made = bins_of(reference.get_column(name), bins)
        was, now = made.counts(reference.get_column(name)), made.counts(current.get_column(name))
        index, before, after = psi(was, now), int(was.sum()), int(now.sum())
        used = int(((was > 0) | (now > 0)).sum())
        chance = (used - 1) * (1 / before + 1 / after) if before and after else None
        rows.append((name, index, chance, before, after, verdict(index, before, after)))
    schema = {"feature": pl.String, "psi": pl.Float64, "chance": pl.Float64}
    counts = {"reference_rows": pl.Int64, "current_rows": pl.Int64, "verdict": pl.String}
    return pl.DataFrame(rows, schema=schema | counts, orient="row")


def shares(reference: pl.DataFrame, current: pl.DataFrame, feature: str, bins: int = BINS) -> pl.DataFrame:
    """Return the bins of one feature with both sides' shares of rows: what a plot of its drift shows."""
    made = bins_of(reference.get_column(feature), bins)
    sides = [made.counts(frame.get_column(feature)) for frame in (reference, current)]
    was, now = (counts / max(int(counts.sum()), 1) for counts in sides)
    return pl.DataFrame({"bin": made.labels(), "reference": was, "current": now})


def _known(values: pl.Series) -> Floats:
    known: Floats = values.cast(pl.Float64).drop_nulls().to_numpy()
    return known[np.isfinite(known)]


def _shared(reference: pl.DataFrame, current: pl.DataFrame) -> list[str]:
    return [name for name in reference.columns if name not in KEYS and name in current.columns]

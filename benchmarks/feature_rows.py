"""Rows of features and labels for W6: made from a seed, with rows that came late and rows that were corrected."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

VENUE = "bench"
FEATURES = tuple(f"feature_{number:02d}" for number in range(9))
# A feature like the others to whoever joins: by it we know which row was taken.
ROW = "row"
START = 1_767_225_600_000_000  # 2026-01-01, µs
MINUTE = 60_000_000
# Known some seconds after the minute ends; a hundredth comes hours late, two hundredths are corrected later on.
USUALLY_KNOWN, LATE, CORRECTED = 2_000_000, 0.01, 0.02
LATE_BY, CORRECTED_BY = 6 * 60 * MINUTE, 24 * 60 * MINUTE
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Made:
    """Where the rows and labels are, and the times by which an answer is judged: of each row, and of each label."""

    rows: Path
    labels: Path
    instrument: Ints
    event: Ints
    known: Ints
    label_instrument: Ints
    label_time: Ints


def make(folder: Path, rows: int, labels: int, instruments: int, seed: int = 1) -> Made:
    """Write `rows` feature rows, revisions among them, by entity and time, and `labels` labels in the order of time."""
    rng = np.random.default_rng(seed)
    minutes = int(rows / (1 + CORRECTED) / instruments)
    instrument = np.repeat(np.arange(instruments), minutes)
    event = np.tile(START + np.arange(minutes) * MINUTE, instruments)
    known = event + rng.integers(0, USUALLY_KNOWN, len(event))
    late = rng.random(len(event)) < LATE
    known[late] += rng.integers(MINUTE, LATE_BY, int(late.sum()))
    corrected = rng.choice(len(event), rows - len(event), replace=False)
    instrument = np.r_[instrument, instrument[corrected]]
    known = np.r_[known, known[corrected] + rng.integers(MINUTE, CORRECTED_BY, len(corrected))]
    event = np.r_[event, event[corrected]]
    order = np.lexsort((known, event, instrument))
    instrument, event, known = instrument[order], event[order], known[order]
    values = {name: rng.standard_normal(len(event)) for name in FEATURES}
    path = folder / "rows.parquet"
    table = pa.table(
        {
            **_entities(instrument),
            "event_time": _times(event),
            "known_time": _times(known),
            **{name: pa.array(column) for name, column in values.items()},
            ROW: pa.array(np.arange(len(event), dtype=np.float64)),
        }
    )
    pq.write_table(table, path, row_group_size=1_000_000)
    asked = rng.integers(0, instruments, labels)
    times = np.sort(rng.integers(START, START + minutes * MINUTE, labels))
    wanted = folder / "labels.parquet"
    pq.write_table(
        pa.table({**_entities(asked), "time": _times(times), "label": pa.array(np.arange(labels, dtype=np.int64))}),
        wanted,
    )
    return Made(path, wanted, instrument, event, known, asked, times)


def _entities(numbers: Ints) -> dict[str, pa.Array]:
    names = pl.Series([f"I{number:04d}" for number in range(int(numbers.max()) + 1)]).gather(numbers)
    return {"venue": pa.array([VENUE] * len(numbers)), "instrument": names.to_arrow().cast(pa.string())}


def _times(micros: Ints) -> pa.Array:
    return pa.array(micros, pa.timestamp("us", "UTC"))


@dataclass(frozen=True)
class Judged:
    """How many labels got a row of the future, and how many of those tried got another than what was known then."""

    leaked: int
    wrong: int
    tried: int

    @property
    def note(self) -> str:
        """Say it in words."""
        if not self.leaked and not self.wrong:
            return "exact: 0 rows leaked"
        return f"{self.leaked:,} rows leaked, {self.wrong:,} of {self.tried:,} labels tried have another row"


def judge(made: Made, answer: pl.DataFrame, tries: int = 2000, seed: int = 2) -> Judged:
    """Hold an answer (label, row) against the times, and some labels against a search through all of their rows."""
    taken = pl.DataFrame({"label": np.arange(len(made.label_time))}).join(answer, on="label", how="left")
    row = taken[ROW].fill_null(-1).cast(pl.Int64).to_numpy()
    has = row >= 0
    leaked = int((made.known[row[has]] > made.label_time[has]).sum())
    starts = np.searchsorted(made.instrument, np.arange(int(made.instrument.max()) + 2))
    chosen = np.random.default_rng(seed).choice(len(row), min(tries, len(row)), replace=False)
    wrong = sum(int(row[label]) != _right(made, starts, int(label)) for label in chosen)
    return Judged(leaked, wrong, len(chosen))


def _right(made: Made, starts: npt.NDArray[Any], label: int) -> int:
    """Return the row that stands for a label: of those known then the newest moment, of it the newest revision."""
    first, end = (int(starts[made.label_instrument[label] + more]) for more in (0, 1))
    at = made.label_time[label]
    seen = np.flatnonzero((made.event[first:end] <= at) & (made.known[first:end] <= at))
    if not len(seen):
        return -1
    # Rows are in the order of moment and revision.
    return first + int(seen[-1])

"""The rows of one range in the order of the table's sort key, in runs of one series: cheap questions to many rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from contracts.dataset import Dataset
from spark.clocks import MINUTE

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arrival:
    """Rows by series and sequence.

    `order` holds the rows' indices in that order, ties as they arrived; `sequences` lie in it, and so does `repeated`:
    whether another row of the series has the same sequence, so that a grain may have come twice. `starts` is where in
    it each run begins, and `series`, `low`, `high`, `newest` are of each run: its names, first and last sequence, and
    newest event time (µs).
    """

    grain: tuple[str, ...]
    order: Ints
    sequences: Ints
    repeated: Mask
    starts: Ints
    series: list[tuple[str, str, str]]
    low: Ints
    high: Ints
    newest: Ints
    times: Ints

    @property
    def runs(self) -> Ints:
        """The run of each row, in the order."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.order)))

    def beyond(self, highest: Ints) -> Mask:
        """Tell, in the order, which rows lie behind `highest` (one sequence a run) and share their own with none."""
        return (self.sequences > highest[self.runs]) & ~self.repeated

    def minutes(self, chosen: Mask) -> pl.DataFrame:
        """Return the series and the minutes (as event_time, µs) that chosen rows lie in, each once."""
        minutes = self.times[self.order[chosen]] // MINUTE
        runs = self.runs[chosen]
        changes = np.flatnonzero((np.diff(minutes, prepend=-1) != 0) | (np.diff(runs, prepend=-1) != 0))
        found = sorted({*zip(runs[changes].tolist(), minutes[changes].tolist(), strict=True)})
        rows = [(*self.series[run], minute * MINUTE) for run, minute in found]
        schema = {**dict.fromkeys(self.grain[:3], pl.String), "event_time": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def newest_of_venues(self) -> dict[str, int]:
        """Return the newest event time (µs) by venue."""
        found: dict[str, int] = {}
        for (venue, _, _), newest in zip(self.series, self.newest.tolist(), strict=True):
            found[venue] = max(newest, found.get(venue, newest))
        return found


def encode_repeats(rows: pa.Table, dataset: Dataset) -> pa.Table:
    """Number the few distinct values of the columns that repeat; sorting, cutting and sending them is cheap then."""
    for column in dataset.wire_columns:
        if column.repeats and not pa.types.is_dictionary(rows.schema.field(column.name).type):
            place = rows.schema.get_field_index(column.name)
            rows = rows.set_column(place, column.name, rows[column.name].dictionary_encode())
    return rows


def plain(rows: pa.Table) -> pa.Table:
    """Write the values of numbered columns out again."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def micros(times: pa.ChunkedArray) -> Ints:
    """Return times as microseconds."""
    numbers: Ints = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return numbers


def arrange(rows: pa.Table, dataset: Dataset) -> Arrival:
    """Put rows (at least one, their repeating columns encoded) into the order of series and sequence."""
    codes, columns = np.zeros(rows.num_rows, np.int64), []
    for name in dataset.grain[:3]:
        column = rows[name].combine_chunks()
        values = column.dictionary.to_pylist()
        rank = np.empty(len(values), np.int64)
        rank[sorted(range(len(values)), key=lambda index: values[index].encode())] = np.arange(len(values))
        indices = column.indices.to_numpy()
        codes = codes * len(values) + rank[indices]
        columns.append((values, indices))
    sequences: Ints = rows[dataset.grain[3]].cast(pa.int64()).to_numpy()
    order = np.argsort(sequences, kind="stable")
    order = order[np.argsort(codes[order], kind="stable")]
    ordered, codes = sequences[order], codes[order]
    begins = np.diff(codes, prepend=-1) != 0
    again = (np.diff(ordered, prepend=ordered[0]) == 0) & ~begins
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order)) - 1
    times = micros(rows["event_time"])
    heads = order[starts].tolist()
    named = [tuple(values[indices[head]] for values, indices in columns) for head in heads]
    return Arrival(
        grain=dataset.grain,
        order=order,
        sequences=ordered,
        repeated=again | np.append(again[1:], False),
        starts=starts,
        series=[(venue, instrument, space) for venue, instrument, space in named],
        low=ordered[starts],
        high=ordered[ends],
        newest=np.maximum.reduceat(times[order], starts),
        times=times,
    )

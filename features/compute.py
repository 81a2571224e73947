"""Features over frames: one frame a source, a row an entity and minute, with event time and known time."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import polars as pl

from contracts.errors import TerminalError
from features.declared import EVENT, KEYS, KNOWN, Feature, Frames, Source


def compute(features: Iterable[Feature], frames: Frames, *, until: datetime | None = None) -> dict[str, pl.DataFrame]:
    """Return the features' values by source, as Float64, null where there is none.

    frames: by the names that the sources ask for, one revision of each row, known_time (or ingested_time) on each.
    known_time of a row is the newest of all rows of its source within the longest window of these features. Rows go up
    to `until`, a whole minute, or to the last minute of a source's frames; those of the first windows lack what was
    before: hand in as much more as `reach` says, and leave them out.
    """
    if until is not None and (until.second or until.microsecond):
        raise TerminalError(f"rows can't go up to {until}; the end must be a whole minute")
    by_source: dict[str, list[Feature]] = {}
    for feature in features:
        by_source.setdefault(feature.source.name, []).append(feature)
    return {name: _computed(several[0].source, several, frames, until) for name, several in by_source.items()}


def reach(features: Iterable[Feature]) -> dict[str, timedelta]:
    """Return by source the longest window: how far before a span to read, and how far a late row changes what follows.

    A price that is held from before that is not seen: an entity without a row in the span begins with its first.
    """
    longest: dict[str, timedelta] = {}
    for feature in features:
        longest[feature.source.name] = max(feature.window, longest.get(feature.source.name, timedelta(0)))
    return longest


def _computed(source: Source, features: Sequence[Feature], frames: Frames, until: datetime | None) -> pl.DataFrame:
    missing = [name for name in source.frames if name not in frames]
    if missing:
        raise TerminalError(
            f"features of {source.name} need the frames {', '.join(source.frames)}; {', '.join(missing)} is not among "
            f"those handed in: {', '.join(frames) or 'none'}"
        )
    rows = source.prepare(frames, until)
    expressions = [
        feature.made_by.over(source.entity).alias(feature.name)
        for feature in features
        if isinstance(feature.made_by, pl.Expr)
    ]
    series = [
        feature.made_by(rows).alias(feature.name) for feature in features if not isinstance(feature.made_by, pl.Expr)
    ]
    window = max(feature.rows for feature in features) + 1
    known = pl.col(KNOWN).dt.timestamp("us").rolling_max(window, min_samples=1).over(source.entity)
    names = [feature.name for feature in features]
    values = pl.col(names).cast(pl.Float64)
    return (
        rows.with_columns(*expressions, known.cast(pl.Datetime("us", "UTC")).alias(KNOWN))
        .with_columns(series)
        .select(*source.entity, EVENT, KNOWN, pl.when(values.is_finite()).then(values))
    )


def revised(
    stored: pl.DataFrame, computed: pl.DataFrame, known: pl.Expr | None = None, tolerance: float = 0.0
) -> pl.DataFrame:
    """Return the rows to append: those of `computed` that no revision is stored of, or whose last one says otherwise.

    stored: rows of one source as they were appended before, several known times of a moment allowed. A row whose
    values are the same is not told again. A new revision is known later than the one that it replaces; `known` is the
    moment to tell instead of the computed one, for values that changed because code did. `tolerance` is the share of
    a value, or of its feature's usual size where that is more, that counts as no change: what rounding and recursive
    averages keep of what left their window.
    """
    keys = [name for name in KEYS if name != KNOWN]
    values = [name for name in computed.columns if name not in KEYS]
    last = stored.sort(KNOWN).group_by(keys, maintain_order=True).last()
    before = {name: f"{name}:before" for name in (*values, KNOWN)}
    both = computed.join(last.select(*keys, *before).rename(before), on=keys, how="left", maintain_order="left")
    same = pl.all_horizontal(
        pl.col(before[KNOWN]).is_not_null(), *(_same(pl.col(name), pl.col(before[name]), tolerance) for name in values)
    )
    fresh = both.filter(~same)
    told = pl.col(KNOWN) if known is None else known
    return fresh.with_columns(
        pl.when(pl.col(before[KNOWN]).is_null())
        .then(KNOWN)
        .otherwise(pl.max_horizontal(told, pl.col(before[KNOWN]) + pl.duration(microseconds=1)))
        .alias(KNOWN)
    ).select(computed.columns)


def _same(now: pl.Expr, before: pl.Expr, tolerance: float) -> pl.Expr:
    size = pl.max_horizontal(now.abs(), before.abs(), before.abs().mean())
    return now.eq_missing(before) | ((now - before).abs() <= tolerance * size).fill_null(False)

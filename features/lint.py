"""The look-ahead linter: poison what could not be known, compute again, and name what changed before it.

Two things are tried. What happens, or becomes known, after a cut is changed and then taken away: no row of before the
cut may notice. And rows just before a feature's window become known after the cut: a row that says it was known before
must not have read them, which holds every declared window against what is really read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from contracts.errors import TerminalError
from features.compute import compute
from features.declared import ENTITY, EVENT, KNOWN, MINUTE, US, Feature, Frames

Poison = Literal["changed", "removed", "window"]

# Which column says when a row of a frame happened, and how long after that it had ended.
MOMENTS: Mapping[str, tuple[str, timedelta]] = {
    "bars": ("bar_time", MINUTE),
    "scores": ("bar_time", MINUTE),
    "trades": ("event_time", timedelta(microseconds=1)),
    "quotes": ("event_time", timedelta(microseconds=1)),
    "books": ("snapshot_time", timedelta(0)),
}
# Numbers that say in which order rows come, not what they say.
_ORDER = ("venue_sequence",)
# Rounding; and for windows the billionth that recursive averages keep of what is older, where a poisoned price is a
# thousand times what prices move.
TOLERANCES: Mapping[Poison, float] = {"changed": 1e-9, "removed": 1e-9, "window": 1e-4}
# Minutes that are made late together: not each of them has rows everywhere.
_STRIPE = 5

_READS = {
    "changed": "reads what is only known later: it changed when values behind the cut did",
    "removed": "reads whether something comes later: it changed when rows behind the cut were taken away",
    "window": "reads further back than its window: it changed with a row from before it that became known later",
}


@dataclass(frozen=True)
class Leak:
    """A feature that knew what it could not: how it was shown, and the first row that changed."""

    feature: str
    poison: Poison
    cut: datetime
    rows: int
    entity: tuple[str, ...]
    event_time: datetime
    was: float | None
    became: float | None

    def __str__(self) -> str:
        where = f"{'/'.join(self.entity)} at {self.event_time:%Y-%m-%d %H:%M:%S}"
        told = f"{self.rows} rows before {self.cut:%Y-%m-%d %H:%M:%S}, first {where}: {self.was} became {self.became}"
        return f"{self.feature} {_READS[self.poison]} ({told})"


def lint(
    features: Iterable[Feature],
    frames: Frames,
    cuts: Sequence[datetime],
    *,
    moments: Mapping[str, tuple[str, timedelta]] = MOMENTS,
) -> list[Leak]:
    """Return the leaks that the cuts show, one a feature, kind of poison and cut; none is what a catalogue should have.

    frames: as for `compute`. Cuts should lie well inside them, on whole minutes and behind the longest window:
    TerminalError where a cut has no rows on both sides.
    """
    several = tuple(features)
    held = {name: _as_floats(frame) for name, frame in frames.items()}
    leaks: list[Leak] = []
    for cut in cuts:
        _inside(cut, held, moments)
        clean = compute(several, held)
        for poison in ("changed", "removed"):
            poisoned = {name: _poisoned(f, _behind(f, name, cut, moments), poison) for name, f in held.items()}
            leaks += _leaks(several, clean, compute(several, poisoned), cut, poison)
        leaks += _windows(several, held, cut, moments)
    return leaks


def cuts(
    features: Iterable[Feature],
    frames: Frames,
    count: int = 3,
    *,
    moments: Mapping[str, tuple[str, timedelta]] = MOMENTS,
) -> list[datetime]:
    """Return whole minutes at even distances, behind the longest window and inside of every frame that is used.

    TerminalError where the frames are too short for that.
    """
    several = tuple(features)
    used = {name for feature in several for name in feature.source.frames if name in moments}
    longest = max((feature.window for feature in several), default=timedelta(0))
    spans = [_span(frames[name], name, moments) for name in sorted(used)]
    if not spans:
        raise TerminalError(f"no features, or none of frames that know a time ({', '.join(moments)}), need no cuts")
    first = max(span[0] for span in spans) + longest + 2 * _STRIPE * MINUTE
    step = (min(span[1] for span in spans) - first) // (count + 1) // MINUTE * MINUTE
    if step < MINUTE:
        raise TerminalError(
            f"the frames {', '.join(sorted(used))} are too short to choose {count} cuts in: behind {first} (their "
            f"start and the longest window, {longest}) a minute is wanted for each"
        )
    return [first + place * step for place in range(1, count + 1)]


def _span(frame: pl.DataFrame, name: str, moments: Mapping[str, tuple[str, timedelta]]) -> tuple[datetime, datetime]:
    """Return the minutes in which the first and the last row of a frame ended."""
    held = _as_floats(frame)
    ended = held.select(_ended(held, name, moments).dt.truncate("1m")).to_series()
    first, last = ended.min(), ended.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise TerminalError(f"the frame {name!r} has no rows to choose cuts in")
    return first, last


def _windows(
    features: Sequence[Feature], frames: Frames, cut: datetime, moments: Mapping[str, tuple[str, timedelta]]
) -> Iterator[Leak]:
    """Make minutes just outside of a window known late, by windows: what is known early must not depend on them."""
    newest = [frame.get_column(KNOWN).max() for name, frame in frames.items() if name in moments]
    late_time = max(moment for moment in newest if isinstance(moment, datetime)) + timedelta(days=1)
    by_window: dict[timedelta, list[Feature]] = {}
    for feature in features:
        by_window.setdefault(feature.window, []).append(feature)
    for window, several in by_window.items():
        names = {name for feature in several for name in feature.source.frames}
        late, poisoned = {}, {}
        for name in names:
            frame = frames[name]
            if name not in moments:
                late[name] = poisoned[name] = frame
                continue
            # Stripes of late minutes, and between them more than the window: rows there must not see the stripe before.
            ago = (pl.lit(cut, US) - _ended(frame, name, moments)).dt.total_microseconds() // 60_000_000
            rows = window // MINUTE
            hit = (ago > rows) & ((ago - rows - 1) % (rows + 2 * _STRIPE) < _STRIPE)
            known = pl.when(hit).then(pl.lit(late_time, US)).otherwise(pl.col(KNOWN))
            late[name] = frame.with_columns(known.alias(KNOWN))
            poisoned[name] = _poisoned(late[name], hit, "changed")
        yield from _leaks(
            several, compute(several, late), compute(several, poisoned), cut, "window", late_time - MINUTE
        )


def _leaks(
    features: Sequence[Feature],
    clean: Mapping[str, pl.DataFrame],
    poisoned: Mapping[str, pl.DataFrame],
    cut: datetime,
    poison: Poison,
    known_by: datetime | None = None,
) -> Iterator[Leak]:
    moment, known_moment = pl.lit(cut, US), pl.lit(known_by or cut, US)
    for feature in features:
        keys = [*feature.entity, EVENT]
        before = clean[feature.source.name].filter(pl.col(EVENT) <= moment, pl.col(KNOWN) <= known_moment)
        was, became = pl.col(feature.name), pl.col("_became")
        both = before.select(*keys, feature.name).join(
            poisoned[feature.source.name].select(*keys, pl.col(feature.name).alias("_became"), _there=pl.lit(True)),
            on=keys,
            # Where rows are taken away, the last minutes may have none; where they are changed, each must be there.
            how="inner" if poison == "removed" else "left",
            maintain_order="left",
        )
        # Where sums cancel, what is left is rounding: small against what the feature usually says.
        size = pl.max_horizontal(was.abs(), became.abs(), was.abs().mean())
        far = (was - became).abs() > TOLERANCES[poison] * size
        changed = both.filter(far.fill_null(False) | (was.is_null() != became.is_null()) | pl.col("_there").is_null())
        if changed.height:
            row = changed.row(0, named=True)
            entity = tuple(str(row[name]) for name in feature.entity)
            yield Leak(feature.name, poison, cut, changed.height, entity, row[EVENT], row[feature.name], row["_became"])


def _as_floats(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in _ORDER]
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    known = KNOWN if KNOWN in frame.columns else "ingested_time"
    return frame.with_columns(
        pl.col(numbers).cast(pl.Float64),
        pl.col(lists).cast(pl.List(pl.Float64)),
        *([pl.col(known).cast(US).alias(KNOWN)] if known in frame.columns else []),
    )


def _ended(frame: pl.DataFrame, name: str, moments: Mapping[str, tuple[str, timedelta]]) -> pl.Expr:
    column, width = moments[name]
    if column not in frame.columns or KNOWN not in frame.columns:
        raise TerminalError(f"the frame {name!r} needs {column} and known_time to be poisoned; it has {frame.columns}")
    return pl.col(column).cast(US) + width


def _behind(frame: pl.DataFrame, name: str, cut: datetime, moments: Mapping[str, tuple[str, timedelta]]) -> pl.Expr:
    """Return which rows happen or become known after the cut; none of a frame that knows no time."""
    if name not in moments:
        return pl.lit(False)
    return (_ended(frame, name, moments) > pl.lit(cut, US)) | (pl.col(KNOWN) > pl.lit(cut, US))


def _poisoned(frame: pl.DataFrame, hit: pl.Expr, poison: Poison) -> pl.DataFrame:
    if poison == "removed":
        return frame.filter(~hit)
    changed = []
    for place, (name, kind) in enumerate(frame.schema.items()):
        if name in _ORDER or name in ENTITY:
            continue
        # Each row and column by another factor, up or down, so that neither ratios nor extremes stay as they were.
        row = pl.int_range(pl.len())
        factor = (2 + place + (row * 7 % 11) / 3) ** pl.when(row % 2 == 0).then(1.0).otherwise(-1.0)
        if kind.is_numeric():
            changed.append(pl.when(hit).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name))
        elif isinstance(kind, pl.List):
            changed.append(
                pl.when(hit).then(pl.col(name).list.eval(pl.element() * (2 + place))).otherwise(name).alias(name)
            )
        elif name == "side":
            other = pl.when(pl.col(name) == "buy").then(pl.lit("sell")).otherwise(pl.lit("buy"))
            changed.append(pl.when(hit).then(other).otherwise(pl.col(name)).alias(name))
    return frame.with_columns(changed)


def _inside(cut: datetime, frames: Frames, moments: Mapping[str, tuple[str, timedelta]]) -> None:
    for name, frame in frames.items():
        if name not in moments:
            continue
        behind = frame.select(_behind(frame, name, cut, moments)).to_series()
        if behind.all() or not behind.any():
            side = "its near" if behind.all() else "its far"
            raise TerminalError(
                f"the cut {cut} has no rows of {name!r} on {side} side; choose one inside of what was handed "
                "in, behind the longest window"
            )

"""The look-ahead linter on a day as it is stored, and on the shipped sample where a day is too short for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from assets import feature_frames as read
from assets.feature_day import spans
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.errors import TerminalError
from contracts.quotes import QUOTES
from features.declared import ENTITY, KNOWN, US, Feature, Frames
from features.lint import MOMENTS, Leak, cuts, lint

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from stores.warehouse import Warehouse

ENTITIES = 2
# Everything is computed some thirty times: what has more rows in a day is not looked at.
MOST_ROWS = 300_000
CUTS = 1


@dataclass(frozen=True)
class Linted:
    """What the linter found, which features it tried on the day's rows, and which on the sample."""

    leaks: list[Leak]
    on_day: list[str]
    on_sample: list[str]

    @property
    def leaking(self) -> list[str]:
        """The names of the features that knew what they could not."""
        return sorted({leak.feature for leak in self.leaks})


def lint_frames(features: Collection[Feature], frames: Frames, count: int = CUTS) -> tuple[list[Leak], list[str]]:
    """Lint what the frames are long enough for, each source by itself; return the leaks and what was tried."""
    leaks: list[Leak] = []
    tried: list[str] = []
    for names in dict.fromkeys(feature.source.frames for feature in features):
        if any(name not in frames or not frames[name].height for name in names):
            continue
        used = {name: frames[name] for name in names}
        several = sorted((one for one in features if one.source.frames == names), key=lambda one: one.window)
        chosen = _cuts(several, used, count)
        if several:
            leaks += lint(several, used, chosen)
            tried += [one.name for one in several]
    return leaks, tried


def _cuts(several: list[Feature], frames: Frames, count: int) -> "Sequence[datetime]":
    """Choose cuts, leaving out the longest windows until the frames are long enough."""
    while several:
        try:
            return cuts(several, frames, count)
        except TerminalError:
            longest = several[-1].window
            while several and several[-1].window == longest:
                several.pop()
    return []


def lint_sample(features: Collection[Feature], count: int = CUTS) -> Linted:
    """Lint features on the shipped sample, which every window fits into."""
    from features.sample import sample

    leaks, tried = lint_frames(features, sample(), count)
    return Linted(leaks, [], tried)


def lint_day(warehouse: "Warehouse", day: date, features: Collection[Feature], count: int = CUTS) -> Linted:
    """Lint features on the rows of the busiest instruments of a day; what they are too few for, on the sample."""
    leaks, tried = lint_frames(features, day_frames(warehouse, day, features), count)
    rest = [feature for feature in features if feature.name not in tried]
    other = lint_sample(rest, count) if rest else Linted([], [], [])
    return Linted([*leaks, *other.leaks], tried, other.on_sample)


def day_frames(warehouse: "Warehouse", day: date, features: Collection[Feature]) -> Frames:
    """Read the frames of the busiest instruments, of one pair where several venues trade it."""
    import polars as pl

    found, pairs = spans(day, features), read.pairs(warehouse)
    span = next(iter(found.values()))
    everything = read.bar_feeds(warehouse, found.get("bars", span))
    small = [feed for feed, trades in everything.items() if trades <= MOST_ROWS]
    busiest = sorted(small, key=lambda feed: -everything[feed])
    pair_of = {(venue, instrument): pair for venue, instrument, pair in pairs.rows()}
    first = [pair_of.get(feed[:2]) for feed in busiest[:1]]
    together = [feed for feed in busiest if first and pair_of.get(feed[:2], "") in first]
    of = (together if len(together) >= ENTITIES else busiest)[:ENTITIES]
    names = {feed[:2] for feed in of}
    chosen = pl.DataFrame(sorted(names), schema=dict.fromkeys(ENTITY, pl.String), orient="row")
    frames = {"pairs": pairs.join(chosen, on=ENTITY, how="semi")}
    readers = {"bars": read.bars, "trades": read.trades, "scores": read.scores}
    frames |= {name: rows(warehouse, found[name], of) for name, rows in readers.items() if name in found}
    for name, table, clock, rows in (
        ("quotes", QUOTES.table, "event_time", read.quotes),
        ("books", BOOK_SNAPSHOTS.table, "snapshot_time", read.books),
    ):
        if name in found:
            held = read.feeds(warehouse, table, clock, found[name])
            feeds = [feed for feed, count in held.items() if feed[:2] in names and count <= MOST_ROWS]
            frames[name] = rows(warehouse, found[name], feeds)
    return {name: _known_at_once(frame, name) for name, frame in frames.items()}


def _known_at_once(frame: "pl.DataFrame", name: str) -> "pl.DataFrame":
    """Let every row be known when it had ended: of a recording that was played later nothing lies before a cut."""
    import polars as pl

    if name not in MOMENTS:
        return frame
    column, width = MOMENTS[name]
    return frame.with_columns((pl.col(column).cast(US) + width).alias(KNOWN))

"""What a feature is, declared once: name, source, computation, window, unit, owner, description, time to live."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from contracts.errors import TerminalError

ENTITY = ("venue", "instrument")
EVENT = "event_time"
KNOWN = "known_time"
KEYS = (*ENTITY, EVENT, KNOWN)
US = pl.Datetime("us", "UTC")
MINUTE = timedelta(minutes=1)

Frames = Mapping[str, pl.DataFrame]
# Makes a source's rows up to a moment, or up to the last of all frames.
Prepare = Callable[[Frames, datetime | None], pl.DataFrame]
# Given the rows of a source in the order of entity and event time, the values in the same order.
Function = Callable[[pl.DataFrame], pl.Series]


@dataclass(frozen=True)
class Source:
    """What several features are made from: frames that become one row an entity and minute.

    `frames` are the names of what is handed in; `prepare` makes of them rows of entity, event_time, known_time and
    columns for the features to use, in the order of entity and event_time, one for every minute from an entity's first
    to the last of all. The features of a source stand in one frame, and in one stored table.
    """

    name: str
    frames: tuple[str, ...]
    event_time: str
    known_time: str
    prepare: Prepare
    entity: tuple[str, ...] = ENTITY


@dataclass(frozen=True)
class Feature:
    """One feature. `made_by` is an expression, evaluated over each entity's rows in time order, or a function.

    `window` is how far before its own minute the rows reach that it depends on; the known time of a row is the newest
    of these. `time_to_live` is how long a value may stand for a moment after it.
    """

    name: str
    source: Source
    made_by: pl.Expr | Function
    window: timedelta
    unit: str
    description: str
    owner: str = "market-data"
    time_to_live: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in KEYS:
            raise TerminalError(
                f"a feature can't be called {self.name!r}: use letters, digits and _, and no key's name"
            )
        if self.window < timedelta(0) or self.window % MINUTE:
            raise TerminalError(
                f"feature {self.name}: its window is {self.window}; it must be whole minutes, 0 or more"
            )
        if self.time_to_live <= timedelta(0):
            raise TerminalError(f"feature {self.name}: its time to live is {self.time_to_live}; it must be positive")

    @property
    def entity(self) -> tuple[str, ...]:
        """What a value belongs to."""
        return self.source.entity

    @property
    def rows(self) -> int:
        """How many earlier rows of its source it depends on."""
        return self.window // MINUTE

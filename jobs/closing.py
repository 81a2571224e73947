"""Which days are over and have bars that no run has rolled up yet. Plain functions of plain values."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

SECOND = 1_000_000


@dataclass(frozen=True)
class ChangedDay:
    """A day whose bars changed; times in microseconds.

    `known` is when the newest of its bars became known, `slowest_venue` the newest bar of that venue which, of all
    that traded on the day, is furthest behind.
    """

    day: date
    known: int
    slowest_venue: int

    @property
    def end(self) -> int:
        """The midnight that ends the day."""
        after = datetime.combine(self.day + timedelta(days=1), time(), UTC)
        return int(after.timestamp()) * SECOND


@dataclass(frozen=True)
class Patience:
    """How long to wait, in microseconds.

    A day is over once every venue that traded on it has a bar `grace` after its end, or when the wall clock is
    `idle` past it, since a venue may have fallen silent. Its bars must not have changed for `quiet`: a refill that
    is still coming in is rolled up once, at its end.
    """

    grace: int = 60 * SECOND
    idle: int = 600 * SECOND
    quiet: int = 60 * SECOND


@dataclass(frozen=True)
class Cursor:
    """What was handled: all changes up to `since`, and of later ones those in `done` (day to `known`)."""

    since: int = 0
    done: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """Read what `text` wrote; anything else starts over, which run keys make harmless."""
        try:
            read = json.loads(text or "{}")
            return cls(int(read.get("since", 0)), {str(day): int(known) for day, known in read["done"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    @property
    def text(self) -> str:
        """The cursor as Dagster keeps it."""
        return json.dumps({"since": self.since, "done": self.done}, sort_keys=True)


@dataclass(frozen=True)
class Closing:
    """The days to roll up now, where to go on, and why the other days have to wait."""

    due: tuple[ChangedDay, ...]
    cursor: Cursor
    waiting: tuple[str, ...]


def plan(
    changed: Sequence[ChangedDay],
    cursor: Cursor,
    now: int,
    *,
    first_day: date,
    running: Collection[date] = (),
    patience: Patience | None = None,
    limit: int = 10,
) -> Closing:
    """Decide on the days that changed after `cursor.since`; `changed` is sorted by `known`, one entry a day.

    Every change of a day from `first_day` on leads to exactly one request, together with those made before it went
    out; at most `limit` requests at a time; none for a day in `running`, whose turn comes later.
    """
    patience = patience or Patience()
    due: list[ChangedDay] = []
    left: list[ChangedDay] = []
    waiting: list[str] = []
    done = dict(cursor.done)
    for one in changed:
        name = one.day.isoformat()
        if done.get(name, 0) >= one.known:
            continue
        reason = _too_early(one, now, patience) if one.day >= first_day else ""
        if one.day < first_day:
            waiting.append(f"{name} lies before the first partition and is not rolled up")
        elif not reason and one.day in running:
            reason = "a run of it is under way"
        elif not reason and len(due) == limit:
            reason = f"{limit} other days come first"
        if reason:
            left.append(one)
            waiting.append(f"{name}: {reason}")
            continue
        if one.day >= first_day:
            due.append(one)
        done[name] = one.known
    newest = max((one.known for one in changed), default=cursor.since)
    since = max(min((one.known - 1 for one in left), default=newest), cursor.since)
    kept = {day: known for day, known in done.items() if known > since}
    return Closing(tuple(due), Cursor(since, kept), tuple(waiting))


def _too_early(one: ChangedDay, now: int, patience: Patience) -> str:
    if now < one.end:
        return "the day is not over"
    if one.slowest_venue < one.end + patience.grace and now < one.end + patience.idle:
        return "a venue that traded on it may still be behind"
    if now - one.known < patience.quiet:
        return "its bars are still changing"
    return ""

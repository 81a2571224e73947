"""The latest features of every instrument, in Redis: one hash an instrument, a field a source.

Each field carries its place in history, and Redis itself compares it with the one that it holds, in one step: an older
row never replaces a newer one, whatever comes again or late. Values are the doubles that offline reads give.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import orjson
from redis import Redis
from redis.exceptions import RedisError

from contracts.errors import RetryableError, TerminalError
from serving.latest import EPOCH, connect
from stores.settings import CacheSettings

PREFIX = "features"
# They are renewed once a day: what was not for two is forgotten.
TTL_S = 2 * 24 * 3600
_DIGITS = 20
_MICROSECOND = timedelta(microseconds=1)

# Redis runs a script as one step. Ranks are digits of one length, so their order as text is their order.
_SET_NEWER = """
local changed = 0
for i = 2, #ARGV, 3 do
    local known = redis.call('HGET', KEYS[1], ARGV[i])
    if not known or string.sub(known, 1, string.len(ARGV[i + 1])) < ARGV[i + 1] then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ARGV[i + 2])
        changed = changed + 1
    end
end
if changed > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return changed
"""


@dataclass(frozen=True)
class Row:
    """What one source says of an instrument at a moment; a feature that is not among the values has none."""

    source: str
    venue: str
    instrument: str
    event_time: datetime
    known_time: datetime
    values: Mapping[str, float]

    @property
    def rank(self) -> str:
        """Its place in history: by event time, then by when it became known."""
        return "".join(f"{(time - EPOCH) // _MICROSECOND + 2**63:0{_DIGITS}d}" for time in self.times)

    @property
    def times(self) -> tuple[datetime, datetime]:
        """When it happened and when it became known."""
        return self.event_time, self.known_time


@dataclass(frozen=True)
class Vector:
    """The latest features of an instrument, and of which row of each source they are."""

    venue: str
    instrument: str
    values: Mapping[str, float]
    rows: Mapping[str, Row]

    def at(self, moment: datetime, lives: Mapping[str, timedelta]) -> "Vector":
        """Return what a label of this moment would get: nothing that was not known yet, or no longer lives.

        lives: by feature, for how long after its moment a value stands; others stand for ever.
        """
        rows = {name: row for name, row in self.rows.items() if max(row.times) <= moment}
        values = {
            name: value
            for row in rows.values()
            for name, value in row.values.items()
            if name not in lives or moment - row.event_time <= lives[name]
        }
        return replace(self, values=values, rows=rows)


class VectorBoard:
    """What Redis shows: written in one pipeline, the newest row of each source and instrument."""

    def __init__(self, redis: "Redis", ttl_s: int = TTL_S) -> None:
        self._redis = redis
        self._ttl_ms = ttl_s * 1000
        self._script = redis.register_script(_SET_NEWER)

    def show(self, rows: Iterable[Row]) -> int:
        """Set what is newer than what Redis holds and return how many rows that changed; one round trip.

        Raises RetryableError when Redis does not answer.
        """
        told: dict[str, list[str | bytes | int]] = {}
        for row in rows:
            parts = told.setdefault(key(row.venue, row.instrument), [self._ttl_ms])
            parts += [row.source, row.rank, orjson.dumps(dict(row.values))]
        if not told:
            return 0
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for name, parts in told.items():
                    self._script(keys=[name], args=parts, client=pipeline)
                return sum(pipeline.execute())
        except RedisError as error:
            raise RetryableError(f"Redis did not take the features: {error}") from error


def key(venue: str, instrument: str) -> str:
    """Name the Redis hash of an instrument."""
    return f"{PREFIX}:{venue}:{instrument}"


def show(settings: CacheSettings, rows: Iterable[Row], ttl_s: int = TTL_S) -> int:
    """Show rows through a connection of their own; see VectorBoard.show."""
    redis = connect(settings)
    try:
        return VectorBoard(redis, ttl_s).show(rows)
    finally:
        redis.close()


class VectorReader:
    """Reads vectors over one connection, to be kept by whoever asks often."""

    def __init__(self, settings: CacheSettings) -> None:
        self._redis = connect(settings)

    def latest_vector(self, venue: str, instrument: str) -> Vector:
        """Return the latest vector of an instrument as it stands, whatever its age; one round trip.

        Raises TerminalError for an instrument without one, RetryableError when Redis does not answer.
        """
        try:
            told = cast(dict[str, str], self._redis.hgetall(key(venue, instrument)))
        except RedisError as error:
            raise RetryableError(f"Redis did not tell the features: {error}") from error
        if not told:
            raise TerminalError(
                f"there are no features of {venue} {instrument} in Redis: the asset market/features writes them for a "
                "closed day, and they are forgotten two days later. tapehouse latest lists instruments"
            )
        rows = {source: _row(source, venue, instrument, text) for source, text in told.items()}
        values = {name: value for row in rows.values() for name, value in row.values.items()}
        return Vector(venue, instrument, values, rows)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def latest_vector(settings: CacheSettings, venue: str, instrument: str) -> Vector:
    """Return the latest vector of an instrument; see VectorReader.latest_vector."""
    reader = VectorReader(settings)
    try:
        return reader.latest_vector(venue, instrument)
    finally:
        reader.close()


def _row(source: str, venue: str, instrument: str, text: str) -> Row:
    event, known = (EPOCH + _MICROSECOND * (int(text[start : start + _DIGITS]) - 2**63) for start in (0, _DIGITS))
    return Row(source, venue, instrument, event, known, orjson.loads(text[2 * _DIGITS :]))

"""Asks a venue's REST side for a span of its past, page by page; answers go on the tape as the venue sent them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from contracts.errors import RetryableError, TerminalError
from contracts.imports import CONNECTION_PREFIX
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.collector.rest import RestClient
from sources.endpoints import Endpoint, Missing, Request, Venue
from sources.events import Accepted, Ignored
from sources.importing.parse import REST, rest_request
from sources.importing.records import Record
from sources.importing.run import Sendable
from sources.venues import venue

_MINUTE = 60_000_000
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class _Feed:
    """How the past of a feed can be asked for: in which series trades come, and how many minutes a page of bars has.

    A feed that can be asked from a time on gives its trades forward; others begin at the end, and `by_id` alone can say
    where to go on.
    """

    space: str
    forward: bool
    minutes: int
    by_id: bool = False


# The first of a venue is asked unless another is named. Binance's single trades can't be asked for by time.
_FEEDS: dict[str, dict[str, _Feed]] = {
    "binance": {"spot": _Feed("spot.agg_trade", True, 1000), "usdm": _Feed("usdm.agg_trade", True, 1000)},
    "coinbase": {
        "advanced": _Feed("advanced.trade", False, 350),
        "exchange": _Feed("exchange.trade", False, 300, by_id=True),
    },
    "kraken": {"v2": _Feed("spot.trade", True, 720), "v1": _Feed("v1.trade", True, 720)},
}


@dataclass(frozen=True)
class Span:
    """What is asked for: trades, or one-minute bars, of an instrument between two times (microseconds)."""

    venue: str
    endpoint: str
    instrument: str
    bars: bool
    from_time: int
    to_time: int

    @property
    def record(self) -> Record:
        """Return the record of a span of which nothing is done yet."""
        first, last = (
            datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y%m%dT%H%M%S")
            for time in (self.from_time, self.to_time)
        )
        kind = "bars" if self.bars else "trades"
        name = f"{CONNECTION_PREFIX}rest-{self.venue}-{self.endpoint}-{self.instrument}-{kind}-{first}-{last}"
        return Record(
            connection_id=name[:128],
            file=f"{self.venue} {self.instrument}",
            sha256="",
            member="",
            venue=self.venue,
            space=self.endpoint,
            kind=kind,
            placed=False,
            instruments=(self.instrument,),
            first_time=self.from_time,
            last_time=self.to_time,
        )


def span_of(name: str, endpoint: str, instrument: str, first: datetime, last: datetime, *, bars: bool) -> Span:
    """Return the span; TerminalError where the venue or its endpoint can't be asked, or the times are no span."""
    feeds = _FEEDS.get(name)
    if feeds is None:
        raise TerminalError(f"{name!r} is not asked by REST; valid: {', '.join(_FEEDS)}, and any of ccxt's by --ccxt")
    if endpoint and endpoint not in feeds:
        raise TerminalError(f"{name} has no past at {endpoint!r}; valid: {', '.join(feeds)}")
    begin, end = (int(time.timestamp()) * 1_000_000 for time in (first, last))
    if begin >= end:
        raise TerminalError(f"from {first} to {last} is no span: the first time must come before the last")
    return Span(name, endpoint or next(iter(feeds)), instrument, bars, begin, end)


class Asker:
    """Asks for one span, within the venue's limits and behind a circuit breaker."""

    def __init__(self, span: Span, endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
        known: Venue = venue(span.venue)
        self._span = span
        self._feed = _FEEDS[span.venue][span.endpoint]
        self._parse = known.parse
        self._rest = known.rest(endpoint)
        self._by_id = self._feed.space in known.counted
        self._client = RestClient(endpoint, session, known.key_header)

    def payloads(self, record: Record) -> AsyncIterator[Sendable]:
        """Yield the venue's answers from the record's cursor on; units are microseconds of the span."""
        if self._span.bars:
            return self._bars(record)
        return self._forward(record) if self._feed.forward else self._backward(record)

    async def _forward(self, record: Record) -> AsyncIterator[Sendable]:
        span = self._span
        since, first_id = record.cursor or span.from_time, None
        while True:
            missing = Missing(span.instrument, self._feed.space, first_id, None, since, span.to_time)
            body, request, rows = await self._answer(self._rest.trades(missing), TRADES.name)
            newest = max((_number(row, "event_time") for row in rows), default=since)
            last_id = max((_number(row, "venue_sequence") for row in rows), default=0)
            yield self._sendable(body, request, newest - since, newest)
            onward = last_id >= (first_id or 0) if self._by_id else newest > since
            if not rows or not onward or newest >= span.to_time:
                return
            since, first_id = newest, last_id + 1 if self._by_id else None

    async def _backward(self, record: Record) -> AsyncIterator[Sendable]:
        span = self._span
        by_id = self._feed.by_id
        until = span.to_time if by_id else record.cursor or span.to_time
        last_id = record.cursor - 1 if by_id and record.cursor else None
        while True:
            missing = Missing(span.instrument, self._feed.space, None, last_id, span.from_time, until)
            body, request, rows = await self._answer(self._rest.trades(missing), TRADES.name)
            oldest = min((_number(row, "event_time") for row in rows), default=until)
            first_id = min((_number(row, "venue_sequence") for row in rows), default=0)
            yield self._sendable(body, request, max(until - oldest, 0), first_id if by_id else oldest)
            onward = first_id > 1 if by_id else oldest < until
            if not rows or not onward or oldest <= span.from_time:
                return
            until, last_id = min(oldest, until), first_id - 1 if by_id else None

    async def _bars(self, record: Record) -> AsyncIterator[Sendable]:
        span = self._span
        since = record.cursor or span.from_time
        while since < span.to_time:
            asked = self._rest.bars(span.instrument, since, span.to_time - 1)
            body, request, rows = await self._answer(asked, VENUE_BARS.name)
            newest = max((_number(row, "bar_time") for row in rows), default=since)
            # A page may end amid minutes without trades: the next begins behind all that this one could have held.
            onward = max(newest + _MINUTE, since + self._feed.minutes * _MINUTE)
            yield self._sendable(body, request, min(onward, span.to_time) - since, onward)
            since = onward

    async def _answer(
        self, request: Request | None, dataset: str
    ) -> tuple[bytes, Request, Sequence[dict[str, object]]]:
        if request is None:
            raise TerminalError(f"{self._span.venue} offers no {'bars' if self._span.bars else 'trades'} there")
        body = await patiently(self._client, request)
        events = self._parse(self._span.endpoint, body, request.target)
        if any(isinstance(event, Ignored) and event.reason == "subscription_error" for event in events):
            raise TerminalError(f"{self._span.venue} refused {request.target}: {body[:200]!r}")
        rows = [event.row for event in events if isinstance(event, Accepted) and event.dataset == dataset]
        return body, request, rows

    def _sendable(self, body: bytes, request: Request, units: int, cursor: int) -> Sendable:
        told = rest_request(self._span.venue, self._span.endpoint, request.target)
        return Sendable(REST, body, told, max(units, 0), cursor)


async def patiently(client: RestClient, request: Request) -> bytes:
    """Ask until the venue answers, with growing pauses, for some minutes at most."""
    return await AsyncRetrying(
        retry=retry_if_exception_type(RetryableError),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        stop=stop_after_delay(_PATIENCE_S),
        reraise=True,
    )(client.get, request)


def endpoint_of(span: Span, rest_url: str, key: str) -> Endpoint:
    """Return the endpoint to ask, at another address if one is named."""
    known = venue(span.venue).endpoint(span.endpoint)
    return replace(known, rest_url=rest_url or known.rest_url, rest_key=key)


def _number(row: dict[str, object], name: str) -> int:
    value = row[name]
    assert isinstance(value, int)
    return value


def feeds() -> Iterator[tuple[str, str, str]]:
    """Yield venue, endpoint and the series of trades that can be asked for."""
    for name, known in _FEEDS.items():
        for endpoint, feed in known.items():
            yield name, endpoint, feed.space

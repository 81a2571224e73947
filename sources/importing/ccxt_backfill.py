"""Asks any venue that ccxt knows for a span of its past; what ccxt makes of the answers goes on the tape."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from contracts.errors import RetryableError, TerminalError
from sources.generic import config
from sources.generic.client import Client, QuestionError
from sources.generic.cursor import Cursor
from sources.generic.question import Question
from sources.importing.backfill import Span
from sources.importing.parse import REST, rest_request
from sources.importing.records import Record
from sources.importing.run import Sendable

_PATIENCE_S = 300.0
_PAGE = 1000


@dataclass
class CcxtAsker:
    """Asks for one span; limits are ccxt's own (`rateLimit`). `more` is what ccxt is told besides."""

    span: Span
    rest_url: str
    session: aiohttp.ClientSession

    async def payloads(self, record: Record) -> AsyncIterator[Sendable]:
        """Yield ccxt's structures, each with what the venue sent, from the record's cursor on.

        A venue that gives the newest page alone, whatever it is asked, is a TerminalError: its past can't be had.
        """
        span = self.span
        endpoint = replace(config.endpoint(span.venue), rest_url=self.rest_url)
        kind = config.BARS if span.bars else config.TRADES
        begin = record.cursor or span.from_time
        cursor = Cursor(kind, reached=begin // 1000)
        client = Client(endpoint, self.session, {})
        try:
            while True:
                since = cursor.since(time.time_ns() // 1_000_000)
                question = Question(kind, span.instrument, since, _PAGE)
                page = await _patiently(client, question)
                before = cursor.reached or 0
                taken = cursor.take(page, since, time.time_ns() // 1_000_000)
                if taken.apart and before <= begin // 1000 and not _reaches(kind, page, span):
                    raise TerminalError(
                        f"{span.venue} gives its newest {len(page)} {kind} alone, whatever time is asked for"
                    )
                reached = cursor.reached or before
                about = {"ccxt": client.version, "repeated": taken.repeated, "apart": taken.apart}
                payload = orjson.dumps({**about, "entries": taken.entries}, default=str)
                told = rest_request(span.venue, endpoint.name, question.target)
                yield Sendable(REST, payload, told, max(reached - before, 0) * 1000, reached * 1000)
                if not taken.entries or reached <= before or reached * 1000 >= span.to_time:
                    return
        finally:
            await client.close()


def _reaches(kind: str, page: list[Any], span: Span) -> bool:
    """Return whether a page begins within the span: what lies before it may not have been traded."""
    first = min((one["timestamp"] if kind == config.TRADES else one[0] for one in page), default=0)
    return int(first) * 1000 < span.to_time


async def _patiently(client: Client, question: Question) -> list[Any]:
    found: list[Any] = await AsyncRetrying(
        retry=retry_if_exception(lambda e: isinstance(e, RetryableError) and not isinstance(e, QuestionError)),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        stop=stop_after_delay(_PATIENCE_S),
        reraise=True,
    )(client.ask, question)
    return found

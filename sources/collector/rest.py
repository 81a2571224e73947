"""Asks a venue's REST side: within its limits, never in a hurry, and not at all while it is down."""

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from contracts.errors import RetryableError, TerminalError
from contracts.tape import MAX_PAYLOAD_BYTES
from sources.endpoints import Endpoint, Request
from sources.logs import say
from sources.tape_file import TapeRecord

_log = logging.getLogger(__name__)
# So many failures in a row open the circuit: nobody asks for so long, then one request tries.
_FAILURES = 5
_REST_S = 20.0
# What a venue that says "too many" without saying for how long is given.
_PAUSE_S = 10.0
_LONGEST_PAUSE_S = 300.0
_TOO_MANY = frozenset({418, 429})


@dataclass
class Asked:
    """What can be told of the requests of an endpoint."""

    requests: int = 0
    answers: int = 0
    limited: int = 0  # the venue said: too many
    refused: int = 0  # not sent, since the circuit is open
    waited_s: float = 0.0  # for our own limit
    failures: dict[str, int] = field(default_factory=dict)  # by the error's name
    last_error: str = ""
    circuit: str = "closed"


class RestClient:
    """Ask one endpoint's REST side. Answers are numbered like a connection's messages, for the tape.

    Raises RetryableError where asking again later may help, TerminalError where the venue says that the question is
    wrong.
    """

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession, key_header: str = "") -> None:
        self._headers = {key_header: endpoint.rest_key} if key_header and endpoint.rest_key else {}
        self._endpoint = endpoint
        self._session = session
        # Weights add up over a minute; a burst of a tenth of it is allowed.
        burst = max(endpoint.rest_weight_a_minute / 10, 1.0)
        self._limiter = AsyncLimiter(burst, 6.0)
        self._burst = burst
        self._breaker = AsyncCircuitBreakerFactory(
            default_threshold=_FAILURES, default_ttl=_REST_S, exclude=[TerminalError, _LimitedError]
        )
        self._paused_until = 0.0
        self._number = 0
        self._connection_id = _connection_id(endpoint)
        self.asked = Asked()

    async def get(self, request: Request) -> bytes:
        """Return the body of the answer."""
        await self._turn(request.weight)
        try:
            async with await self._breaker.get_breaker(self._endpoint.name):
                body = await self._get(request)
        except OpenedState as error:
            self.asked.refused += 1
            self.asked.circuit = "open"
            raise RetryableError(
                f"{self._endpoint.venue}'s REST side failed {_FAILURES} times in a row and is left alone for "
                f"{_REST_S:.0f} s; last: {self.asked.last_error}"
            ) from error
        self.asked.circuit = "closed"
        self.asked.answers += 1
        return body

    async def record(self, request: Request) -> TapeRecord:
        """Return the answer as a record for the tape."""
        body = await self.get(request)
        self._number += 1
        return TapeRecord(
            time.time_ns() // 1000,
            self._endpoint.venue,
            self._endpoint.name,
            self._connection_id,
            self._number,
            body,
            request.target,
        )

    async def _turn(self, weight: float) -> None:
        began = time.monotonic()
        while (left := self._paused_until - time.monotonic()) > 0:  # noqa: ASYNC110 - a later answer may lengthen it
            await asyncio.sleep(left)
        await self._limiter.acquire(min(weight, self._burst))
        self.asked.waited_s += time.monotonic() - began

    async def _get(self, request: Request) -> bytes:
        self.asked.requests += 1
        url = f"{self._endpoint.rest_url.rstrip('/')}{request.target}"
        timeout = aiohttp.ClientTimeout(total=self._endpoint.rest_timeout_s)
        try:
            async with self._session.get(url, timeout=timeout, headers=self._headers, allow_redirects=False) as answer:
                if answer.status in _TOO_MANY:
                    self._pause(answer.headers.get("Retry-After", ""))
                    raise _LimitedError(f"{self._endpoint.venue} says {answer.status}: too many requests")
                body = await _body(answer)
                if answer.status >= 500:
                    raise RetryableError(f"{request.target} was answered {answer.status}: {body[:200]!r}")
                if answer.status >= 300:
                    raise TerminalError(f"{request.target} was answered {answer.status}: {body[:200]!r}")
                if len(body) > MAX_PAYLOAD_BYTES:
                    raise TerminalError(f"{request.target}: more than {MAX_PAYLOAD_BYTES} bytes; ask for less")
                return body
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._noted(RetryableError(f"{request.target}: {type(error).__name__} {error}")) from error
        except (RetryableError, TerminalError) as error:
            raise self._noted(error) from None

    def _noted(self, error: RetryableError | TerminalError) -> RetryableError | TerminalError:
        name = type(error).__name__.strip("_")
        self.asked.failures[name] = self.asked.failures.get(name, 0) + 1
        self.asked.last_error = str(error)[:300]
        return error

    def _pause(self, retry_after: str) -> None:
        seconds = float(retry_after) if retry_after.isdigit() else _PAUSE_S
        self._paused_until = time.monotonic() + min(seconds, _LONGEST_PAUSE_S)
        self.asked.limited += 1
        say(_log, "the venue limits us", endpoint=self._endpoint.name, seconds=seconds)


class _LimitedError(RetryableError):
    """The venue said: too many. It is well, and must not be taken for broken."""


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the whole body; of one that is too long, enough to tell."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_PAYLOAD_BYTES:
            break
    return bytes(body)


def _connection_id(endpoint: Endpoint) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{endpoint.venue}-{endpoint.name}-rest-{moment}-{secrets.token_hex(4)}"

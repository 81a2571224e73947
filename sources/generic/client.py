"""Asks a venue through ccxt, which is imported when the first client is made."""

import importlib
import json
import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from contracts.errors import RetryableError, TerminalError
from sources.endpoints import Endpoint
from sources.generic import config
from sources.generic.question import Question

CCXT = "ccxt.async_support"
_HOST = re.compile(r"https?://[^/]+")
_MOST_S = 300.0
# Answers to which asking otherwise or for something else may help, while the venue is well.
_WRONG = frozenset({400, 403, 404, 405, 409, 410, 422, 451})


class LimitedError(RetryableError):
    """The venue said: too many. It is well; `pause_s` is what it asks for, 0 where it does not say."""

    def __init__(self, message: str, pause_s: float) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class QuestionError(RetryableError):
    """The venue answers, but not this question, or ccxt can't read the answer, which is then in `body`."""

    def __init__(self, message: str, body: bytes = b"") -> None:
        super().__init__(message)
        self.body = body


class Client:
    """One venue through ccxt: numbers stay text, pages stay whole, and limits are ccxt's (`rateLimit`).

    ccxt writes numbers as text when it is told so, but in Python it has read those of the JSON as floats by then. Here
    they are read as text. It leaves out of an answer what lies before `since` or beyond `limit`; here the page stays
    as the venue sent it, since only a whole page tells whether another follows. Each bar carries, as a seventh
    element, what the venue sent of it.
    """

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession, more: Mapping[str, object]) -> None:
        self._ccxt: Any = importlib.import_module(CCXT)
        self.version: str = self._ccxt.__version__
        self._venue = endpoint.venue
        self._status, self._body, self._retry_after = 0, "", ""
        options = {
            **more,
            "enableRateLimit": True,
            "number": str,
            "session": session,
            "timeout": int(endpoint.rest_timeout_s * 1000),
        }
        exchange = self._exchange = getattr(self._ccxt, endpoint.venue)(options)
        exchange.timeout_on_exit = 0  # the session is not ccxt's, and needs no time to close
        exchange.on_json_response = _with_exact_numbers
        exchange.on_rest_response = self._answered
        exchange.filter_by_since_limit = exchange.filter_by_limit = _whole
        exchange.filter_by_symbol_since_limit = exchange.filter_by_value_since_limit = _whole
        self._parse_ohlcv = exchange.parse_ohlcv
        exchange.parse_ohlcv = self._bar_with_info
        if endpoint.rest_url:
            exchange.urls = exchange.extend(exchange.urls, {"api": _elsewhere(exchange.urls["api"], endpoint.rest_url)})

    @property
    def precision_mode(self) -> int:
        """What ccxt means by this venue's precisions."""
        return int(self._exchange.precisionMode)

    async def close(self) -> None:
        """Let go; the session stays open."""
        await self._exchange.close()

    async def ask(self, question: Question) -> list[Any]:
        """Return the entries of the answer, oldest first.

        Raises TerminalError where the venue does not have it at all, QuestionError where it does not answer this,
        LimitedError where it wants less, and RetryableError for everything that passes.
        """
        self._status, self._body, self._retry_after = 0, "", ""
        try:
            return await self._entries(question)
        except TerminalError:
            raise
        except Exception as error:
            raise self._judged(error, question) from error

    async def _entries(self, question: Question) -> list[Any]:
        exchange = self._exchange
        if question.kind == config.INSTRUMENTS:
            return list((await exchange.load_markets(True)).values())
        self._check_offered(question.kind)
        await exchange.load_markets()
        self._body = ""
        if question.kind == config.TRADES:
            found = await exchange.fetch_trades(question.symbol, question.since, question.limit)
        else:
            found = await exchange.fetch_ohlcv(question.symbol, "1m", question.since, question.limit)
        if type(found) is not list or not all(_is_entry(question.kind, entry) for entry in found):
            raise QuestionError("ccxt made something else of the answer than its manual says", self._body.encode())
        if not found and self._body.lstrip()[:1] not in ("{", "["):
            # A page for people, with status 200: ccxt finds nothing in it.
            raise QuestionError(f"the answer to {question.target} is no JSON: {self._body[:80]!r}", self._body.encode())
        return found

    def _check_offered(self, kind: str) -> None:
        method = "fetchTrades" if kind == config.TRADES else "fetchOHLCV"
        # ccxt can make bars of trades; so can we, and then they are not called the venue's.
        if self._exchange.has.get(method) is not True:
            raise TerminalError(f"{self._venue} offers no {kind} by REST, or ccxt does not know how to ask for them")
        if kind == config.BARS and "1m" not in (self._exchange.timeframes or {}):
            raise TerminalError(f"{self._venue} offers no bars of one minute")

    def _judged(self, error: Exception, question: Question) -> RetryableError | TerminalError:
        ccxt = self._ccxt
        text = f"{question.target}: {type(error).__name__} {error}"[:300]
        if isinstance(error, RetryableError):
            return error
        if isinstance(error, ccxt.BadSymbol | ccxt.NotSupported):
            return TerminalError(text)
        if isinstance(error, ccxt.AuthenticationError | ccxt.RestrictedLocation):
            return TerminalError(f"{text}; the venue does not give it to everybody")
        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            digits = self._retry_after
            return LimitedError(text, min(float(digits), _MOST_S) if digits.isascii() and digits.isdigit() else 0.0)
        if self._status in _WRONG:
            return QuestionError(text)
        if isinstance(error, ccxt.NetworkError | aiohttp.ClientError | OSError | TimeoutError):
            return RetryableError(text)
        if isinstance(error, ccxt.BaseError) and not isinstance(error, ccxt.BadResponse):
            return QuestionError(text)
        return QuestionError(f"ccxt can't read the answer to {text}", self._body.encode())

    def _answered(self, code: int, _reason: Any, _url: Any, _method: Any, headers: Any, body: str, *_: Any) -> str:
        self._status, self._body = code, body
        named = {name.casefold(): value for name, value in headers.items()}
        self._retry_after = str(named.get("retry-after", ""))
        return body.strip()

    def _bar_with_info(self, raw: Any, market: Any = None) -> Any:
        parsed = self._parse_ohlcv(raw, market)
        return [*parsed[:6], raw] if isinstance(parsed, list) and parsed is not raw else parsed


def _with_exact_numbers(body: str) -> Any:
    return json.loads(body, parse_float=str)


def _is_entry(kind: str, entry: object) -> bool:
    return isinstance(entry, dict) if kind == config.TRADES else isinstance(entry, list) and len(entry) >= 6


def _whole(entries: Any, *_: Any, **__: Any) -> Any:
    return entries


def _elsewhere(urls: Any, rest_url: str) -> Any:
    """Put another host in front of every address, keeping paths."""
    if isinstance(urls, dict):
        return {name: _elsewhere(url, rest_url) for name, url in urls.items()}
    return _HOST.sub(rest_url.rstrip("/"), urls, count=1) if isinstance(urls, str) else urls

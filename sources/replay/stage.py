"""The endpoints that the replay server stands in for, each with what was played of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from contracts.errors import TerminalError
from sources.replay.binance import BinanceFeed
from sources.replay.coinbase import AdvancedFeed, ExchangeFeed
from sources.replay.kraken import V1Feed, V2Feed
from sources.replay.memory import Memory
from sources.replay.protocol import Asked, Feed
from sources.venues import VENUES

_SPOT, _USDM = BinanceFeed("/api/v3/"), BinanceFeed("/fapi/v1/")
# The two feeds of USD-M are one market with one REST side.
_FEEDS: dict[str, Feed] = {
    "binance/spot": _SPOT,
    "binance/usdm": _USDM,
    "binance/usdm_market": _USDM,
    "coinbase/exchange": ExchangeFeed(),
    "coinbase/advanced": AdvancedFeed(),
    "kraken/v1": V1Feed(),
    "kraken/v2": V2Feed(),
}
ENDPOINTS = tuple(_FEEDS)


@dataclass(frozen=True)
class Stage:
    """One endpoint: how it speaks, which stream a payload belongs to, and what was played."""

    name: str
    feed: Feed
    stream_of: Callable[[bytes], str | None]
    memory: Memory


def stages() -> dict[str, Stage]:
    """Return every endpoint by its name, venue/endpoint, with nothing played yet."""
    memories: dict[int, Memory] = {}
    found = {}
    for name, feed in _FEEDS.items():
        memory = memories.setdefault(id(feed), Memory(feed))
        found[name] = Stage(name, feed, stream_of(name), memory)
    return found


def stream_of(name: str) -> Callable[[bytes], str | None]:
    """Return what names the stream of an endpoint's payloads; TerminalError for an unknown endpoint."""
    venue, _, endpoint = name.partition("/")
    try:
        return VENUES[venue].dialects[endpoint].stream_of
    except KeyError:
        raise TerminalError(f"no endpoint {name}; valid: {', '.join(ENDPOINTS)}") from None


def asked_by(target: str, now: int = 0) -> Asked:
    """Read a REST request's path with query."""
    path, _, query = target.partition("?")
    found: dict[str, str] = {}
    for name, value in parse_qsl(query):
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return Asked(path, found, now)


def reference_answers(name: str, answers: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return, by path, those of recorded REST answers that are about instruments."""
    feed = _FEEDS[name]
    found: dict[str, bytes] = {}
    for target, payload in answers.items():
        path = target.partition("?")[0]
        # One without a query tells of all instruments.
        if feed.is_reference(path) and (path not in found or "?" not in target):
            found[path] = payload
    return found

"""What is asked of a venue, and how it stands on the tape beside the answer: `trades?symbol=BTC/USDT&since=17...`."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs, urlencode

from contracts.errors import TerminalError
from sources.generic.config import INSTRUMENTS, KINDS


@dataclass(frozen=True)
class Question:
    """A question in ccxt's terms; `since` in milliseconds, inclusive."""

    kind: str
    symbol: str = ""
    since: int | None = None
    limit: int | None = None

    @property
    def target(self) -> str:
        """Return it as text."""
        told = {"symbol": self.symbol or None, "since": self.since, "limit": self.limit}
        query = urlencode({name: value for name, value in told.items() if value is not None}, safe="/:")
        return f"{self.kind}?{query}" if query else self.kind


def of_stream(stream: str) -> Question:
    """Return what a stream asks for, without a time: `trades:BTC/USDT`. TerminalError says which streams there are."""
    kind, colon, symbol = stream.partition(":")
    if kind not in KINDS or bool(symbol) == (kind == INSTRUMENTS) or bool(colon) != bool(symbol):
        raise TerminalError(
            f"no stream is called {stream!r}; valid: trades:<symbol>, bars_1m:<symbol>, instruments, "
            "with symbols as ccxt writes them: BTC/USDT, or BTC/USDT:USDT for the perpetual"
        )
    return Question(kind, symbol)


@lru_cache(maxsize=4096)
def asked(kind_and_query: str) -> tuple[str, str]:
    """Read kind and symbol back from the text; empty where there is none."""
    kind, _, query = kind_and_query.partition("?")
    try:
        return kind, parse_qs(query).get("symbol", [""])[0]
    except ValueError:
        return "", ""

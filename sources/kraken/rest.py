"""What Kraken's REST side can be asked."""

from urllib.parse import quote

from sources.endpoints import Missing, Request
from sources.fields import Fault
from sources.kraken.numbers import loads, seconds

_MICROS = 1_000_000
_MINUTE = 60
_PAGE = 1000  # the most that Kraken gives
# A longer address may be refused on the way; then all pairs are asked for.
_MOST_PAIRS = 100


class KrakenRest:
    """The REST side, the same for both feeds.

    REST has its own names of pairs (XXBTZUSD) and answers with them; it understands the names of the feeds too, with
    their slash, though Kraken documents it nowhere. So the request is asked with the feed's name, and what it asks
    for tells the parser what the answer is about.
    """

    def trades(self, missing: Missing) -> Request | None:
        """Ask for up to 1,000 trades since a time, oldest first: Kraken knows neither an end nor ids.

        What is asked for begins after `since`, which is in nanoseconds.
        """
        since = max(missing.from_time * 1000 - 1, 0)
        return Request(f"/0/public/Trades?pair={_pair(missing.instrument)}&since={since}&count={_PAGE}")

    def book(self, instrument: str) -> Request | None:  # noqa: ARG002
        """Offer nothing: deltas carry no number by which they could follow on a book from REST; subscribe again."""
        return None

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:  # noqa: ARG002
        """Ask for the bars since a time; the last 720 are all that Kraken gives, and it knows no end."""
        begin = from_time // (_MINUTE * _MICROS) * _MINUTE
        return Request(f"/0/public/OHLC?pair={_pair(instrument)}&interval=1&since={max(begin - 1, 0)}")

    def instruments(self, instruments: tuple[str, ...]) -> Request:
        """Ask for reference data."""
        if not 0 < len(instruments) <= _MOST_PAIRS:
            return Request("/0/public/AssetPairs")
        return Request(f"/0/public/AssetPairs?pair={','.join(map(_pair, instruments))}")

    def time(self) -> Request:
        """Ask for the venue's clock."""
        return Request("/0/public/Time")

    def server_time(self, payload: bytes) -> int:
        """Read the answer to time(), which knows whole seconds alone; ValueError when it is none."""
        try:
            return seconds(loads(payload)["result"]["unixtime"], "unixtime")
        except (KeyError, TypeError, Fault) as error:
            raise ValueError(f"no answer to Time: {error}") from error


def _pair(instrument: str) -> str:
    return quote(instrument, safe="/")


REST = KrakenRest()

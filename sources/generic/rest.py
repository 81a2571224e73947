"""What can be asked of the REST side besides polling: nothing. The poller asks for all there is."""

from contracts.errors import TerminalError
from sources.endpoints import Missing, Request


class GenericRest:
    """Offers nothing: ccxt speaks to the venue, so that there are no requests of ours to send again."""

    def trades(self, missing: Missing) -> Request | None:  # noqa: ARG002 - the protocol's
        """Return None: the poller asks from the last trade on by itself."""
        return None

    def book(self, instrument: str) -> Request | None:  # noqa: ARG002 - the protocol's
        """Return None: no books are collected."""
        return None

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:  # noqa: ARG002 - the protocol's
        """Return None: the poller asks from the last bar on by itself."""
        return None

    def instruments(self, instruments: tuple[str, ...]) -> Request:  # noqa: ARG002 - the protocol's
        """Raise TerminalError: the stream `instruments` is polled."""
        raise TerminalError("a generic venue's instruments come with its stream `instruments`")

    def time(self) -> Request:
        """Raise TerminalError: most venues' clocks are not offered by ccxt."""
        raise TerminalError("a generic venue's clock is not asked for")

    def server_time(self, payload: bytes) -> int:  # noqa: ARG002 - the protocol's
        """Raise ValueError: nothing is an answer to what can't be asked."""
        raise ValueError("a generic venue's clock is not asked for")


REST = GenericRest()

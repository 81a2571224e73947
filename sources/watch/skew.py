"""How far the collector's clock is from the venue's, as well as messages and time requests tell."""

from collections import deque


class Skew:
    """An estimate over the last messages and exchanges; times in microseconds, reports in milliseconds.

    received - event is our clock's offset plus the way's delay, and a delay is never negative: the low end bounds the
    offset from above. A time request bounds it from both sides. Signs: negative when our clock is behind the venue's.
    """

    def __init__(self, window: int = 1000, exchanges: int = 16) -> None:
        self._lags: deque[int] = deque(maxlen=window)
        self._exchanges: deque[tuple[float, float]] = deque(maxlen=exchanges)  # uncertainty, offset

    def heard(self, event_time: int, received_time: int) -> None:
        """Take a message's two times."""
        self._lags.append(received_time - event_time)

    def exchanged(self, sent: int, server: int, received: int) -> None:
        """Take a time request: our clock at sending, the venue's answer, our clock at receipt."""
        self._exchanges.append(((received - sent) / 2, (sent + received) / 2 - server))

    def report(self) -> dict[str, float | int | None]:
        """Return lags and offset in milliseconds, None where nothing was heard.

        lag_least_ms, lag_low_ms (5% are less; a single wrong time does not move it) and lag_median_ms of received -
        event over `messages`; offset_ms of our clock with its uncertainty_ms, from the quickest of `exchanges`.
        """
        lags = sorted(self._lags)
        quickest = min(self._exchanges, default=None)
        return {
            "messages": len(lags),
            "lag_least_ms": lags[0] / 1000 if lags else None,
            "lag_low_ms": lags[len(lags) // 20] / 1000 if lags else None,
            "lag_median_ms": lags[len(lags) // 2] / 1000 if lags else None,
            "exchanges": len(self._exchanges),
            "offset_ms": quickest[1] / 1000 if quickest else None,
            "uncertainty_ms": quickest[0] / 1000 if quickest else None,
        }

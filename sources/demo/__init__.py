"""The demo tape that ships with the project; README.md beside it names its sources and licences."""

from dataclasses import replace
from pathlib import Path

from sources.endpoints import Endpoint
from sources.tape_file import read_header
from sources.venues import venue

TAPE = Path(__file__).with_name("binance.tape.zst")


def demo_endpoints(port: int, tape: Path = TAPE) -> tuple[Endpoint, ...]:
    """Return Binance's endpoints as the replay server at that port offers them, subscribed to what the tape holds.

    The live defaults would hear little of it: the tape has USD-M's single trades, and symbols of its own.
    """
    streams = read_header(tape).streams or {}
    return tuple(
        replace(
            endpoint,
            base_url=f"ws://127.0.0.1:{port}/{endpoint.venue}/{endpoint.name}",
            streams=tuple(streams[endpoint.name]),
            # A server on the same machine minds no quick return, and at the start may come up a moment later.
            backoff_longest_s=2.0,
        )
        for endpoint in venue("binance").endpoints
        if streams.get(endpoint.name)
    )

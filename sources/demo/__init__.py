"""The demo tapes that ship with the project, one a venue; README.md beside them names their sources and licences."""

from dataclasses import replace
from pathlib import Path

from contracts.errors import TerminalError
from sources.endpoints import Endpoint
from sources.tape_file import read_header
from sources.venues import VENUES, venue

FOLDER = Path(__file__).parent
TAPES = {name: FOLDER / f"{name}.tape.zst" for name in VENUES}


def replayed(name: str, port: int, tape: Path | None = None) -> tuple[Endpoint, ...]:
    """Return a venue's endpoints as the replay server at that port offers them, subscribed to what the tape holds.

    The live defaults would hear little of it: a tape has streams and symbols of its own.
    """
    tape = tape or TAPES.get(name)
    if tape is None:
        raise TerminalError(f"there is no demo tape of {name!r}; there are: {', '.join(sorted(TAPES))}")
    streams = read_header(tape).streams or {}
    return tuple(
        replace(
            endpoint,
            base_url=f"ws://127.0.0.1:{port}/{endpoint.venue}/{endpoint.name}",
            rest_url=f"http://127.0.0.1:{port}/{endpoint.venue}/{endpoint.name}/rest",
            streams=tuple(streams[endpoint.name]),
            # A server on the same machine minds no quick return, and at the start may come up a moment later.
            backoff_longest_s=2.0,
            rest_weight_a_minute=60_000.0,
            rest_key="none is asked for",
        )
        for endpoint in venue(name).endpoints
        if streams.get(endpoint.name)
    )

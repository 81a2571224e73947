"""How the long-running processes of this room speak and stop: one line an event, one exit."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from contracts.errors import TapehouseError


def say(log: logging.Logger, event: str, **fields: object) -> None:
    """Write one line: the event, then its fields as name=value."""
    if log.isEnabledFor(logging.INFO):
        log.info("%s%s", event, "".join(f" {name}={_shown(value)}" for name, value in fields.items()))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value).replace("\n", " ")
    return repr(text) if " " in text else text


def until_told_to_stop(run: Callable[[asyncio.Event], Awaitable[None]], log: logging.Logger) -> int:
    """Run until SIGTERM or SIGINT sets the event, and return the exit code: 1 with one line when it failed."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "httpx2"):  # the registry's client reports every request
        logging.getLogger(chatty).setLevel(logging.WARNING)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(stop)

    try:
        asyncio.run(main())
    except (TapehouseError, OSError) as error:
        log.error("stopped: %s", str(error).replace("\n", " "))
        return 1
    return 0

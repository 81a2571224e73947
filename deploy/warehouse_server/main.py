"""Start the warehouse server on one directory and stop it cleanly."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import uvicorn

from contracts.errors import TapehouseError
from deploy.warehouse_server.engine import Engine
from deploy.warehouse_server.http import Warehouse


class _Server(uvicorn.Server):
    """Let running queries end for a while, then cancel them, so that their clients are told."""

    def __init__(self, config: uvicorn.Config, engine: Engine, grace_seconds: float) -> None:
        super().__init__(config)
        self._engine = engine
        self._grace_seconds = grace_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cancelling = asyncio.create_task(self._cancel_late())
        try:
            await super().shutdown(sockets)
        finally:
            cancelling.cancel()

    async def _cancel_late(self) -> None:
        await asyncio.sleep(self._grace_seconds)
        while True:
            await asyncio.to_thread(self._engine.cancel_all)
            await asyncio.sleep(0.2)


def serve(
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8123,
    password: str | None = None,
    *,
    grace_seconds: float = 10.0,
) -> None:
    """Serve `data_dir` until SIGTERM or SIGINT, then let running queries end for `grace_seconds` and cancel the rest.

    Raises TerminalError when another server holds the directory. Sets the process's time zone to UTC:
    the engine takes its own from there.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
    engine = Engine(data_dir)
    warehouse = Warehouse(engine, password=password)
    config = uvicorn.Config(
        warehouse,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        # Bounds what request bodies hold in memory: so many times MEMORY_BYTES.
        limit_concurrency=512,
        loop="asyncio",
        server_header=False,
        # Longer than clients keep an idle connection, so that no insert runs into one just being closed.
        timeout_keep_alive=120,
        # Only the last resort: _Server ends what runs longer than its grace itself.
        timeout_graceful_shutdown=int(grace_seconds) + 10,
    )
    server = _Server(config, engine, grace_seconds)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal that stopped it once more; unhandled, it would end the process before the engine closes.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server.run()
    finally:
        stopped = warehouse.close()
        engine.close()
        if not stopped:
            # A thread inside the engine cannot be ended; the interpreter would wait for it for ever.
            print("the engine did not stop a query in time; leaving without it", file=sys.stderr, flush=True)
            os._exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Run the server from the command line; a password is handed in by TAPEHOUSE's settings, never as an argument."""
    parser = argparse.ArgumentParser(
        prog="warehouse_server", description="ClickHouse HTTP protocol over one directory."
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--grace-seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING, stream=sys.stderr
    )
    try:
        serve(options.data_dir, options.host, options.port, grace_seconds=options.grace_seconds)
    except TapehouseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A receiver of alerts to try them with: prints what a webhook is sent."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contracts.errors import TerminalError

LARGEST_BYTES = 1_000_000


def listen(port: int, tell: Callable[[str, str], None]) -> None:
    """Answer POST on loopback until Ctrl-C and pass on each alert's title and text; 0 takes a free port.

    Raises TerminalError when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", 0)), LARGEST_BYTES)
            title, text = _told(self.rfile.read(length))
            tell(title, text)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise TerminalError(f"port {port} can't be listened at ({error.strerror}): name another with --port") from error
    with server:
        bound = server.server_address[1]
        tell(f"listening as json://127.0.0.1:{bound}", "")
        server.serve_forever()


def _told(body: bytes) -> tuple[str, str]:
    try:
        told = json.loads(body)
        return str(told["title"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        return "a message that is no alert", body.decode(errors="replace")

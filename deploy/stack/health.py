"""Health checks: each asks a service what its own clients would ask."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.stack.service import Check, UnhealthyError

LOOPBACK = "127.0.0.1"


def http(port: int, path: str) -> Check:
    """Check that GET answers 200; a JSON object in the answer is returned."""
    url = f"http://{LOOPBACK}:{port}{path}"
    # No proxy of the environment may stand between us and loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def check(timeout: float) -> Mapping[str, Any]:
        try:
            with opener.open(url, timeout=timeout) as answer:
                status, body = answer.status, answer.read(1_000_000)
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(300).decode(errors="replace").strip()
            raise UnhealthyError(f"{url} answers {error.code} {told}".strip()) from None
        except (OSError, ValueError) as error:
            raise UnhealthyError(f"{url} does not answer ({getattr(error, 'reason', error)})") from None
        if status != 200:
            raise UnhealthyError(f"{url} answers {status}")
        return json_object(body)

    return check


def json_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object in `body`, or nothing when it holds something else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def redis(port: int) -> Check:
    """Check that PING is answered by PONG, which Redis refuses while it still loads its data."""

    def check(timeout: float) -> Mapping[str, Any]:
        try:
            with socket.create_connection((LOOPBACK, port), timeout) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(100)
        except OSError as error:
            raise UnhealthyError(f"redis on port {port} does not answer ({error})") from None
        if not answer.startswith(b"+PONG"):
            raise UnhealthyError(f"redis on port {port} answers {answer.decode(errors='replace').strip()}")
        return {}

    return check


def kafka(port: int) -> Check:
    """Check that the broker answers a metadata request and knows itself."""

    def check(timeout: float) -> Mapping[str, Any]:
        try:
            # librdkafka would retry a refused connection until the timeout is over; this knows at once.
            socket.create_connection((LOOPBACK, port), timeout).close()
            settings: dict[str, Any] = {
                "bootstrap.servers": f"{LOOPBACK}:{port}",
                "socket.timeout.ms": max(int(timeout * 1000), 10),
                # What it would print on stderr is in the exception.
                "log_level": 0,
                "error_cb": lambda _: None,
            }
            metadata = AdminClient(settings).list_topics(timeout=timeout)
        except (OSError, KafkaException) as error:
            raise UnhealthyError(f"kafka on port {port} does not answer ({error})") from None
        if not metadata.brokers:
            raise UnhealthyError(f"kafka on port {port} names no broker yet")
        return {}

    return check


def alive(_: float) -> Mapping[str, Any]:
    """Be content that the process runs: for a service that listens nowhere."""
    return {}

"""How one talks to Binance's market streams: addresses, requests, answers."""

import orjson

from sources.endpoints import Endpoint, Reply


class BinanceDialect:
    """The combined stream form, in which every payload names its stream."""

    def url(self, endpoint: Endpoint) -> str:
        """Return the address of the combined stream; what is wanted of it is asked for afterwards."""
        return f"{endpoint.base_url.rstrip('/')}/stream"

    def subscribe(self, streams: tuple[str, ...], request: int) -> str:
        """Return the SUBSCRIBE message; the venue answers with its request number."""
        return orjson.dumps({"method": "SUBSCRIBE", "params": list(streams), "id": request}).decode()

    def reply(self, payload: bytes) -> Reply | None:
        """Read `{"result":null,"id":1}`, and refusals, which carry `error` or, in older form, `code` and `msg`."""
        if b'"id"' not in payload or len(payload) > 4096:
            return None
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(message, dict) or "stream" in message or "e" in message:
            return None
        request = message.get("id")
        if not isinstance(request, int):
            return None
        if message.get("result", "absent") is None:
            return Reply(request, "")
        return Reply(request, str(message.get("error") or message.get("msg") or message))


DIALECT = BinanceDialect()

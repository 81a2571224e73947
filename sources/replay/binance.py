"""Binance's side of the conversation: which stream a payload belongs to, the two forms, requests and answers."""

from dataclasses import dataclass, field

import orjson

_COMBINED = b'{"stream":"'


def stream_of(payload: bytes) -> str | None:
    """Name the stream on which the venue would send the payload; None when the payload does not tell."""
    if payload.startswith(_COMBINED):
        end = payload.find(b'"', len(_COMBINED))
        return payload[len(_COMBINED) : end].decode("utf-8", "replace") if end > 0 else None
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(message, dict):
        return None
    if isinstance(stream := message.get("stream"), str):
        return stream
    kind, symbol = message.get("e"), message.get("s")
    if not isinstance(kind, str) or not isinstance(symbol, str):
        return None
    if kind == "kline" and isinstance(candle := message.get("k"), dict):
        return f"{symbol.lower()}@kline_{candle.get('i')}"
    return f"{symbol.lower()}@{'depth' if kind == 'depthUpdate' else kind}"


def fit(payload: bytes, stream: str | None, combined: bool) -> bytes:
    """Return the payload in the form asked for: byte for byte when it was recorded so, else wrapped or unwrapped."""
    recorded_combined = payload.startswith(b'{"stream":')
    if recorded_combined == combined or stream is None:
        return payload
    if combined:
        return b'{"stream":' + orjson.dumps(stream) + b',"data":' + payload + b"}"
    prefix = b'{"stream":' + orjson.dumps(stream) + b',"data":'
    if payload.startswith(prefix) and payload.endswith(b"}"):
        return payload[len(prefix) : -1]
    try:
        return orjson.dumps(orjson.loads(payload)["data"])
    except (orjson.JSONDecodeError, KeyError):
        return payload


@dataclass
class Subscriptions:
    """What one connection asked for, and in which form it is sent."""

    combined: bool
    streams: dict[str, None] = field(default_factory=dict)

    def answer(self, request: bytes) -> bytes:
        """Act on a request of the client and return the venue's answer."""
        try:
            message = orjson.loads(request)
        except orjson.JSONDecodeError as error:
            return _refusal(3, f"Invalid JSON: {error}", None)
        if not isinstance(message, dict):
            return _refusal(3, "Invalid JSON: expected an object", None)
        number, parameters = message.get("id"), message.get("params", [])
        if number is not None and not isinstance(number, int | str):
            return _refusal(2, "Invalid request: request ID must be an unsigned integer or a string", None)
        method = message.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return orjson.dumps({"result": list(self.streams), "id": number})
        if method == "GET_PROPERTY":
            return orjson.dumps({"result": self.combined, "id": number})
        if method == "SET_PROPERTY" and isinstance(parameters, list) and parameters[:1] == ["combined"]:
            self.combined = parameters[1:] == [True]
            return orjson.dumps({"result": None, "id": number})
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _refusal(2, f"Invalid request: unknown variant {method!r}", number)
        if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
            return _refusal(2, "Invalid request: params must be a list of stream names", number)
        for name in parameters:
            if method == "SUBSCRIBE":
                self.streams[name] = None
            else:
                self.streams.pop(name, None)
        return orjson.dumps({"result": None, "id": number})


def _refusal(code: int, text: str, number: int | str | None) -> bytes:
    answer: dict[str, object] = {"error": {"code": code, "msg": text}}
    if number is not None:
        answer["id"] = number
    return orjson.dumps(answer)

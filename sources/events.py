"""What a parser says about a payload: accepted rows, rejected events, ignored messages, each with its reason."""

from dataclasses import dataclass

# Why an event was not accepted. Spark's contract rules have their own reasons for rows that were accepted here.
REJECTIONS: dict[str, str] = {
    "malformed_json": "The payload is not one JSON document: cut off, not UTF-8, or no JSON at all.",
    "unknown_message": "The payload is JSON, but of no kind that the venue is known to send.",
    "missing_field": "A field that the event needs is absent.",
    "wrong_type": "A field holds another JSON type than the venue documents.",
    "not_a_number": "A price or quantity is a string that no decimal number is written as.",
    "price_digits": "The price has more digits than the contract holds; it is never rounded.",
    "quantity_digits": "The quantity has more digits than the contract holds; it is never rounded.",
    "id_out_of_range": "An id is negative or beyond 63 bits.",
    "time_out_of_range": "The time lies outside the years 1 to 9999, which is all that a timestamp can hold.",
    "bad_symbol": "The symbol is empty, longer than 59 characters, or holds characters that nobody can print.",
    "vendor_doubts": "The file itself marks the row as suspicious.",
    "contract_misfit": "The row does not fit its contract; the parser has a fault that this row shows.",
}

# Why a message carries no event.
IGNORED: dict[str, str] = {
    "subscription_reply": "The venue's answer to a subscription request.",
    "subscription_error": "The venue's refusal of a request; the connection acts on it.",
    "heartbeat": "A sign of life without content.",
    "venue_notice": "The venue speaks of itself: its status, or that it will soon close the connection.",
    "not_collected": "A kind of message that no contract covers; it is on the tape for later.",
    "not_a_market_trade": "A position taken over by an insurance fund or closed by deleveraging, not traded.",
    "trade_before_subscription": "The last trade before the subscription, told again.",
    "server_time": "The venue's clock, asked for to estimate how far ours is off.",
    "no_trades": "An answer that lists nothing: there was none in the span asked for.",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that fits its contract: the row without what only the tape's position tells.

    `row` lacks received_time, connection_id, message_number and message_index, and may leave out (not set to None)
    what the venue does not tell: event_time with event_clock, update_id with venue_sequence, and a book's chain.
    sources.placing fills these in.
    """

    dataset: str
    row: dict[str, object]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that goes to quarantine. `reason` is a word of REJECTIONS, `dataset` what it was meant for.

    A payload that can't be said to be meant for any dataset names the tape. `part` is what of the payload was not
    accepted, where that can be told; empty: all of it.
    """

    dataset: str
    reason: str
    detail: str
    part: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """A number that a message used up in a counted series although it carries no trade to store.

    `delivered` is false when the number tells of a trade that was sent before and may have been missed.
    """

    instrument: str
    id_space: str
    sequence: int
    delivered: bool = True


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message without an event. `reason` is a word of IGNORED."""

    reason: str
    seen: Seen | None = None


Event = Accepted | Rejected | Ignored

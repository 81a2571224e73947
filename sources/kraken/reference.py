"""Kraken's pairs and their steps: v2's channel `instrument`, and AssetPairs of REST."""

from decimal import Decimal

from contracts.instruments import INSTRUMENTS
from contracts.trades import PRICE, QUANTITY
from sources import fields
from sources.events import Accepted, Event, Ignored
from sources.fields import Fault, Message, field, shown, text, wrong_type
from sources.kraken.config import NAME
from sources.kraken.instruments import instrument, listed
from sources.kraken.numbers import price, quantity

# Whether orders meet: while nothing but post-only orders are taken, or none at all, they do not.
_STATES = {
    "online": "trading",
    "limit_only": "trading",
    "reduce_only": "trading",
    "cancel_only": "halted",
    "delisted": "halted",
    "maintenance": "halted",
    "post_only": "halted",
    "work_in_progress": "halted",
}
_MOST_DECIMALS = 12


def v2_instruments(data: object) -> list[Event]:
    """Return the pairs of {"assets": [...], "pairs": [...]}; assets alone are not collected."""
    if type(data) is not dict:
        return [wrong_type("data", data, "object").rejected(INSTRUMENTS.name)]
    pairs = data.get("pairs", [])
    if type(pairs) is not list:
        return [wrong_type("pairs", pairs, "list").rejected(INSTRUMENTS.name)]
    events: list[Event] = []
    for pair in pairs:
        try:
            events.append(_v2(pair))
        except Fault as fault:
            events.append(fault.rejected(INSTRUMENTS.name))
    return events or [Ignored("not_collected")]


def rest_instruments(endpoint: str, pairs: Message) -> list[Event]:
    """Return the pairs of a REST answer, an object by REST's own names."""
    events: list[Event] = []
    for name, pair in pairs.items():
        try:
            events.append(_rest(endpoint, name, pair))
        except Fault as fault:
            events.append(fault.rejected(INSTRUMENTS.name))
    return events or [Ignored("not_collected")]


def _v2(pair: object) -> Accepted:
    if type(pair) is not dict:
        raise wrong_type("pair", pair, "object")
    return _row(
        "v2",
        instrument(field(pair, "symbol"), "symbol"),
        (instrument(field(pair, "base"), "base"), instrument(field(pair, "quote"), "quote")),
        (price(pair, "price_increment"), quantity(pair, "qty_increment"), quantity(pair, "qty_min")),
        text(pair, "status"),
    )


def _rest(endpoint: str, name: str, pair: object) -> Accepted:
    """Read a pair. Those of the dark pool have no feed and so no feed's name; the first years tell no status."""
    if type(pair) is not dict:
        raise wrong_type("pair", pair, "object")
    named = listed(endpoint, instrument(pair["wsname"], "wsname")) if "wsname" in pair else instrument(name, "pair")
    base, slash, quote = named.partition("/")
    currencies = (base, quote) if slash else (_currency(pair, "base"), _currency(pair, "quote"))
    tick = pair.get("tick_size")
    step = _step(pair, "pair_decimals") if tick is None else fields.number(tick, "tick_size", PRICE, "price_digits")
    least = pair.get("ordermin", "0")
    steps = step, _step(pair, "lot_decimals"), fields.number(least, "ordermin", QUANTITY, "quantity_digits")
    return _row(endpoint, named, currencies, steps, pair.get("status", "online"))


def _currency(pair: Message, name: str) -> str:
    return instrument(field(pair, name), name)


def _step(pair: Message, name: str) -> Decimal:
    decimals = field(pair, name)
    if type(decimals) is not int or not 0 <= decimals <= _MOST_DECIMALS:
        raise Fault("wrong_type", f"{name} is {shown(decimals)}, wanted 0 to {_MOST_DECIMALS}")
    return Decimal(1).scaleb(-decimals)


def _row(
    endpoint: str,
    name: str,
    currencies: tuple[str, str],
    steps: tuple[Decimal, Decimal, Decimal],
    status: object,
) -> Accepted:
    state = _STATES.get(status) if type(status) is str else None
    if state is None:
        raise Fault("wrong_type", f"status is {shown(status)}, valid: {', '.join(_STATES)}")
    return Accepted(
        INSTRUMENTS.name,
        {
            "venue": NAME,
            "instrument": name,
            "id_space": f"{endpoint}.instrument",
            "symbol": name,
            "kind": "spot",
            "base": currencies[0],
            "quote": currencies[1],
            "price_step": steps[0],
            "quantity_step": steps[1],
            "quantity_least": steps[2],
            "state": state,
        },
    )

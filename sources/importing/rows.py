"""A line's cells to rows of a dataset."""

import decimal
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.bars import VOLUME
from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.dataset import Decimal
from contracts.quotes import QUOTES
from contracts.trades import PRICE, QUANTITY, TRADES
from contracts.venue_bars import NOT_TOLD, VENUE_BARS
from sources.events import Accepted
from sources.fields import LONGEST_ID, Fault, number, shown, symbol
from sources.importing.layout import Layout
from sources.importing.times import ReadTime, reader

# What programs write where they have no value.
BLANKS = frozenset(("", "nan", "null", "none", "na", "n/a", "#n/a", "nat", "-", "--", "<na>"))
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_SIDES = {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_OHLC = ("open", "high", "low", "close")
_ZERO = decimal.Decimal(0)
_NEVER, _ALWAYS = "0001-01-01", "9999-12-31"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its number from 1, and its cells by our names."""

    number: int
    cells: Mapping[str, str]


Read = Callable[[Line], list[Accepted]]


def readers(layout: Layout) -> Read:
    """Return what reads the layout's lines; it raises Fault for a line that gives no row."""
    read_time = reader(layout.time)
    made: dict[str, Callable[[Layout, ReadTime, Line], list[Accepted]]] = {
        "bars": _bars,
        "quote_bars": _quote_bars,
        "trades": _trades,
        "quotes": _quotes,
        "factors": _factors,
        "maps": _maps,
    }
    read = made[layout.kind]
    return lambda line: read(layout, read_time, line)


def _common(layout: Layout, read_time: ReadTime, line: Line) -> tuple[dict[str, object], int]:
    cell = _cell(line, "time")
    if cell is None:
        raise Fault("missing_field", "time is blank")
    time = read_time(cell)
    return {"venue": layout.venue, "instrument": _instrument(layout, line, time), "id_space": layout.space}, time


def _instrument(layout: Layout, line: Line, time: int) -> str:
    if not layout.names:
        return symbol(line.cells.get("instrument", ""), "instrument")
    if len(layout.names) == 1 and layout.names[0][:2] == (_NEVER, _ALWAYS):
        return layout.names[0][2]
    day = layout.time.day or datetime.fromtimestamp(time // 1_000_000, UTC).date().isoformat()
    for first, last, name in layout.names:
        if first <= day <= last:
            return name
    raise Fault("bad_symbol", f"no security was called so on {day}; the map files know {shown(layout.names[0][2])}")


def always(name: str) -> tuple[tuple[str, str, str], ...]:
    """Return the names of a file that is of one instrument on all days."""
    return ((_NEVER, _ALWAYS, name),)


def _trades(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    row, time = _common(layout, read_time, line)
    _trusted(line)
    told = _cell(line, "trade_id")
    return [
        Accepted(
            TRADES.name,
            {
                **row,
                "trade_id": told if told is not None else _place(layout, line),
                "venue_sequence": _counted(told, time),
                "price": _price(layout, line, "price"),
                "quantity": _needed(_number(line, "quantity", QUANTITY, "quantity_digits"), "quantity"),
                "side": _side(line),
                "trade_count": 1,
                "event_time": time,
            },
        )
    ]


def _quotes(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    row, time = _common(layout, read_time, line)
    _trusted(line)
    prices = {name: _optional(layout, line, name) or _ZERO for name in ("bid_price", "ask_price")}
    sizes = {
        name: _number(line, name, QUANTITY, "quantity_digits") or _ZERO for name in ("bid_quantity", "ask_quantity")
    }
    return [
        Accepted(
            QUOTES.name,
            {
                **row,
                "update_id": _place(layout, line),
                "venue_sequence": time,
                **prices,
                **sizes,
                "event_time": time,
                "event_clock": "venue",
            },
        )
    ]


def _bars(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    row, time = _common(layout, read_time, line)
    prices = {name: _price(layout, line, name) for name in _OHLC}
    volume = _number(line, "volume", VOLUME, "quantity_digits") or _ZERO
    count = _number(line, "trade_count", Decimal(18, 0), "id_out_of_range")
    return [_bar(layout, row, time, prices, volume, NOT_TOLD if count is None else int(count))]


def _quote_bars(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    """Make a bar of the bid and one of the ask; a side that the line leaves out has none."""
    row, time = _common(layout, read_time, line)
    found = []
    for side in ("bid", "ask"):
        told = {name: _optional(layout, line, f"{side}_{name}") for name in _OHLC}
        prices = {name: price for name, price in told.items() if price is not None}
        if len(prices) == len(_OHLC):
            found.append(_bar(layout, row | {"id_space": f"{layout.space}.{side}"}, time, prices, _ZERO, NOT_TOLD))
        elif prices:
            raise Fault("missing_field", f"of the {side} only {', '.join(prices)} are told")
    if not found:
        raise Fault("missing_field", "neither bid nor ask is told")
    return found


def _bar(
    layout: Layout,
    row: dict[str, object],
    time: int,
    prices: Mapping[str, decimal.Decimal],
    volume: decimal.Decimal,
    trade_count: int,
) -> Accepted:
    """Make a bar. Its values are its update's id: told again unchanged it is the same, told otherwise another."""
    return Accepted(
        VENUE_BARS.name,
        {
            **row,
            "update_id": ":".join(("final", *map(_plain, prices.values()), _plain(volume))),
            "venue_sequence": time,
            "bar_time": time,
            "width_s": layout.width_s,
            **prices,
            "volume": volume,
            "trade_count": trade_count,
            "state": "final",
            # Known as a whole once it is over.
            "event_time": time + layout.width_s * 1_000_000,
            "event_clock": "venue",
        },
    )


def _factors(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    told = {
        "price_factor": _needed(_number(line, "price_factor", PRICE, "price_digits"), "price_factor"),
        "split_factor": _needed(_number(line, "split_factor", PRICE, "price_digits"), "split_factor"),
        "reference_price": _number(line, "reference_price", PRICE, "price_digits") or _ZERO,
    }
    return [_action(layout, read_time, line, "factors", told)]


def _maps(layout: Layout, read_time: ReadTime, line: Line) -> list[Accepted]:
    told: dict[str, object] = {
        "ticker": symbol(line.cells["ticker"].upper(), "ticker"),
        "exchange": line.cells.get("exchange", ""),
    }
    return [_action(layout, read_time, line, "ticker", told)]


def _action(layout: Layout, read_time: ReadTime, line: Line, kind: str, told: Mapping[str, object]) -> Accepted:
    row, time = _common(layout, read_time, line)
    nothing: dict[str, object] = {
        "ticker": "",
        "exchange": "",
        "price_factor": _ZERO,
        "split_factor": _ZERO,
        "reference_price": _ZERO,
    }
    return Accepted(
        CORPORATE_ACTIONS.name,
        {
            **row,
            **nothing,
            **told,
            "update_id": f"{kind}:{_place(layout, line)}",
            "venue_sequence": time,
            "kind": kind,
            "vintage": layout.content,
            "event_time": time,
            "event_clock": "venue",
        },
    )


def _place(layout: Layout, line: Line) -> str:
    """Name a line that carries no id: text that sorts like the lines, then which content it is a line of."""
    return f"{line.number:010d}-{layout.content}"


def _trusted(line: Line) -> None:
    if (_cell(line, "suspicious") or "0").casefold() in _TRUE:
        raise Fault("vendor_doubts", "the file marks the row as suspicious")


def _counted(trade_id: str | None, time: int) -> int:
    """Return the number that an id is, else the time: what trades are in order by."""
    digits = trade_id if trade_id is not None and trade_id.isascii() and trade_id.isdigit() else ""
    return int(digits) if 0 < len(digits) < len(str(LONGEST_ID)) else time


def _side(line: Line) -> str:
    told = _cell(line, "side")
    if told is not None:
        side = _SIDES.get(told.casefold())
        if side is None:
            raise Fault("wrong_type", f"side is {shown(told)}, wanted buy or sell")
        return side
    maker = (_cell(line, "buyer_maker") or "").casefold()
    # Where the buyer's order was waiting, the seller was the aggressor.
    return "sell" if maker in _TRUE else "buy" if maker in _FALSE else "unknown"


def _cell(line: Line, name: str) -> str | None:
    cell = line.cells.get(name, "")
    return None if cell.casefold() in BLANKS else cell


def _number(line: Line, name: str, wanted: Decimal, too_long: str) -> decimal.Decimal | None:
    cell = _cell(line, name)
    if cell is None:
        return None
    return number(cell.replace(",", "") if _THOUSANDS.fullmatch(cell) else cell, name, wanted, too_long)


def _optional(layout: Layout, line: Line, name: str) -> decimal.Decimal | None:
    found = _number(line, name, PRICE, "price_digits")
    return found if found is None or layout.scale == 1 else found / layout.scale


def _price(layout: Layout, line: Line, name: str) -> decimal.Decimal:
    return _needed(_optional(layout, line, name), name)


def _needed(found: decimal.Decimal | None, name: str) -> decimal.Decimal:
    if found is None:
        raise Fault("missing_field", f"{name} is blank")
    return found


def _plain(told: decimal.Decimal) -> str:
    written = format(told, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written
